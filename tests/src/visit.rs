//! One visit of a phone to a terminal: landing, agreement, bill, payment server, and back.

use std::time::Duration;

use anyhow::ensure;
use hyper::Uri;
use process::clock::Clock;
use protocol::time::Now;

use crate::phone::{Page, Phone};

/// From the landing page to the bill: three hops and two commits, milliseconds each.
const BILL_TIMEOUT: Duration = Duration::from_secs(15);

/// Where a visit ends.
pub const ENDS: [&str; 5] = ["done", "not_confirmed", "expired", "failed", "cancelled"];

/// What the payer does on the payment server's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Press {
    Pay,
    Decline,
    /// Looks at the page and goes away.
    Nothing,
}

impl Press {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Decline => "decline",
            Self::Nothing => "",
        }
    }
}

/// A step and when it was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub step: &'static str,
    pub at: Now,
}

/// A visit under way.
#[derive(Debug)]
pub struct Visit {
    phone: Phone,
    clock: Clock,
    terminal: String,
    marks: Vec<Mark>,
}

impl Visit {
    #[must_use]
    pub fn new(terminal: &str, clock: &Clock) -> Self {
        Self {
            phone: Phone::new(clock.clone()),
            clock: clock.clone(),
            terminal: terminal.to_owned(),
            marks: Vec::new(),
        }
    }

    #[must_use]
    pub const fn phone(&self) -> &Phone {
        &self.phone
    }

    #[must_use]
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// Waits until the terminal sells, agrees, and chooses one wash.
    pub async fn to_bill(&mut self) -> anyhow::Result<Page> {
        let landing = self.phone.open(&self.terminal).await?;
        let landing = self
            .phone
            .wait_for(&landing, &["free"], BILL_TIMEOUT)
            .await?;
        self.mark("landing");
        let choose = self
            .phone
            .submit(&landing, &landing.form("/accept")?)
            .await?;
        ensure!(
            choose.state() == "choose",
            "{} instead of the choice",
            choose.state()
        );
        self.mark("accepted");
        let form = choose
            .form("/choose")?
            .with("quantity.wash-40", "1")
            .with("quantity.dry-30", "0");
        let page = self.phone.submit(&choose, &form).await?;
        let bill = self.phone.wait_for(&page, &["bill"], BILL_TIMEOUT).await?;
        self.mark("bill");
        Ok(bill)
    }

    /// From the bill to the payment server's page.
    pub async fn to_checkout(&mut self, bill: &Page) -> anyhow::Result<Page> {
        let checkout = self.phone.submit(bill, &bill.form("/pay")?).await?;
        ensure!(
            checkout.url.authority() != bill.url.authority(),
            "no checkout page, but {}",
            checkout.url
        );
        self.mark("checkout");
        Ok(checkout)
    }

    /// Presses a button there and follows where it leads.
    pub async fn press(&mut self, checkout: &Page, press: Press) -> anyhow::Result<Page> {
        if press == Press::Nothing {
            return Ok(checkout.clone());
        }
        let form = checkout.form("")?.with("press", press.as_str());
        let page = self.phone.submit(checkout, &form).await?;
        self.marks.extend(page.hops.iter().map(|hop| Mark {
            step: step_of(&hop.url),
            at: hop.at,
        }));
        Ok(page)
    }

    /// The whole way: bill, checkout, `press`, and whatever the terminal shows in the end.
    pub async fn run(&mut self, press: Press, timeout: Duration) -> anyhow::Result<Page> {
        let bill = self.to_bill().await?;
        let checkout = self.to_checkout(&bill).await?;
        self.press(&checkout, press).await?;
        self.to_end(&bill, timeout).await
    }

    /// Looks at the session's page until the visit is over.
    pub async fn to_end(&mut self, session: &Page, timeout: Duration) -> anyhow::Result<Page> {
        let page = self.phone.wait_for(session, &ENDS, timeout).await?;
        self.mark("end");
        Ok(page)
    }

    /// When the phone told the terminal that it has paid, if it did.
    #[must_use]
    pub fn noticed_at(&self) -> Option<Now> {
        self.marks
            .iter()
            .find(|mark| mark.step == NOTICE)
            .map(|mark| mark.at)
    }

    fn mark(&mut self, step: &'static str) {
        self.marks.push(Mark {
            step,
            at: self.clock.now(),
        });
    }
}

const NOTICE: &str = "returned (payment notice)";

/// What a request on the way back from the payment server is.
fn step_of(url: &Uri) -> &'static str {
    if url.path().starts_with("/return/") {
        NOTICE
    } else if url.path().starts_with("/s/") {
        "session page"
    } else {
        "pressed"
    }
}
