//! A real browser goes through the real pages, against the separate programs, while a Modbus
//! server that nobody here wrote sees the coil.

mod verifier;
mod window;

use std::path::{Path, PathBuf};
use std::time::Duration;

use process::clock::Clock;
use tests::programs::{self, Program};
use tests::stand::{Device, Plan, Role, Stand};
use tests::tool;
use tests::visit::Visit;

use window::{Scripts, Tools, Window, with_window};

/// A Python process starts, or a pulse of half a second ends.
const RELAY_TIMEOUT: Duration = Duration::from_secs(15);

const LOOK_INTERVAL: Duration = Duration::from_millis(50);

const ACCEPT: &str = "form[action=\"/accept\"] button";
const WASHES: &str = "input[name=\"quantity.wash-40\"]";
const ONE_MORE_WASH: &str = "input[name=\"quantity.wash-40\"] ~ button[data-step=\"1\"]";
const TO_THE_BILL: &str = "form[action$=\"/choose\"] > button";
const CANCEL: &str = "form[action$=\"/cancel\"] button";
const TO_PAYMENT: &str = "form[action$=\"/pay\"] button";
const PAY: &str = "button[value=\"pay\"]";
const DECLINE: &str = "button[value=\"decline\"]";
const LEAVE: &str = ".leave a";
const RECEIPT: &str = "main[data-key=\"done-receipt\"]";

/// pymodbus as the relay board of the terminal.
struct Board {
    program: Program,
    port: u16,
}

impl Board {
    async fn start(python: &Path, folder: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/modbus_relay.py");
        let port = programs::free_port().unwrap();
        let words = [script.to_str().unwrap(), "--port", &port.to_string()];
        let log = folder.join("relay.log");
        let program = Program::spawn(python, "modbus_relay.py", &words, &log).unwrap();
        let board = Self { program, port };
        board.wait_for(1).await;
        board
    }

    /// Waits until so many lines were printed.
    async fn wait_for(&self, lines: usize) {
        let clock = Clock::system();
        let deadline = clock.now().tick + RELAY_TIMEOUT;
        while self.program.output().lines().count() < lines {
            let late = clock.now().tick >= deadline;
            assert!(!late, "{}", self.program.output());
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// The coils that changed, without the times.
    fn changes(&self) -> Vec<String> {
        let output = self.program.output();
        let lines = output.lines().filter_map(|line| line.split_once(" coil "));
        lines.map(|(_, change)| change.to_owned()).collect()
    }
}

/// All that is needed and comes from elsewhere; `None` is told loudly.
fn tools() -> Option<Tools> {
    Some(Tools {
        chromium: find("chromium")?,
        chromedriver: find("chromedriver")?,
        python: tool::find_python().unwrap()?,
    })
}

fn find(program: &str) -> Option<PathBuf> {
    tool::find(program).unwrap()
}

struct Shop {
    folder: tempfile::TempDir,
    board: Board,
    stand: Stand,
}

impl Shop {
    async fn open(tools: &Tools, outcome: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let board = Board::start(&tools.python, folder.path()).await;
        let mut plan = Plan::new(folder.path());
        plan.device = Device::Modbus(([127, 0, 0, 1], board.port).into());
        plan.outcome = outcome;
        let stand = Stand::start(plan).await.unwrap();
        Self {
            folder,
            board,
            stand,
        }
    }

    /// Ends everything; then the coil has gone on once and off once, and that was all.
    async fn close_after_one_pulse(self) {
        self.board.wait_for(3).await;
        self.stand.stop().await.unwrap();
        assert_eq!(self.board.changes(), ["0 on", "0 off"]);
        self.folder.close().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn browser_pays_and_the_coil_goes_on_once_and_off_once() {
    pays("live", Scripts::Run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browser_pays_without_javascript() {
    pays("plain", Scripts::Blocked).await;
}

async fn pays(name: &'static str, scripts: Scripts) {
    let Some(tools) = tools() else { return };
    let shop = Shop::open(&tools, "paid").await;
    let (terminal, pages) = (
        shop.stand.page(),
        shop.stand.main_address(Role::Mock).port(),
    );
    with_window(&tools, name, scripts, move |window| async move {
        to_bill(&window, &terminal, scripts).await;
        window.press(TO_PAYMENT).await;
        window.find(PAY).await;
        window.picture("4-checkout").await;
        // Another origin than the terminal's, as in a shop.
        let url = window.url().await;
        assert!(
            url.starts_with(&format!("http://localhost:{pages}/")),
            "{url}"
        );
        window.press(PAY).await;
        window.shows("done").await;
        let url = window.url().await;
        assert!(url.starts_with(&terminal), "{url}");
        window.find(RECEIPT).await;
        window.picture("5-receipt").await;
        let text = window.text().await;
        for told in [
            "12.00 CNY",
            "Wash 40 °C",
            "North Street Laundry Ltd",
            "Machine 1",
        ] {
            assert!(text.contains(told), "{told} is not in:\n{text}");
        }
    })
    .await;
    shop.close_after_one_pulse().await;
}

/// Landing, agreement, one wash, bill.
async fn to_bill(window: &Window, terminal: &str, scripts: Scripts) {
    window.open(terminal).await;
    window.shows("free").await;
    window.picture("1-landing").await;
    window.press(ACCEPT).await;
    window.shows("choose").await;
    match scripts {
        Scripts::Run => window.press(ONE_MORE_WASH).await,
        Scripts::Blocked => window.fill(WASHES, "1").await,
    }
    assert_eq!(window.value(WASHES).await, "1");
    window.picture("2-choose").await;
    window.press(TO_THE_BILL).await;
    window.shows("bill").await;
    window.picture("3-bill").await;
    let text = window.text().await;
    assert!(text.contains("12.00 CNY"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn browser_reaches_the_payment_page_from_a_bill_that_came_by_itself() {
    let Some(tools) = tools() else { return };
    let shop = Shop::open(&tools, "paid").await;
    let terminal = shop.stand.page();
    with_window(&tools, "policy", Scripts::Run, move |window| async move {
        to_bill(&window, &terminal, Scripts::Run).await;
        window.press(TO_PAYMENT).await;
        window.press(PAY).await;
        window.find(RECEIPT).await;
    })
    .await;
    shop.close_after_one_pulse().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browser_shows_a_payer_every_turn_of_a_visit() {
    let Some(tools) = tools() else { return };
    let mut shop = Shop::open(&tools, "slow-answer").await;
    let terminal = shop.stand.page();
    let page = terminal.clone();
    with_window(&tools, "turn", Scripts::Run, move |window| async move {
        cancels(&window, &page).await;
        hesitates_and_pays(&window, &page).await;
        comes_second(&window, &page).await;
    })
    .await;
    shop.stand.kill(Role::Platform).await.unwrap();
    with_window(&tools, "trouble", Scripts::Run, move |window| async move {
        window.open(&terminal).await;
        window.shows("unavailable").await;
        window.picture("1-out-of-service").await;
        window
            .open(&format!("{terminal}/s/{}", "0".repeat(32)))
            .await;
        window.shows("gone").await;
        window.picture("2-gone").await;
        window.open(&format!("{terminal}/nowhere")).await;
        window.shows("no_page").await;
        window.picture("3-no-page").await;
    })
    .await;
    shop.stand.start_program(Role::Platform).await.unwrap();
    shop.close_after_one_pulse().await;
}

async fn cancels(window: &Window, terminal: &str) {
    to_bill(window, terminal, Scripts::Run).await;
    window.press(CANCEL).await;
    window.shows("cancelled").await;
    window.picture("4-cancelled").await;
}

/// Leaves the payment page, goes there again, declines, pays, waits for a slow bank.
async fn hesitates_and_pays(window: &Window, terminal: &str) {
    to_bill(window, terminal, Scripts::Run).await;
    window.press(TO_PAYMENT).await;
    window.press(LEAVE).await;
    window.shows("verifying").await;
    window.picture("5-returned-without-paying").await;
    window.press(TO_PAYMENT).await;
    window.press(DECLINE).await;
    window.find(".notice.bad").await;
    window.picture("6-declined").await;
    window.press(PAY).await;
    window.shows("verifying").await;
    window.picture("7-verifying").await;
    window.shows("done").await;
    window.picture("8-done").await;
    window.find(RECEIPT).await;
    window.picture("9-receipt").await;
}

/// Somebody else is being served.
async fn comes_second(window: &Window, terminal: &str) {
    let mut first = Visit::new(terminal, &Clock::system());
    let bill = first.to_bill().await.unwrap();
    window.open(terminal).await;
    window.shows("busy").await;
    window.picture("10-busy").await;
    let cancel = bill.form("/cancel").unwrap();
    first.phone().submit(&bill, &cancel).await.unwrap();
    window.shows("free").await;
}
