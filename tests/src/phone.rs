//! A payer's phone without JavaScript: it follows redirects and presses the buttons of real pages.

use std::time::Duration;

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use process::clock::Clock;
use protocol::time::Now;

use crate::html::{self, Form};

/// More than any page of ours.
const PAGE_SIZE_MAX: usize = 256 * 1024;

/// Redirects in a row: pay, return, session page; anything longer is a loop.
const REDIRECTS_MAX: usize = 6;

/// One request. Our own servers on this machine answer within milliseconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the phone waits between two looks at the same page, as its refresh would.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Where the phone is and what it shows.
#[derive(Debug, Clone)]
pub struct Page {
    pub url: Uri,
    pub status: u16,
    pub body: String,
    /// The requests that led here, and when each was sent.
    pub hops: Vec<Hop>,
}

/// One request on the way to a page.
#[derive(Debug, Clone)]
pub struct Hop {
    pub url: Uri,
    pub at: Now,
}

impl Page {
    /// The page's own word for what it shows: `data-state` of its main part.
    #[must_use]
    pub fn state(&self) -> String {
        html::attribute_of_page(&self.body, "data-state").unwrap_or_default()
    }

    /// The first form whose action ends so.
    pub fn form(&self, action_end: &str) -> anyhow::Result<Form> {
        let forms = html::forms(&self.body);
        let known: Vec<_> = forms.iter().map(|form| form.action.clone()).collect();
        let found = forms
            .into_iter()
            .find(|form| form.action.ends_with(action_end));
        found.with_context(|| format!("{} has no form {action_end}, only {known:?}", self.url))
    }
}

/// One phone. It keeps nothing but the page it shows: no cookies, no storage.
#[derive(Debug, Clone)]
pub struct Phone {
    client: Client<HttpConnector, Full<Bytes>>,
    clock: Clock,
}

impl Phone {
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            clock,
        }
    }

    /// Opens `url` and follows redirects.
    pub async fn open(&self, url: &str) -> anyhow::Result<Page> {
        self.follow(url.parse()?, None).await
    }

    /// Sends `form` from `page` and follows redirects.
    pub async fn submit(&self, page: &Page, form: &Form) -> anyhow::Result<Page> {
        self.follow(resolve(&page.url, &form.action)?, Some(form.body()))
            .await
    }

    /// Looks at the page again until it shows one of `states`.
    pub async fn wait_for(
        &self,
        page: &Page,
        states: &[&str],
        timeout: Duration,
    ) -> anyhow::Result<Page> {
        let deadline = self.clock.now().tick + timeout;
        loop {
            let seen = self.follow(page.url.clone(), None).await?;
            if states.contains(&seen.state().as_str()) {
                return Ok(seen);
            }
            if self.clock.now().tick >= deadline {
                bail!(
                    "{} shows '{}', none of {states:?} within {timeout:?}",
                    page.url,
                    seen.state()
                );
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    async fn follow(&self, mut url: Uri, mut body: Option<String>) -> anyhow::Result<Page> {
        let mut hops = Vec::new();
        for _ in 0..REDIRECTS_MAX {
            hops.push(Hop {
                url: url.clone(),
                at: self.clock.now(),
            });
            let request = request(&url, body.take())?;
            let response = tokio::time::timeout(REQUEST_TIMEOUT, self.client.request(request))
                .await
                .with_context(|| format!("{url} did not answer"))??;
            if let Some(location) = response.headers().get(header::LOCATION) {
                url = resolve(&url, location.to_str()?)?;
                continue;
            }
            let status = response.status().as_u16();
            let read = Limited::new(response.into_body(), PAGE_SIZE_MAX)
                .collect()
                .await;
            let bytes = read
                .map_err(|error| anyhow::anyhow!("{url}: {error}"))?
                .to_bytes();
            return Ok(Page {
                url,
                status,
                body: String::from_utf8(bytes.to_vec())?,
                hops,
            });
        }
        bail!("{url} redirects without end")
    }
}

fn request(url: &Uri, body: Option<String>) -> anyhow::Result<Request<Full<Bytes>>> {
    let builder = Request::builder().uri(url);
    let built = match body {
        None => builder.method("GET").body(Full::default()),
        Some(form) => builder
            .method("POST")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form))),
    };
    built.context("not a request")
}

fn resolve(base: &Uri, target: &str) -> anyhow::Result<Uri> {
    if target.starts_with("http://") {
        return Ok(target.parse()?);
    }
    let authority = base.authority().context("a page has an authority")?;
    let path = if target.is_empty() {
        base.path()
    } else {
        target
    };
    Ok(format!("http://{authority}{path}").parse()?)
}
