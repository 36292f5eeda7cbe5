//! The separate programs on loopback: one whole payment, kills in the middle of it, and what an
//! operator is told about a wrong configuration.

use std::net::TcpListener;
use std::time::Duration;

use platform::audit::{self, Audit};
use process::clock::Clock;
use tests::phone::Page;
use tests::programs::Program;
use tests::relay::Relay;
use tests::stand::{self, Device, Plan, Role, Stand};
use tests::visit::{ENDS, Press, Visit};

/// What one wash costs, in fen.
const PRICE: i64 = 1_200;

/// From the return of a killed program to the end of the sale. A sale that can't be served any
/// more waits for the end of its order first.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);

const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// A program that can't start says so at once.
const END_TIMEOUT: Duration = Duration::from_secs(15);

/// A shop whose relay stands outside all of its programs.
struct Shop {
    folder: tempfile::TempDir,
    relay: Relay,
    stand: Stand,
    clock: Clock,
}

impl Shop {
    async fn open(plan: impl FnOnce(Plan) -> Plan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let relay = Relay::start().await.unwrap();
        let mut chosen = plan(Plan::new(folder.path()));
        chosen.device = Device::Modbus(relay.address());
        Self {
            relay,
            stand: Stand::start(chosen).await.unwrap(),
            clock: Clock::system(),
            folder,
        }
    }

    fn visit(&self) -> Visit {
        Visit::new(&self.stand.page(), &self.clock)
    }

    /// Waits until nothing more happens to the only sale.
    async fn settled(&self) -> Audit {
        let deadline = self.clock.now().tick + SETTLE_TIMEOUT;
        loop {
            let audit = audit::read(self.stand.platform_data()).unwrap();
            let [sale] = &audit.transactions[..] else {
                panic!("not one sale: {audit:?}")
            };
            if matches!(sale.state.as_str(), "done" | "refunded") && sale.suspense == 0 {
                return audit;
            }
            let late = self.clock.now().tick >= deadline;
            assert!(!late, "not settled: {sale:?}\n{}", self.logs());
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    fn logs(&self) -> String {
        let log = |role| std::fs::read_to_string(self.stand.log(role)).unwrap_or_default();
        Role::ALL.map(log).join("\n")
    }

    /// Ends every program; nothing happens to the sale that had settled.
    async fn close(self) {
        let data = self.stand.platform_data();
        let settled = books(&audit::read(&data).unwrap(), &self.relay);
        self.stand.stop().await.unwrap();
        let left = books(&audit::read(&data).unwrap(), &self.relay);
        assert_eq!(left, settled);
        self.folder.close().unwrap();
    }
}

/// State, received, refunded, kept, suspense, and ONs of the only sale.
fn books(audit: &Audit, relay: &Relay) -> (String, [i64; 4], usize) {
    assert!(audit.is_clean(), "{audit:?}");
    let [sale] = &audit.transactions[..] else {
        panic!("not one sale: {audit:?}")
    };
    let money = [sale.received, sale.refunded, sale.kept, sale.suspense];
    (sale.state.clone(), money, relay.on_count())
}

fn served_once() -> (String, [i64; 4], usize) {
    ("done".to_owned(), [PRICE, 0, PRICE, 0], 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_a_payment_switches_the_relay_once_and_the_api_tells_it() {
    let shop = Shop::open(|plan| plan).await;
    let end = shop.visit().run(Press::Pay, SETTLE_TIMEOUT).await.unwrap();
    assert_eq!(end.state(), "done");
    let audit = shop.settled().await;
    assert_eq!(books(&audit, &shop.relay), served_once());
    let page = shop.stand.fetch("/api/v1/transactions").await.unwrap();
    let listed = page["transactions"].as_array().unwrap();
    assert_eq!(listed.len(), 1, "{page}");
    let sale = &listed[0];
    assert_eq!(
        (&sale["state"], &sale["terminal"]),
        (&"done".into(), &"north/washer-1".into())
    );
    let id = sale["transaction"].as_str().unwrap();
    let path = format!("/api/v1/transactions/{id}");
    let detail = shop.stand.fetch(&path).await.unwrap();
    assert_eq!(detail["payments"].as_array().unwrap().len(), 1, "{detail}");
    assert_eq!(detail["refunds"].as_array().unwrap().len(), 0, "{detail}");
    let terminals = shop.stand.fetch("/api/v1/terminals").await.unwrap();
    assert!(
        terminals.to_string().contains("north/washer-1"),
        "{terminals}"
    );
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_a_platform_killed_between_payment_and_on_serves_once() {
    let mut shop = Shop::open(|plan| plan).await;
    let mut visit = shop.visit();
    let bill = visit.to_bill().await.unwrap();
    let checkout = visit.to_checkout(&bill).await.unwrap();
    shop.stand.kill(Role::Platform).await.unwrap();
    let back = visit.press(&checkout, Press::Pay).await.unwrap();
    assert_eq!(
        (back.state().as_str(), shop.relay.on_count()),
        ("verifying", 0)
    );
    shop.stand.start_program(Role::Platform).await.unwrap();
    let end = visit.to_end(&bill, SETTLE_TIMEOUT).await.unwrap();
    assert_eq!(end.state(), "done", "{}", shop.logs());
    let audit = shop.settled().await;
    assert_eq!(books(&audit, &shop.relay), served_once());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_a_terminal_killed_before_the_payment_serves_once_or_gives_back() {
    let mut shop = Shop::open(Plan::brisk).await;
    let mut visit = shop.visit();
    let bill = visit.to_bill().await.unwrap();
    let checkout = visit.to_checkout(&bill).await.unwrap();
    shop.stand.kill(Role::Terminal).await.unwrap();
    // The payer has paid; the way back leads to nobody.
    assert!(visit.press(&checkout, Press::Pay).await.is_err());
    shop.stand.start_program(Role::Terminal).await.unwrap();
    // Asked again at once, and when all is over.
    let asked = bill.url.to_string();
    assert_told(&visit.phone().open(&asked).await.unwrap());
    assert_once_or_not_at_all(&shop).await;
    assert_told(&visit.phone().open(&asked).await.unwrap());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_a_terminal_killed_after_the_payment_serves_once_or_gives_back() {
    let mut shop = Shop::open(Plan::brisk).await;
    let mut visit = shop.visit();
    let bill = visit.to_bill().await.unwrap();
    let checkout = visit.to_checkout(&bill).await.unwrap();
    visit.press(&checkout, Press::Pay).await.unwrap();
    shop.stand.kill(Role::Terminal).await.unwrap();
    shop.stand.start_program(Role::Terminal).await.unwrap();
    assert_once_or_not_at_all(&shop).await;
    shop.close().await;
}

/// Whoever asks gets a page that says where things stand, if only that this order has ended.
fn assert_told(page: &Page) {
    let known = [&ENDS[..], &["verifying", "actuating", "paying", "gone"]].concat();
    assert!(known.contains(&page.state().as_str()), "{}", page.body);
}

async fn assert_once_or_not_at_all(shop: &Shop) {
    let audit = shop.settled().await;
    let found = books(&audit, &shop.relay);
    let given_back = ("refunded".to_owned(), [PRICE, PRICE, 0, 0], 0);
    assert!(
        found == served_once() || found == given_back,
        "{found:?}\n{}",
        shop.logs()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_tell_a_newcomer_what_they_do() {
    for role in Role::ALL {
        for words in [&["--help"][..], &["run", "--help"], &["--version"]] {
            let ended = stand::run(role, words, None).await.unwrap();
            assert_eq!(
                (ended.code, ended.errors.as_str()),
                (0, ""),
                "{role:?} {words:?}"
            );
            assert!(!ended.printed.is_empty(), "{role:?} {words:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_refuse_words_that_they_do_not_know_with_64() {
    for role in Role::ALL {
        let ended = stand::run(role, &["dance"], None).await.unwrap();
        assert_eq!((ended.code, ended.printed.as_str()), (64, ""), "{role:?}");
        assert!(ended.errors.contains("--help"), "{role:?}: {ended:?}");
    }
}

/// What is put into a configuration, and how the line about it goes on after the file's name.
struct Mistake {
    role: Role,
    /// Text of the good file, and what replaces it.
    replaced: (&'static str, &'static str),
    told: &'static str,
}

const MISTAKES: [Mistake; 8] = [
    Mistake {
        role: Role::Broker,
        replaced: ("health =", "colour = \"blue\"\nhealth ="),
        told: "colour",
    },
    Mistake {
        role: Role::Platform,
        replaced: ("sites =", "colour = \"blue\"\nsites ="),
        told: "colour",
    },
    Mistake {
        role: Role::Mock,
        replaced: ("gateway =", "colour = \"blue\"\ngateway ="),
        told: "colour",
    },
    Mistake {
        role: Role::Terminal,
        replaced: ("data_folder =", "colour = \"blue\"\ndata_folder ="),
        told: "colour",
    },
    Mistake {
        role: Role::Broker,
        replaced: (
            "[[listen]]\naddress = \"127.0.0.1:",
            "[[listen]]\naddress = 1883 # \"",
        ),
        told: "listen[0].address",
    },
    Mistake {
        role: Role::Platform,
        replaced: ("[api]\nlisten = \"127.0.0.1:", "[api]\nlisten = 7080 # \""),
        told: "api.listen",
    },
    Mistake {
        role: Role::Mock,
        replaced: (
            "[http]\nlisten = \"127.0.0.1:",
            "[http]\nlisten = 8090 # \"",
        ),
        told: "http.listen",
    },
    Mistake {
        role: Role::Terminal,
        replaced: ("nonce_grace_ms = 60000", "nonce_grace_ms = \"soon\""),
        told: "timeouts.nonce_grace_ms",
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn programs_tell_a_wrong_field_in_one_line_with_file_field_and_fix() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::prepare(Plan::new(folder.path())).await.unwrap();
    for role in Role::ALL {
        let ended = check_config(role, &stand).await;
        assert_eq!((ended.code, ended.errors.as_str()), (0, ""), "{role:?}");
    }
    for mistake in &MISTAKES {
        let file = stand.config(mistake.role);
        let good = std::fs::read_to_string(&file).unwrap();
        let (from, to) = mistake.replaced;
        assert!(good.contains(from), "{good}");
        std::fs::write(&file, good.replacen(from, to, 1)).unwrap();
        let ended = check_config(mistake.role, &stand).await;
        std::fs::write(&file, good).unwrap();
        let start = format!("error: {}: {}: ", file.display(), mistake.told);
        assert_one_line(&ended, &start);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_tell_a_missing_file_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::prepare(Plan::new(folder.path())).await.unwrap();
    for role in Role::ALL {
        let file = stand.config(role);
        std::fs::remove_file(&file).unwrap();
        for words in [&["check-config", "--config"], &["run", "--config"]] {
            let ended = stand::run(role, words, Some(&file)).await.unwrap();
            assert_one_line(&ended, &format!("error: {}: ", file.display()));
        }
    }
}

async fn check_config(role: Role, stand: &Stand) -> stand::Ended {
    let file = stand.config(role);
    stand::run(role, &["check-config", "--config"], Some(&file))
        .await
        .unwrap()
}

/// One line: where, what, and after a semicolon what to do.
fn assert_one_line(ended: &stand::Ended, start: &str) {
    let told = &ended.errors;
    assert_eq!((ended.code, ended.printed.as_str()), (78, ""), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(
        told.starts_with(start),
        "{told} does not start with {start}"
    );
    assert!(told.contains("; "), "{told} says no fix");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_tell_a_taken_port_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::prepare(Plan::new(folder.path())).await.unwrap();
    for role in Role::ALL {
        let address = stand.main_address(role);
        let taken = TcpListener::bind(address).unwrap();
        let (config, log) = (stand.config(role), stand.log(role));
        let words = ["run", "--config", config.to_str().unwrap()];
        let mut program = Program::start(role.program(), &words, &log).unwrap();
        let code = program.wait(END_TIMEOUT).await.unwrap();
        drop(taken);
        let output = program.output();
        let told: Vec<_> = output
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        assert_eq!((code, told.len()), (69, 1), "{role:?}: {output}");
        assert!(told[0].contains(&address.to_string()), "{role:?}: {output}");
    }
}
