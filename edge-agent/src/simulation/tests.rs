use protocol::codec::{Envelope, decode, encode};
use protocol::id::*;
use protocol::message::*;
use protocol::signed::SigningKey;
use protocol::time::Utc;
use protocol::topic::Up;

use super::*;
use crate::machine::tests::paper::*;
use crate::rules::Sound;

/// A terminal, the platform's side of its wire, and the pins.
#[derive(Debug, Clone)]
struct Bench {
    terminal: Terminal,
    entropy: u64,
    now: u64,
    sent: Vec<(Up, Vec<u8>)>,
    acknowledged: Vec<u64>,
    pins: Vec<TransactionId>,
    pay_pages: Vec<Option<String>>,
    safe_states: usize,
    offs: usize,
}

fn setup(stepwise: bool) -> Setup {
    Setup {
        name: name(),
        platform: "main".parse().unwrap(),
        platform_keys: Keyring::of(SigningKey::from_seed(PLATFORM_SEED).public()),
        key_seed: TERMINAL_SEED,
        page_url: "http://10.0.0.1".to_owned(),
        devices: BTreeMap::from([(gate(), Duration::from_secs(60))]),
        limits: Limits::default(),
        journal_capacity: 256 * 1024,
        stepwise,
        rules: &Sound,
    }
}

fn at(millis: u64) -> Now {
    Now {
        utc: Utc::from_millis(1_700_000_000_000 + i64::try_from(millis).unwrap()).unwrap(),
        tick: Tick::from_millis(millis),
    }
}

fn counter(count: &mut u64) -> impl FnMut() -> [u8; 16] {
    move || {
        *count += 1;
        let mut bytes = [0xcd; 16];
        bytes[..8].copy_from_slice(&count.to_be_bytes());
        bytes
    }
}

impl Bench {
    fn new(setup: Setup) -> Self {
        let mut entropy = 0;
        let terminal = Terminal::start(setup, at(0), &mut counter(&mut entropy));
        let mut bench = Self {
            terminal,
            entropy,
            now: 0,
            sent: vec![],
            acknowledged: vec![],
            pins: vec![],
            pay_pages: vec![],
            safe_states: 0,
            offs: 0,
        };
        bench.connect();
        bench.deliver(Down::Config, signed(&site_config(1)));
        bench.timeout();
        bench
    }

    fn call<T>(&mut self, act: impl FnOnce(&mut Terminal, Now, &mut dyn Entropy) -> T) -> T {
        let mut entropy = counter(&mut self.entropy);
        let result = act(&mut self.terminal, at(self.now), &mut entropy);
        while let Some(output) = self.terminal.poll_output() {
            match output {
                Output::SafeState { .. } => self.safe_states += 1,
                Output::Publish { topic, payload } => {
                    let Topic::Up(_, kind) = topic else {
                        panic!("{topic}")
                    };
                    self.sent.push((kind, payload));
                }
                Output::Acknowledge(delivery) => self.acknowledged.push(delivery),
                Output::Switch { transaction, .. } => self.pins.push(transaction),
                Output::SwitchOff { .. } => self.offs += 1,
                Output::PayPage { pay_url, .. } => self.pay_pages.push(pay_url),
            }
        }
        result
    }

    fn connect(&mut self) {
        self.call(Terminal::handle_connected);
    }

    fn timeout(&mut self) {
        self.call(Terminal::handle_timeout);
    }

    fn deliver<M: Message>(&mut self, kind: Down, message: M) {
        let id = MessageId::from_random([9; 16]);
        let payload = encode(&Envelope::new(id, Utc::EPOCH, message)).unwrap();
        let topic = Topic::Down(name(), kind);
        self.call(|terminal, now, entropy| {
            terminal.handle_delivery(7, (&topic, &payload), now, entropy);
        });
    }

    fn accept(&mut self) -> Phone {
        self.call(Terminal::accept).unwrap()
    }

    fn order(&mut self, phone: Phone) -> OrderRequest {
        let item: ItemId = "wash".parse().unwrap();
        let chosen = self.call(|terminal, now, entropy| terminal.choose(phone, item, now, entropy));
        assert!(chosen);
        self.finish_writes();
        let (_, payload) = self
            .sent
            .iter()
            .rev()
            .find(|(kind, _)| *kind == Up::Payment)
            .unwrap();
        let PaymentMessage::OrderRequest(request) = decode(payload).unwrap().body else {
            panic!("no order request");
        };
        claims(&request)
    }

    /// A sale whose payer is on the payment server's page.
    fn paying(&mut self) -> (Phone, OrderRequest) {
        let phone = self.accept();
        let request = self.order(phone);
        self.deliver(Down::Payment, PaymentReply::Quote(signed(&quote(&request))));
        self.call(|terminal, now, entropy| terminal.go_paying(phone, now, entropy));
        self.finish_writes();
        (phone, request)
    }

    fn permit(&mut self, request: &OrderRequest) {
        let permit = LinkageCommand::Permit(signed(&permit(request)));
        self.deliver(Down::Linkage, permit);
    }

    fn finish_writes(&mut self) {
        while self.call(Terminal::complete_write) {}
    }

    fn look(&mut self, phone: Phone) -> Look {
        self.call(|terminal, now, entropy| terminal.look(phone, now, entropy))
            .unwrap()
    }

    fn power_cut(&mut self, kept: usize) {
        self.call(|terminal, now, entropy| terminal.power_cut(kept, now, entropy));
        self.finish_writes();
    }

    fn outcomes(&self) -> Vec<LinkageOutcome> {
        let results = self.sent.iter().filter(|(kind, _)| *kind == Up::Linkage);
        let results = results.filter_map(|(_, payload)| match decode(payload).unwrap().body {
            LinkageMessage::Result(result) => Some(claims(&result).outcome),
            LinkageMessage::Answer(_) => None,
        });
        results.collect()
    }
}

#[test]
fn one_sale_through_the_facade() {
    let mut bench = Bench::new(setup(false));
    assert_eq!(bench.safe_states, 1);
    assert!(bench.terminal.is_free(at(0)));
    let (phone, request) = bench.paying();
    assert_eq!(bench.pay_pages, [Some("http://pay/1".to_owned())]);
    assert!(!bench.terminal.is_free(at(0)));
    let back =
        bench.call(|terminal, now, entropy| terminal.returned(&request.return_url, now, entropy));
    assert_eq!(back, Some(phone));
    bench.permit(&request);
    assert_eq!(bench.pins, [request.transaction]);
    assert_eq!(bench.look(phone).screen, Screen::Actuating);
    bench.call(|terminal, now, entropy| {
        terminal.switched(request.transaction, done(), now, entropy);
    });
    assert_eq!(bench.outcomes(), [LinkageOutcome::Done]);
    let look = bench.look(phone);
    assert_eq!(
        (look.screen, look.transaction, look.amount, look.receipt),
        (
            Screen::Done,
            Some(request.transaction),
            Some(request.amount),
            None
        )
    );
}

#[test]
fn a_crash_between_write_and_effect_moves_nothing() {
    for (kept, expected) in [
        (0, vec![]),
        (
            1,
            vec![LinkageOutcome::Uncertain {
                reason: UncertainReason::IntentWithoutDone,
            }],
        ),
    ] {
        let mut bench = Bench::new(setup(true));
        bench.finish_writes();
        let (phone, request) = bench.paying();
        bench.power_cut(usize::MAX);
        bench.connect();
        let (waiting, _) = (bench.terminal.writes_waiting(), bench.look(phone));
        assert_eq!(waiting, 0);
        bench.finish_writes();
        let fresh = fresh_nonce(&bench);
        let request = OrderRequest {
            nonce: fresh,
            ..request
        };
        bench.permit(&request);
        assert_eq!((bench.pins.len(), bench.terminal.writes_waiting()), (0, 1));
        let taken = bench.terminal.unsynced_count() - 1;
        bench.power_cut(if kept == 0 { 0 } else { taken + 1 });
        bench.connect();
        assert_eq!(bench.pins, []);
        assert_eq!(bench.outcomes(), expected, "kept {kept}");
    }
}

fn fresh_nonce(bench: &Bench) -> Nonce {
    let asked = bench.sent.iter().rev().find_map(|(kind, payload)| {
        if *kind != Up::Payment {
            return None;
        }
        match decode(payload).unwrap().body {
            PaymentMessage::PermitRequest(asked) => Some(claims(&asked).nonce),
            _ => None,
        }
    });
    asked.unwrap()
}

#[test]
fn after_a_failed_sync_the_terminal_is_silent_until_the_journal_is_opened_anew() {
    let mut bench = Bench::new(setup(false));
    let (phone, request) = bench.paying();
    bench.terminal.fail_next_sync(0);
    bench.permit(&request);
    assert_eq!((bench.pins.len(), bench.terminal.is_serving()), (0, false));
    let look = bench.call(|terminal, now, entropy| terminal.look(phone, now, entropy));
    assert_eq!(look, None);
    assert_eq!(
        bench.terminal.poll_timeout(),
        Some(Tick::from_millis(5_000))
    );
    bench.now = 5_000;
    bench.timeout();
    assert!(bench.terminal.is_serving());
    assert_eq!(bench.safe_states, 1, "devices are left alone");
    bench.permit(&request);
    assert_eq!(bench.pins, [], "nonces of before are dead");
}

fn done() -> Vec<DeviceResult> {
    vec![DeviceResult {
        device: gate(),
        outcome: DeviceOutcome::Done,
        feedback: Feedback::ReadBack,
    }]
}

#[test]
fn a_result_that_was_not_synced_is_said_once_the_journal_is_opened_anew() {
    let mut bench = Bench::new(setup(false));
    let (phone, request) = bench.paying();
    bench.permit(&request);
    bench.terminal.fail_next_sync(0);
    bench.call(|terminal, now, entropy| {
        terminal.switched(request.transaction, done(), now, entropy);
    });
    assert_eq!(bench.outcomes(), [], "it is not on the disk");
    bench.now = 5_000;
    bench.timeout();
    assert_eq!(bench.outcomes(), [LinkageOutcome::Done]);
    assert_eq!(bench.look(phone).screen, Screen::Done);
    bench.power_cut(0);
    bench.connect();
    assert!(
        bench
            .outcomes()
            .iter()
            .all(|said| *said == LinkageOutcome::Done)
    );
}

#[test]
fn a_failed_journal_is_not_opened_anew_while_a_device_moves() {
    let mut bench = Bench::new(setup(false));
    let (_, first) = bench.paying();
    bench.permit(&first);
    bench.terminal.fail_next_sync(0);
    let off = LinkageCommand::Off(signed(&off(&first, OffReason::Expired)));
    bench.deliver(Down::Linkage, off);
    assert!(
        bench.terminal.is_serving(),
        "an OFF after the intent changes nothing"
    );
    let unseen = Inquiry {
        aud: ours(),
        transaction: TransactionId::from_random([0; 16]),
        nonce: Nonce::from_random([4; 16]),
        journal: first.journal,
        asked_at: Utc::EPOCH,
    };
    bench.deliver(Down::Inquiry, signed(&unseen));
    assert!(!bench.terminal.is_serving(), "the tombstone was not synced");
    assert_eq!(
        bench.terminal.poll_timeout(),
        Some(Tick::from_millis(50_000))
    );
    bench.now = 20_000;
    bench.call(|terminal, now, entropy| {
        terminal.switched(first.transaction, done(), now, entropy);
    });
    assert_eq!(
        (bench.outcomes().len(), bench.terminal.is_serving()),
        (0, false)
    );
    assert_eq!(
        bench.terminal.poll_timeout(),
        Some(Tick::from_millis(25_000))
    );
    bench.now = 25_000;
    bench.timeout();
    assert_eq!(bench.outcomes(), [LinkageOutcome::Done]);
}

/// Whether the next phone is invited although records can't be read.
pub(crate) fn sells_on_a_damaged_journal(rules: &'static dyn Rules) -> bool {
    let mut bench = Bench::new(Setup {
        rules,
        ..setup(false)
    });
    bench.call(|terminal, now, entropy| terminal.damage_journal(0, now, entropy));
    bench.connect();
    bench.timeout();
    bench.terminal.is_free(at(0))
}

/// Whether a device moves on an intent that is not on the disk.
pub(crate) fn believes_a_failed_sync(rules: &'static dyn Rules) -> bool {
    let mut bench = Bench::new(Setup {
        rules,
        ..setup(false)
    });
    let (_, request) = bench.paying();
    bench.terminal.fail_next_sync(0);
    bench.permit(&request);
    !bench.pins.is_empty()
}

#[test]
fn a_start_brings_devices_to_rest_then_settles_its_journal_and_only_then_says_hello() {
    let mut bench = Bench::new(setup(true));
    bench.finish_writes();
    let (_, request) = bench.paying();
    bench.permit(&request);
    bench.finish_writes();
    assert_eq!(bench.pins, [request.transaction]);
    let (sent, rested) = (bench.sent.len(), bench.safe_states);
    bench.call(|terminal, now, entropy| terminal.power_cut(0, now, entropy));
    assert_eq!((bench.safe_states, bench.sent.len()), (rested + 1, sent));
    bench.connect();
    assert_eq!(bench.terminal.writes_waiting(), 1, "the uncertain result");
    assert_eq!(
        bench.sent.len(),
        sent,
        "nothing is said before it is on the disk"
    );
    bench.call(Terminal::complete_write);
    let said: Vec<_> = bench.sent[sent..].iter().map(|(kind, _)| *kind).collect();
    assert_eq!(said, [Up::Hello, Up::Health, Up::Linkage]);
    let reason = UncertainReason::IntentWithoutDone;
    assert_eq!(bench.outcomes(), [LinkageOutcome::Uncertain { reason }]);
    let hello: Hello = decode(&bench.sent[sent].1).unwrap().body;
    assert_eq!(
        hello.open,
        [request.transaction],
        "the platform can ask at once"
    );
}

#[test]
fn hello_of_a_connection_that_is_gone_is_not_said() {
    let mut bench = Bench::new(setup(true));
    bench.finish_writes();
    let (_, request) = bench.paying();
    bench.permit(&request);
    bench.finish_writes();
    bench.call(|terminal, now, entropy| terminal.power_cut(0, now, entropy));
    let sent = bench.sent.len();
    bench.connect();
    bench.terminal.handle_disconnected();
    bench.finish_writes();
    assert_eq!(bench.sent.len(), sent);
    bench.connect();
    let said: Vec<_> = bench.sent[sent..].iter().map(|(kind, _)| *kind).collect();
    assert_eq!(said, [Up::Hello, Up::Health, Up::Linkage]);
}

#[test]
fn a_run_goes_on_while_the_journal_is_opened_anew_and_no_off_cuts_it() {
    let mut bench = Bench::new(setup(false));
    let (_, first) = bench.paying();
    bench.permit(&first);
    bench.terminal.fail_next_sync(0);
    bench.call(|terminal, now, entropy| {
        terminal.switched(first.transaction, vec![], now, entropy);
    });
    bench.now = 5_000;
    bench.timeout();
    assert!(bench.terminal.is_serving());
    let (_, second) = bench.paying();
    let off = LinkageCommand::Off(signed(&off(&second, OffReason::Expired)));
    bench.deliver(Down::Linkage, off);
    assert_eq!((bench.safe_states, bench.offs), (1, 0));
}

#[test]
fn forks_that_do_the_same_stay_equal() {
    let mut first = Bench::new(setup(true));
    let mut second = first.clone();
    assert_eq!(first.terminal, second.terminal);
    let (_, request) = first.paying();
    assert_ne!(first.terminal, second.terminal);
    second.paying();
    assert_eq!(first.terminal, second.terminal);
    assert_eq!(first.sent, second.sent);
    first.permit(&request);
    assert_ne!(first.terminal, second.terminal);
}

#[test]
fn a_lost_a_damaged_and_an_older_journal_are_what_they_are() {
    let mut bench = Bench::new(setup(false));
    let (_, request) = bench.paying();
    let older = bench.terminal.clone_journal();
    assert_eq!(older.id(), request.journal);
    bench.permit(&request);
    let asked = |bench: &mut Bench| {
        let inquiry = Inquiry {
            aud: ours(),
            transaction: request.transaction,
            nonce: Nonce::from_random([4; 16]),
            journal: request.journal,
            asked_at: Utc::EPOCH,
        };
        bench.connect();
        bench.deliver(Down::Inquiry, signed(&inquiry));
        let (_, payload) = bench
            .sent
            .iter()
            .rev()
            .find(|(kind, _)| *kind == Up::Linkage)
            .unwrap();
        match decode(payload).unwrap().body {
            LinkageMessage::Answer(answer) => claims(&answer).finding,
            LinkageMessage::Result(_) => panic!("no answer"),
        }
    };
    let lost = Finding::Uncertain(UncertainReason::JournalLost);
    let mut damaged = bench.clone();
    damaged.call(|terminal, now, entropy| terminal.damage_journal(1, now, entropy));
    assert_eq!(asked(&mut damaged), lost);
    assert!(!damaged.terminal.is_free(at(0)));
    let mut emptied = bench.clone();
    emptied.call(Terminal::lose_journal);
    assert_eq!(asked(&mut emptied), lost);
    bench.call(|terminal, now, entropy| terminal.restore_journal(older, now, entropy));
    assert_eq!(
        asked(&mut bench),
        Finding::Tombstone,
        "nothing here can tell"
    );
}
