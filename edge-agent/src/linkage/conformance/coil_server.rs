//! A Modbus TCP server with sixteen coils and any bad habit, written from the specification
//! (MODBUS Messaging on TCP/IP 1.0b section 3.1, Application Protocol 1.1b3 sections 6.1 and 6.5).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::Condition;

/// How one question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Right,
    Silence,
    Close,
    OtherTransaction,
    Exception(u8),
}

pub(super) struct CoilServer {
    address: SocketAddr,
    condition: watch::Sender<Condition>,
    listening: watch::Receiver<bool>,
    coils: Arc<Mutex<[bool; 16]>>,
    script: Arc<Mutex<VecDeque<Answer>>>,
}

struct Connection {
    condition: watch::Receiver<Condition>,
    coils: Arc<Mutex<[bool; 16]>>,
    script: Arc<Mutex<VecDeque<Answer>>>,
}

impl CoilServer {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (condition, watched) = watch::channel(Condition::Sound);
        let (listening, told) = watch::channel(true);
        let coils = Arc::new(Mutex::new([false; 16]));
        let script = Arc::new(Mutex::new(VecDeque::new()));
        let connection = {
            let (coils, script) = (Arc::clone(&coils), Arc::clone(&script));
            move |condition| Connection {
                condition,
                coils: Arc::clone(&coils),
                script: Arc::clone(&script),
            }
        };
        tokio::spawn(listen(listener, watched, listening, connection));
        Self {
            address,
            condition,
            listening: told,
            coils,
            script,
        }
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn coil(&self, address: u16) -> bool {
        self.coils.lock().unwrap()[usize::from(address)]
    }

    pub(super) fn script(&self, answers: &[Answer]) {
        self.script.lock().unwrap().extend(answers);
    }

    /// Returns once the port is as the condition wants it.
    pub(super) async fn set(&self, condition: Condition) {
        self.condition.send(condition).unwrap();
        let wanted = condition != Condition::Gone;
        let mut listening = self.listening.clone();
        listening
            .wait_for(|listening| *listening == wanted)
            .await
            .unwrap();
    }
}

async fn listen(
    listener: TcpListener,
    mut condition: watch::Receiver<Condition>,
    listening: watch::Sender<bool>,
    connection: impl Fn(watch::Receiver<Condition>) -> Connection,
) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    loop {
        let here = *condition.borrow_and_update() != Condition::Gone;
        if here && listener.is_none() {
            listener = Some(TcpListener::bind(address).await.unwrap());
        } else if !here {
            listener = None;
        }
        listening.send_replace(here);
        let accept = async {
            match &listener {
                Some(listener) => listener.accept().await.unwrap().0,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            stream = accept => {
                tokio::spawn(connection(condition.clone()).serve(stream));
            }
            changed = condition.changed() => if changed.is_err() { return },
        }
    }
}

impl Connection {
    async fn serve(self, mut stream: TcpStream) {
        let mut request = [0; 12];
        // Reading and writing a coil are both twelve bytes.
        while stream.read_exact(&mut request).await.is_ok() {
            let scripted = self.script.lock().unwrap().pop_front();
            let response = match scripted {
                None => self.by_condition(&request),
                Some(Answer::Right) => Some(self.right(&request)),
                Some(Answer::Silence) => None,
                Some(Answer::Close) => return,
                Some(Answer::OtherTransaction) => {
                    let mut response = self.right(&request);
                    response[1] ^= 0x55;
                    Some(response)
                }
                Some(Answer::Exception(code)) => Some(exception(&request, code)),
            };
            if let Some(response) = response {
                stream.write_all(&response).await.unwrap();
            }
        }
    }

    fn by_condition(&self, request: &[u8; 12]) -> Option<Vec<u8>> {
        let condition = *self.condition.borrow();
        let writes = request[7] == 5;
        match condition {
            Condition::Refusing if writes => Some(exception(request, 2)),
            Condition::Stuck if writes => Some(request.to_vec()),
            Condition::Lying if writes => {
                let mut echo = request.to_vec();
                echo[9] ^= 1;
                Some(echo)
            }
            Condition::Slow if writes => {
                self.right(request);
                None
            }
            _ => Some(self.right(request)),
        }
    }

    fn right(&self, request: &[u8; 12]) -> Vec<u8> {
        assert_eq!(
            (request[2..7].to_vec(), request[8]),
            (vec![0, 0, 0, 6, 1], 0)
        );
        let mut coils = self.coils.lock().unwrap();
        let coil = &mut coils[usize::from(request[9])];
        match request[7] {
            1 => framed(request, &[1, 1, u8::from(*coil)]),
            5 => {
                *coil = request[10] == 0xFF;
                request.to_vec()
            }
            other => panic!("function {other} is not asked for"),
        }
    }
}

fn exception(request: &[u8; 12], code: u8) -> Vec<u8> {
    framed(request, &[request[7] | 0x80, code])
}

fn framed(request: &[u8; 12], body: &[u8]) -> Vec<u8> {
    let mut response = request[..7].to_vec();
    response[5] = u8::try_from(body.len()).unwrap() + 1;
    response.extend_from_slice(body);
    response
}
