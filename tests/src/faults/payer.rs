//! A payer whose phone loses every second connection: it comes back after each error, pays once,
//! and looks until it knows how it ended.

use std::time::Duration;

use anyhow::Context as _;
use hyper::Uri;
use process::clock::Clock;
use protocol::evidence::{self, PublishedKeys, ReceiptFile};
use protocol::message::Receipt;
use protocol::time::Tick;

use crate::html;
use crate::phone::{Page, Phone};
use crate::visit::ENDS;

/// Between two looks; a page without JavaScript refreshes every second or slower.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Between two looks at the platform's status page, which refreshes every ten seconds.
const STATUS_INTERVAL: Duration = Duration::from_millis(400);

/// Where a platform has the status pages of its payers.
const STATUS_PATH: &str = "/r/";

/// What a payer knows in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Whether a press of the payment server's button was answered, or may have been taken.
    pub has_pressed: bool,
    /// The receipt that was downloaded, from terminal or platform, and checked with the keys that
    /// the platform publishes.
    pub receipt: Option<Box<Receipt>>,
    /// The last page: one of [`ENDS`], `gone`, or a word of the platform's status page.
    pub state: String,
    /// Where it came back to.
    pub session: Option<String>,
    /// The status page that the bill named.
    pub status: Option<String>,
}

/// A payer under way.
#[derive(Debug)]
pub struct Payer {
    phone: Phone,
    clock: Clock,
    terminal: String,
    session: Option<Uri>,
    checkout: Option<Uri>,
    /// The status page at the platform.
    status: Option<Uri>,
    has_pressed: bool,
    /// The payment server takes no payment any more.
    is_checkout_over: bool,
    state: String,
}

/// Where to look next.
enum Next {
    At(String),
    Again,
    /// The same, but not soon.
    Later,
    End(Option<Box<Receipt>>),
}

impl Payer {
    #[must_use]
    pub fn new(terminal: &str, clock: &Clock) -> Self {
        Self {
            phone: Phone::new(clock.clone()),
            clock: clock.clone(),
            terminal: terminal.to_owned(),
            session: None,
            checkout: None,
            status: None,
            has_pressed: false,
            is_checkout_over: false,
            state: String::new(),
        }
    }

    /// Goes the whole way, until it is over or `deadline` has come.
    pub async fn run(mut self, deadline: Tick) -> Told {
        let mut url = self.terminal.clone();
        while self.clock.now().tick < deadline {
            match self.step(&url).await {
                Ok(Next::At(next)) => url = next,
                Ok(Next::Again) => tokio::time::sleep(LOOK_INTERVAL).await,
                Ok(Next::Later) => tokio::time::sleep(STATUS_INTERVAL).await,
                Ok(Next::End(receipt)) => return self.told(receipt),
                Err(error) => {
                    tracing::debug!(%error, url, "the payer tries again");
                    tokio::time::sleep(LOOK_INTERVAL).await;
                }
            }
        }
        self.told(None)
    }

    fn told(self, receipt: Option<Box<Receipt>>) -> Told {
        Told {
            has_pressed: self.has_pressed,
            receipt,
            state: self.state,
            session: self.session.map(|session| session.to_string()),
            status: self.status.map(|status| status.to_string()),
        }
    }

    async fn step(&mut self, url: &str) -> anyhow::Result<Next> {
        let page = self.phone.open(url).await?;
        if self.is_checkout(&page.url) {
            return self.at_checkout(&page).await;
        }
        if page.status == 429 {
            return Ok(Next::Later);
        }
        self.state = page.state();
        if page.url.path().starts_with(STATUS_PATH) {
            return self.at_status(&page).await;
        }
        match self.state.as_str() {
            "free" if self.session.is_some() => self.begin_anew(),
            "free" => {
                let next = self.phone.submit(&page, &page.form("/accept")?).await?;
                Ok(self.enter(&next))
            }
            "choose" => {
                let form = page
                    .form("/choose")?
                    .with("quantity.wash-40", "1")
                    .with("quantity.dry-30", "0");
                self.phone.submit(&page, &form).await?;
                Ok(Next::Again)
            }
            "bill" => {
                let links = html::links(&page.body).into_iter();
                let mut links = links.filter_map(|link| link.parse::<Uri>().ok());
                self.status = links.find(is_status);
                let checkout = self.phone.submit(&page, &page.form("/pay")?).await?;
                Ok(self.leave(&page.url, &checkout))
            }
            "paying" | "verifying" => Ok(self.wait_for_payment()),
            "done" => self.fetch_receipt(&page, Next::Again).await,
            "gone" | "no_page" | "wrong" | "unavailable" => self.begin_anew(),
            state if ENDS.contains(&state) => Ok(self.leave_terminal()),
            _ => Ok(Next::Again),
        }
    }

    fn is_checkout(&self, url: &Uri) -> bool {
        let known = self.checkout.as_ref();
        known.is_some_and(|checkout| checkout.authority() == url.authority())
    }

    fn enter(&mut self, page: &Page) -> Next {
        if !page.url.path().starts_with("/s/") {
            return Next::Again;
        }
        self.session = Some(page.url.clone());
        Next::At(page.url.to_string())
    }

    fn leave(&mut self, bill: &Uri, checkout: &Page) -> Next {
        if checkout.url.authority() == bill.authority() {
            return Next::Again;
        }
        self.checkout = Some(checkout.url.clone());
        Next::At(checkout.url.to_string())
    }

    /// A payer who may have paid never starts a second sale.
    fn begin_anew(&mut self) -> anyhow::Result<Next> {
        if self.has_pressed {
            return Ok(self.leave_terminal());
        }
        self.session = None;
        self.checkout = None;
        self.status = None;
        self.is_checkout_over = false;
        Ok(Next::At(self.terminal.clone()))
    }

    async fn at_checkout(&mut self, page: &Page) -> anyhow::Result<Next> {
        let Some(session) = self.session.as_ref().map(Uri::to_string) else {
            return self.begin_anew();
        };
        if page.status >= 500 {
            return Ok(Next::Again);
        }
        let Ok(form) = page.form("") else {
            self.is_checkout_over = true;
            return Ok(Next::At(session));
        };
        // From here on the money may be gone, whether or not the answer arrives.
        self.has_pressed = true;
        self.phone.submit(page, &form.with("press", "pay")).await?;
        Ok(Next::At(session))
    }

    fn wait_for_payment(&self) -> Next {
        match &self.checkout {
            Some(checkout) if !self.has_pressed && !self.is_checkout_over => {
                Next::At(checkout.to_string())
            }
            _ => Next::Again,
        }
    }

    /// Whoever may have paid asks the platform how it ended.
    fn leave_terminal(&self) -> Next {
        match &self.status {
            Some(status) if self.has_pressed => Next::At(status.to_string()),
            _ => Next::End(None),
        }
    }

    async fn at_status(&self, page: &Page) -> anyhow::Result<Next> {
        match self.state.as_str() {
            "served" => self.fetch_receipt(page, Next::Later).await,
            "returned" | "nothing" => Ok(Next::End(None)),
            _ => Ok(Next::Later),
        }
    }

    async fn fetch_receipt(&self, page: &Page, otherwise: Next) -> anyhow::Result<Next> {
        if !page.body.contains("/receipt.json") {
            return Ok(otherwise);
        }
        let status = self
            .status
            .as_ref()
            .context("the bill named no status page")?;
        let authority = status.authority().context("a link has an authority")?;
        let file = self
            .phone
            .open(&format!("{}/receipt.json", page.url))
            .await?;
        let keys = self
            .phone
            .open(&format!("http://{authority}/keys.json"))
            .await?;
        let file = ReceiptFile::parse(file.body.as_bytes())?;
        let keys = PublishedKeys::parse(keys.body.as_bytes())?;
        let proof = evidence::check(&file, &keys, None)
            .map_err(|misfit| anyhow::anyhow!("no good receipt: {misfit:?}"))?;
        Ok(Next::End(Some(Box::new(proof.receipt().clone()))))
    }
}

fn is_status(link: &Uri) -> bool {
    link.path().starts_with(STATUS_PATH)
}
