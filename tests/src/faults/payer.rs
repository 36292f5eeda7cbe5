//! A payer whose phone loses every second connection: it comes back after each error, pays once,
//! and looks until it knows how it ended.

use std::time::Duration;

use hyper::Uri;
use process::clock::Clock;
use protocol::message::Receipt;
use protocol::time::Tick;
use serde::Deserialize;

use crate::phone::{Page, Phone};
use crate::visit::ENDS;

/// Between two looks; a page without JavaScript refreshes every second or slower.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What a payer knows in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Whether a press of the payment server's button was answered, or may have been taken.
    pub has_pressed: bool,
    /// The receipt that was downloaded.
    pub receipt: Option<Box<Receipt>>,
    /// The last page: one of [`ENDS`], `gone`, or where it was when time was up.
    pub state: String,
    /// Where it came back to.
    pub session: Option<String>,
}

/// The file that the terminal's page offers.
#[derive(Deserialize)]
struct ReceiptFile {
    receipt: Box<Receipt>,
}

/// A payer under way.
#[derive(Debug)]
pub struct Payer {
    phone: Phone,
    clock: Clock,
    terminal: String,
    session: Option<Uri>,
    checkout: Option<Uri>,
    has_pressed: bool,
    /// The payment server takes no payment any more.
    is_checkout_over: bool,
    state: String,
}

/// Where to look next.
enum Next {
    At(String),
    Again,
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
        }
    }

    async fn step(&mut self, url: &str) -> anyhow::Result<Next> {
        let page = self.phone.open(url).await?;
        if self.is_checkout(&page.url) {
            return self.at_checkout(&page).await;
        }
        self.state = page.state();
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
                let checkout = self.phone.submit(&page, &page.form("/pay")?).await?;
                Ok(self.leave(&page.url, &checkout))
            }
            "paying" | "verifying" => Ok(self.wait_for_payment()),
            "done" => self.fetch_receipt(&page).await,
            "gone" | "no_page" | "wrong" | "unavailable" => self.begin_anew(),
            state if ENDS.contains(&state) => Ok(Next::End(None)),
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
            return Ok(Next::End(None));
        }
        self.session = None;
        self.checkout = None;
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

    async fn fetch_receipt(&self, page: &Page) -> anyhow::Result<Next> {
        if !page.body.contains("/receipt.json") {
            return Ok(Next::Again);
        }
        let file = self
            .phone
            .open(&format!("{}/receipt.json", page.url))
            .await?;
        let file: ReceiptFile = serde_json::from_str(&file.body)?;
        Ok(Next::End(Some(file.receipt)))
    }
}
