//! A phone-sized Chromium without a screen, driven by chromedriver.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use process::clock::Clock;
use serde_json::{Value, json};
use tests::programs::{self, Program};
use tokio::process::Command;
use tokio::time::timeout;

/// What a payer holds (CSS pixels).
const SIZE: (u32, u32) = (390, 844);

/// For the next page. Chromium shares two processors with everything else here.
const WAIT: Duration = Duration::from_secs(30);

/// A whole visit with all its waits, and as long for a browser that hangs to be closed.
const VISIT_TIMEOUT: Duration = Duration::from_secs(90);

/// Nothing but the pages: no look for updates, no sandbox (tests run as root, too).
const FLAGS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// Chrome's number for a content setting that blocks.
const BLOCK: u8 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scripts {
    Run,
    Blocked,
}

/// Paths of the programs from elsewhere.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    pub(super) chromium: PathBuf,
    pub(super) chromedriver: PathBuf,
    pub(super) python: PathBuf,
}

/// One window with one page.
#[derive(Debug)]
pub(super) struct Window {
    client: Client,
    /// First part of the names of its pictures.
    name: &'static str,
}

/// Opens a window, goes through `visit` with it, and closes it whatever happened.
pub(super) async fn with_window<V, F>(tools: &Tools, name: &'static str, scripts: Scripts, visit: V)
where
    V: FnOnce(Arc<Window>) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let profile = tempfile::tempdir().unwrap();
    let port = programs::free_port().unwrap().to_string();
    let (words, log) = (
        [format!("--port={port}")],
        profile.path().join("driver.log"),
    );
    let words = words.each_ref().map(String::as_str);
    let mut driver = Program::spawn(&tools.chromedriver, "chromedriver", &words, &log).unwrap();
    let address = format!("http://127.0.0.1:{port}");
    let status = format!("{address}/status");
    driver.wait_ready(&status, &Clock::system()).await.unwrap();
    let client = ClientBuilder::new(HttpConnector::new())
        .capabilities(capabilities(tools, scripts, profile.path()))
        .connect(&address)
        .await
        .unwrap();
    let capabilities = client.capabilities().unwrap();
    let browser = capabilities["goog:processID"].as_u64().unwrap();
    let window = Window {
        client: client.clone(),
        name,
    };
    let visit = tokio::spawn(visit(Arc::new(window)));
    let visited = timeout(VISIT_TIMEOUT, visit).await;
    let closed = timeout(VISIT_TIMEOUT, client.close()).await;
    driver.stop().await.ok();
    if closed.is_err() {
        kill(browser).await;
    }
    visited.expect("the browser hangs").unwrap();
    closed.expect("the browser does not close").unwrap();
}

/// A browser that hangs outlives its driver.
async fn kill(browser: u64) {
    let words = ["-KILL".to_owned(), browser.to_string()];
    let killed = Command::new("kill").args(words).status().await;
    assert!(
        killed.unwrap().success(),
        "chromium {browser} is left behind"
    );
}

fn capabilities(tools: &Tools, scripts: Scripts, profile: &Path) -> serde_json::Map<String, Value> {
    let mut flags: Vec<_> = FLAGS.map(str::to_owned).to_vec();
    flags.push(format!(
        "--user-data-dir={}",
        profile.join("user").display()
    ));
    let mut preferences = json!({});
    if scripts == Scripts::Blocked {
        preferences["profile.managed_default_content_settings.javascript"] = json!(BLOCK);
    }
    let (width, height) = SIZE;
    // With touch emulation and scripts blocked, chromedriver 156 waits for ever after a click.
    let touch = scripts == Scripts::Run;
    let options = json!({
        "binary": tools.chromium,
        "args": flags,
        "prefs": preferences,
        "mobileEmulation": {
            "deviceMetrics": { "width": width, "height": height, "pixelRatio": 2.0, "touch": touch },
        },
    });
    [("goog:chromeOptions".to_owned(), options)]
        .into_iter()
        .collect()
}

impl Window {
    pub(super) async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Waits until the terminal's page shows `state`.
    pub(super) async fn shows(&self, state: &str) {
        self.find(&format!("main[data-state=\"{state}\"]")).await;
    }

    /// Waits until there is such an element.
    pub(super) async fn find(&self, css: &str) -> fantoccini::elements::Element {
        let wait = self.client.wait().at_most(WAIT);
        let found = wait.for_element(Locator::Css(css)).await;
        match found {
            Ok(element) => element,
            Err(error) => {
                let source = self.client.source().await.unwrap();
                panic!("no {css} at {}: {error}\n{source}", self.url().await)
            }
        }
    }

    pub(super) async fn press(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    /// Types into a field in place of what it holds.
    pub(super) async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Gives a file to a field for files.
    pub(super) async fn choose(&self, css: &str, file: &Path) {
        let field = self.find(css).await;
        field.send_keys(file.to_str().unwrap()).await.unwrap();
    }

    pub(super) async fn value(&self, css: &str) -> String {
        let field = self.find(css).await;
        field.prop("value").await.unwrap().unwrap()
    }

    pub(super) async fn url(&self) -> String {
        self.client.current_url().await.unwrap().to_string()
    }

    /// All that can be read on the page.
    pub(super) async fn text(&self) -> String {
        self.find("body").await.text().await.unwrap()
    }

    /// Keeps what the phone shows as `target/screenshots/WINDOW-NAME.png`, and checks that it
    /// needs no scrolling to the side.
    pub(super) async fn picture(&self, name: &str) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let folder = root.join("target/screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        let picture = self.client.screenshot().await.unwrap();
        std::fs::write(folder.join(format!("{}-{name}.png", self.name)), picture).unwrap();
        let script = "return document.documentElement.scrollWidth - window.innerWidth";
        let excess = self.client.execute(script, vec![]).await.unwrap();
        assert!(
            excess.as_i64().unwrap() <= 0,
            "{name} is too wide by {excess}"
        );
    }
}
