//! One coil of a Modbus TCP server (MODBUS Application Protocol 1.1b3, functions 1 and 5).
//!
//! Every operation opens its own connection. A connection that has idled may be half dead, and a
//! write into it would have an unknown outcome, which costs a person's time; a fresh one fails
//! before anything was written. It also leaves small devices their few connections.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_modbus::client::{Client as _, Context, tcp};
use tokio_modbus::{Error, ExceptionCode, Request, Response, Slave};

use super::config::ModbusTcpConfig;
use super::driver::{Permission, Written};

/// Questions of one operation at most: read, write, read back.
const QUESTIONS: u32 = 3;

#[derive(Debug)]
pub(super) struct ModbusTcp {
    config: ModbusTcpConfig,
}

/// Why a question got no answer.
#[derive(Debug, PartialEq, Eq)]
enum Silence {
    /// The server answers with a Modbus exception.
    Exception(ExceptionCode),
    /// Timeout, broken connection, or an answer to another question.
    Broken(String),
}

impl ModbusTcp {
    pub(super) const fn new(config: ModbusTcpConfig) -> Self {
        Self { config }
    }

    pub(super) fn budget(&self) -> Duration {
        self.connect_timeout() + self.answer_timeout() * QUESTIONS
    }

    pub(super) async fn write(&self, on: bool, permission: &Permission<'_>) -> Written {
        let mut connection = match self.connect_and_greet().await {
            Ok(connection) => connection,
            Err(reason) => return Written::NotSent(reason),
        };
        if !permission.stands() {
            return Written::NotSent("too late: the permit is over".to_owned());
        }
        match self.write_coil(&mut connection, on).await {
            Ok(()) if self.config.read_back => self.confirm(&mut connection, on).await,
            Ok(()) => Written::Accepted,
            Err(Silence::Exception(code)) if is_definite(code) => {
                Written::Refused(format!("the device refuses the write: {code}"))
            }
            Err(silence) => Written::Unknown(format!("after the write: {silence}")),
        }
    }

    /// None where coils can't be read: then the connection alone says that somebody is there.
    pub(super) async fn read(&self) -> Result<Option<bool>, String> {
        let mut connection = self.connect().await?;
        if !self.config.read_back {
            return Ok(None);
        }
        let coil = self.read_coil(&mut connection).await;
        coil.map(Some).map_err(|silence| silence.to_string())
    }

    /// A device that answers no question is known to be silent before anything is written.
    async fn connect_and_greet(&self) -> Result<Context, String> {
        let mut connection = self.connect().await?;
        if self.config.read_back {
            let greeting = self.read_coil(&mut connection).await;
            greeting.map_err(|silence| format!("before the write: {silence}"))?;
        }
        Ok(connection)
    }

    async fn connect(&self) -> Result<Context, String> {
        let address = self.config.address.socket();
        let stream = timeout(self.connect_timeout(), TcpStream::connect(address))
            .await
            .map_err(|_| {
                format!(
                    "no connection to {address} within {:?}",
                    self.connect_timeout()
                )
            })?
            .map_err(|error| format!("no connection to {address}: {error}"))?;
        // Three small questions in a row: Nagle would hold each back.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%address, %error, "no TCP_NODELAY");
        }
        Ok(tcp::attach_slave(stream, Slave(self.config.unit.into())))
    }

    async fn confirm(&self, connection: &mut Context, on: bool) -> Written {
        match self.read_coil(connection).await {
            Ok(found) if found == on => Written::Confirmed,
            Ok(_) => Written::Contradicted("the coil reads back as it was".to_owned()),
            Err(silence) => Written::Unknown(format!("no read-back: {silence}")),
        }
    }

    async fn write_coil(&self, connection: &mut Context, on: bool) -> Result<(), Silence> {
        let coil = self.config.coil;
        let request = Request::WriteSingleCoil(coil, on);
        match self.ask(connection, request).await? {
            // The answer is an echo of the request (section 6.5).
            Response::WriteSingleCoil(address, value) if (address, value) == (coil, on) => Ok(()),
            _ => Err(Silence::Broken(
                "the answer is no echo of the write".to_owned(),
            )),
        }
    }

    async fn read_coil(&self, connection: &mut Context) -> Result<bool, Silence> {
        let request = Request::ReadCoils(self.config.coil, 1);
        match self.ask(connection, request).await? {
            Response::ReadCoils(coils) => coils
                .first()
                .copied()
                .ok_or_else(|| Silence::Broken("the answer holds no coil".to_owned())),
            _ => Err(Silence::Broken("the answer is none to a read".to_owned())),
        }
    }

    /// Asks by the bare call: the typed calls of the library assert on what a device answers.
    async fn ask(
        &self,
        connection: &mut Context,
        request: Request<'_>,
    ) -> Result<Response, Silence> {
        match timeout(self.answer_timeout(), connection.call(request)).await {
            Ok(Ok(Ok(response))) => Ok(response),
            Ok(Ok(Err(exception))) => Err(Silence::Exception(exception)),
            Ok(Err(Error::Protocol(_))) => Err(Silence::Broken(
                "the answer is for another question".to_owned(),
            )),
            Ok(Err(Error::Transport(error))) => {
                Err(Silence::Broken(format!("the connection broke: {error}")))
            }
            Err(_) => {
                let waited = self.answer_timeout();
                Err(Silence::Broken(format!("no answer within {waited:?}")))
            }
        }
    }

    const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.config.connect_timeout_ms)
    }

    const fn answer_timeout(&self) -> Duration {
        Duration::from_millis(self.config.answer_timeout_ms)
    }
}

impl std::fmt::Display for Silence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exception(code) => write!(f, "the device answers: {code}"),
            Self::Broken(reason) => f.write_str(reason),
        }
    }
}

/// Exceptions of a server that has done nothing (section 7). The others may come from a device
/// that has begun, or from a gateway that has passed the write on.
const fn is_definite(code: ExceptionCode) -> bool {
    matches!(
        code,
        ExceptionCode::IllegalFunction
            | ExceptionCode::IllegalDataAddress
            | ExceptionCode::IllegalDataValue
            | ExceptionCode::ServerDeviceBusy
            | ExceptionCode::GatewayPathUnavailable
    )
}
