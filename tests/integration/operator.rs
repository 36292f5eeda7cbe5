//! The operator's hand on separate programs: commands against a platform that runs, and a store
//! that is taken back from a backup.

use std::path::Path;
use std::time::Duration;

use platform::audit::{self, Audit};
use process::clock::Clock;
use serde_json::Value;
use tests::stand::{self, Ended, Plan, Role, Stand};
use tests::visit::{Press, Visit};

/// From an act to what follows of it: a question to the payment server, or a terminal that
/// connects again after its longest pause.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(60);

const LOOK_INTERVAL: Duration = Duration::from_millis(50);

struct Shop {
    stand: Stand,
    clock: Clock,
    folder: tempfile::TempDir,
}

impl Shop {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            stand: Stand::start(Plan::new(folder.path())).await.unwrap(),
            clock: Clock::system(),
            folder,
        }
    }

    /// A command of the platform.
    async fn ask(&self, words: &[&str]) -> Ended {
        let config = self.stand.config(Role::Platform);
        let words = [words, &["--config"]].concat();
        stand::run(Role::Platform, &words, Some(&config))
            .await
            .unwrap()
    }

    /// The same, by name and with a reason.
    async fn act(&self, words: &[&str]) -> Ended {
        let person = ["--name", "Ada King", "--reason", "bent arm"];
        self.ask(&[words, &person].concat()).await
    }

    async fn visit(&self) -> String {
        let mut visit = Visit::new(&self.stand.page(), &self.clock);
        visit.run(Press::Pay, FOLLOW_TIMEOUT).await.unwrap().state()
    }

    fn books(&self) -> Audit {
        let audit = audit::read(self.stand.platform_data()).unwrap();
        assert!(audit.is_clean(), "{audit:?}");
        audit
    }

    /// Waits until `is_so` of what the API tells at `path`.
    async fn until(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let deadline = self.clock.now().tick + FOLLOW_TIMEOUT;
        loop {
            let told = self.stand.fetch(path).await.unwrap();
            if is_so(&told) {
                return told;
            }
            assert!(self.clock.now().tick < deadline, "{path}: {told}");
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    async fn only_sale(&self) -> String {
        let page = self.stand.fetch("/api/v1/transactions").await.unwrap();
        let sale = page["transactions"][0]["transaction"].as_str();
        sale.unwrap().to_owned()
    }

    async fn close(self) {
        self.stand.stop().await.unwrap();
        self.folder.close().unwrap();
    }
}

/// A command that did what it should, and the one line it printed.
fn done(ended: &Ended) -> &str {
    assert_eq!((ended.code, ended.errors.as_str()), (0, ""), "{ended:?}");
    assert_eq!(ended.printed.lines().count(), 1, "{ended:?}");
    ended.printed.trim_end()
}

/// A command that did nothing, with its exit code and the one line about it.
fn refused(ended: &Ended, code: i32) -> &str {
    assert_eq!(
        (ended.code, ended.printed.as_str()),
        (code, ""),
        "{ended:?}"
    );
    assert_eq!(ended.errors.lines().count(), 1, "{ended:?}");
    ended.errors.trim_end()
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_holds_releases_and_is_told_when_no_platform_runs() {
    let mut shop = Shop::open().await;
    let held = shop.act(&["hold", "north/washer-1"]).await;
    assert!(
        done(&held).starts_with("north/washer-1: held; no new orders, open ones drain; act "),
        "{held:?}"
    );
    let holds = shop.stand.fetch("/api/v1/holds").await.unwrap();
    assert_eq!(holds["holds"][0]["scope"], "north/washer-1");
    assert_eq!(holds["holds"][0]["name"], "Ada King");
    let twice = shop.act(&["hold", "north/washer-1"]).await;
    assert_eq!(
        refused(&twice, 1),
        "error: north/washer-1 is held already (409)"
    );
    let unknown = shop.act(&["hold", "south"]).await;
    assert_eq!(
        refused(&unknown, 1),
        "error: south is no terminal, site or payment server of this platform (404)"
    );
    shop.stand.kill(Role::Platform).await.unwrap();
    let down = shop.act(&["release", "north/washer-1"]).await;
    let line = refused(&down, 69);
    assert!(
        line.starts_with("error: no platform answers at 127.0.0.1:"),
        "{line}"
    );
    shop.stand.start_program(Role::Platform).await.unwrap();
    let released = shop.act(&["release", "north/washer-1"]).await;
    assert!(done(&released).starts_with("north/washer-1: released; act "));
    assert_eq!(shop.visit().await, "done");
    shop.books();
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_refunds_a_sale_that_was_served_once() {
    let shop = Shop::open().await;
    assert_eq!(shop.visit().await, "done");
    let sale = shop.only_sale().await;
    let id = "0123456789abcdef0123456789abcdef";
    let words = ["refund", sale.as_str(), "--id", id];
    let refund = shop.act(&words).await;
    assert_eq!(done(&refund), format!("{sale}: refund begun; act {id}"));
    let again = shop.act(&words).await;
    assert_eq!(
        done(&again),
        format!("{sale}: refund begun (done before); act {id}")
    );
    let path = format!("/api/v1/transactions/{sale}");
    let told = shop
        .until(&path, |sale| sale["refunds"][0]["status"] == "succeeded")
        .await;
    assert_eq!(told["refunds"].as_array().unwrap().len(), 1, "{told}");
    let audit = shop.books();
    let [kept] = &audit.transactions[..] else {
        panic!("{audit:?}")
    };
    assert_eq!(
        (kept.received, kept.refunded, kept.suspense),
        (1_200, 1_200, 0)
    );
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_opens_for_the_payer_who_stands_there() {
    let shop = Shop::open().await;
    let nobody = shop.act(&["open", "north/washer-1"]).await;
    assert_eq!(
        refused(&nobody, 1),
        "error: nobody is being asked to pay at north/washer-1: let the payer begin at the \
         terminal, then open (409)"
    );
    let mut visit = Visit::new(&shop.stand.page(), &shop.clock);
    let bill = visit.to_bill().await.unwrap();
    let opened = shop.act(&["open", "north/washer-1"]).await;
    let sale = shop.only_sale().await;
    assert!(
        done(&opened).starts_with(&format!("{sale}: ON is signed; act ")),
        "{opened:?}"
    );
    let end = visit.to_end(&bill, FOLLOW_TIMEOUT).await.unwrap();
    assert_eq!(end.state(), "done");
    let path = format!("/api/v1/transactions/{sale}");
    let told = shop.until(&path, |sale| sale["state"] == "done").await;
    let permits = told["events"].as_array().unwrap().iter();
    let permits: Vec<_> = permits.filter(|event| event["kind"] == "permit").collect();
    assert_eq!(permits.len(), 1, "{told}");
    let ground = &permits[0]["detail"]["ground"];
    assert_eq!(
        (&ground["kind"], &ground["name"]),
        (&"operator".into(), &"Ada King".into())
    );
    shop.books();
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_takes_a_store_back_and_it_learns_from_its_terminals_first() {
    let mut shop = Shop::open().await;
    assert_eq!(shop.visit().await, "done");
    let target = shop.folder.path().join("backup");
    let target = target.to_str().unwrap().to_owned();
    // While a payer is at the payment server's page.
    let mut visit = Visit::new(&shop.stand.page(), &shop.clock);
    let bill = visit.to_bill().await.unwrap();
    let checkout = visit.to_checkout(&bill).await.unwrap();
    let backup = shop.ask(&["backup", &target]).await;
    assert!(done(&backup).contains(": backup of epoch "), "{backup:?}");
    let twice = shop.ask(&["backup", &target]).await;
    let line = refused(&twice, 78);
    assert!(
        line.ends_with("is there already: name a folder that is not"),
        "{line}"
    );
    let early = shop.ask(&["restore", &target]).await;
    assert!(
        refused(&early, 69).contains("another platform process is using this data folder"),
        "{early:?}"
    );
    let before = shop.stand.fetch("/api/v1/epoch").await.unwrap();
    assert_eq!(before["self_mending"], true, "{before}");
    // Served after the backup: the restored store has forgotten it.
    visit.press(&checkout, Press::Pay).await.unwrap();
    let end = visit.to_end(&bill, FOLLOW_TIMEOUT).await.unwrap();
    assert_eq!(end.state(), "done");
    shop.stand.kill(Role::Platform).await.unwrap();
    let restored = shop.ask(&["restore", &target]).await;
    assert_eq!(
        (restored.code, restored.errors.as_str()),
        (0, ""),
        "{restored:?}"
    );
    shop.stand.start_program(Role::Platform).await.unwrap();
    let after = shop
        .until("/api/v1/epoch", |epoch| epoch["self_mending"] == true)
        .await;
    assert_ne!(after["store_epoch"], before["store_epoch"]);
    // The payment is found again, and asked about at the terminal instead of returned. The journal
    // may have forgotten what the later store had settled: then it ends with a person, once the
    // permit is dead.
    let is_kept = |sale: &Value| {
        let states = ["commanded", "linkage_unknown", "done", "review"];
        states.iter().any(|state| sale["state"] == *state)
    };
    let told = shop
        .until("/api/v1/transactions", |page| {
            page["transactions"].as_array().unwrap().iter().all(is_kept)
        })
        .await;
    assert_eq!(told["transactions"].as_array().unwrap().len(), 2, "{told}");
    let audit = shop.books();
    let refunded: i64 = audit.transactions.iter().map(|sale| sale.refunded).sum();
    assert_eq!(refunded, 0, "{audit:?}");
    assert_eq!(shop.visit().await, "done");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_exports_what_was_washed() {
    let shop = Shop::open().await;
    for _ in 0..3 {
        assert_eq!(shop.visit().await, "done");
    }
    export(&shop, shop.folder.path()).await;
    shop.close().await;
}

/// Three washes, each once.
async fn export(shop: &Shop, folder: &Path) {
    let file = folder.join("books.csv");
    let (from, to) = ("2000-01-01", "2009-12-31");
    let empty = shop.ask(&["export", "--from", from, "--to", to]).await;
    assert!(
        done(&empty).starts_with("day,time_zone,merchant,"),
        "{empty:?}"
    );
    let now = shop.clock.now().utc.to_string();
    let year = &now[..4];
    let (from, to) = (format!("{year}-01-01"), format!("{year}-12-31"));
    let out = file.to_str().unwrap();
    let words = ["export", "--from", &from, "--to", &to, "--out", out];
    assert!(done(&shop.ask(&words).await).starts_with(out));
    let text = std::fs::read_to_string(&file).unwrap();
    let sums = text.lines().skip(1).map(|row| {
        let cells: Vec<_> = row.rsplit(',').collect();
        [cells[4].parse::<i64>().unwrap(), cells[2].parse().unwrap()]
    });
    let total = sums.fold([0, 0], |sum, row| [sum[0] + row[0], sum[1] + row[1]]);
    assert_eq!(total, [3_600, 3_600], "{text}");
}
