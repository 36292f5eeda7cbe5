//! What payers and third parties may see without a password: a sale by its unguessable link, the
//! published keys, and the page that checks receipts offline. It reads and changes nothing.
//!
//! | path | answers |
//! |---|---|
//! | `GET /r/{token}` | how the sale stands, in plain words |
//! | `GET /r/{token}/receipt.json` | the signed receipt, to keep |
//! | `GET /keys.json` | the published keys |
//! | `GET /verify` | checks a receipt in the browser, with those keys |
//!
//! The token is known to the payer alone: the store has its SHA-256, and no log has either.

mod headers;
mod layout;
mod status;
mod texts;
mod throttle;
mod verify;

#[cfg(test)]
mod gallery;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use process::clock::Clock;
use protocol::evidence::{PublishedKeys, ReceiptFile, file_name};
use protocol::message::{Digest, Receipt};
use protocol::signed::Jws;

use self::layout::{Page, document};
use self::status::Surroundings;
use self::texts::{ENGLISH, Words};
use self::throttle::Throttle;
use crate::metrics;
use crate::registry::Registry;
use crate::sale::Sale;
use crate::store::StoreError;
use crate::store::reader::Reader;

/// A token as terminals write it: 128 bits in lower-case hexadecimal digits.
const TOKEN_LENGTH: usize = 32;

/// What handlers need. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Public {
    reader: Arc<Mutex<dyn Reader>>,
    registry: Arc<Registry>,
    throttle: Arc<Mutex<Throttle>>,
    clock: Clock,
    /// Whether the last address of `X-Forwarded-For` is whom the request is from.
    is_behind_proxy: bool,
    policy: HeaderValue,
    verifier: Arc<verify::Verifier>,
}

impl Public {
    pub(crate) fn new(
        reader: impl Reader,
        registry: Arc<Registry>,
        keys: PublishedKeys,
        (clock, is_behind_proxy): (Clock, bool),
    ) -> Self {
        Self {
            reader: Arc::new(Mutex::new(reader)),
            registry,
            throttle: Arc::default(),
            clock,
            is_behind_proxy,
            policy: headers::policy(&[], &[layout::STYLE]),
            verifier: Arc::new(verify::Verifier::new(keys)),
        }
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/r/{token}", get(show))
            .route("/r/{token}/receipt.json", get(receipt))
            .route("/keys.json", get(verify::keys))
            .route("/verify", get(verify::page))
            .fallback(async |State(public): State<Self>| {
                public.say(StatusCode::NOT_FOUND, "no_page", ENGLISH.no_page)
            })
            .method_not_allowed_fallback(async |State(public): State<Self>| {
                public.say(StatusCode::METHOD_NOT_ALLOWED, "no_page", ENGLISH.no_page)
            })
            .layer(middleware::from_fn_with_state(self.clone(), admit))
            .layer(map_response(async |response| headers::set(response)))
            .with_state(self)
    }

    /// The sale of a token. An unknown token, a wrong one and half of one are all the same.
    async fn sale(&self, token: &str) -> Result<Sale, Response> {
        let unknown = || self.say(StatusCode::NOT_FOUND, "unknown", ENGLISH.unknown);
        if token.len() != TOKEN_LENGTH {
            return Err(unknown());
        }
        let link = Digest::of(token.as_bytes());
        let found = self.read(move |reader| reader.linked(&link)).await?;
        let Some(row) = found else {
            return Err(unknown());
        };
        serde_json::from_str(&row.document).map_err(|error| self.broken(&error))
    }

    /// Runs a query on a thread that may block, on the connection that can only read.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&dyn Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Response> {
        let reader = Arc::clone(&self.reader);
        let found = tokio::task::spawn_blocking(move || {
            // A query that panicked has changed nothing: the connection is as good as before.
            query(&*reader.lock().unwrap_or_else(PoisonError::into_inner))
        });
        match found.await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(self.broken(&error)),
            Err(error) => Err(self.broken(&error)),
        }
    }

    fn html(&self, status: StatusCode, page: &Page) -> Response {
        let mut response = (status, document(page, &ENGLISH)).into_response();
        let policy = self.policy.clone();
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
        response
    }

    fn say(&self, status: StatusCode, state: &'static str, words: Words) -> Response {
        self.html(status, &Page::bare(state, words))
    }

    /// What went wrong inside is for the log, not for the caller.
    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> Response {
        let error = process::exit::one_line(error);
        tracing::error!(error, "the public pages can't read the store");
        self.say(StatusCode::SERVICE_UNAVAILABLE, "broken", ENGLISH.broken)
    }

    /// Whom a request is from, as far as it counts for how often.
    fn address(&self, request: &Request) -> IpAddr {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        let forwarded = || {
            // What a proxy of ours has added stands last; what stands before it, anybody wrote.
            let value = request.headers().get_all("x-forwarded-for");
            let value = value.iter().next_back()?;
            value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
        };
        let forwarded = self.is_behind_proxy.then(forwarded).flatten();
        forwarded.unwrap_or(peer)
    }
}

async fn admit(State(public): State<Public>, request: Request, next: Next) -> Response {
    let address = public.address(&request);
    let now = public.clock.now().tick;
    let is_admitted = public
        .throttle
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .admit(address, now);
    let response = if is_admitted {
        next.run(request).await
    } else {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let mut response = public.say(status, "too_often", ENGLISH.too_often);
        let wait = HeaderValue::from_static("60");
        response.headers_mut().insert(header::RETRY_AFTER, wait);
        response
    };
    metrics::public_answered(response.status().as_u16());
    response
}

async fn show(State(public): State<Public>, Path(token): Path<String>) -> Response {
    let sale = match public.sale(&token).await {
        Ok(sale) => sale,
        Err(response) => return response,
    };
    let view = sale.payer_view();
    let terminal = public.registry.terminal(view.terminal);
    let around = Surroundings {
        texts: &ENGLISH,
        help: terminal.map(|terminal| terminal.site.merchant.help.as_str()),
        path: &format!("/r/{token}"),
        code: sale.transaction().short(),
        order: sale.transaction().to_string(),
    };
    public.html(StatusCode::OK, &status::page(&view, &around))
}

async fn receipt(State(public): State<Public>, Path(token): Path<String>) -> Response {
    let sale = match public.sale(&token).await {
        Ok(sale) => sale,
        Err(response) => return response,
    };
    match sale.payer_view().receipt {
        Some(signed) => file(sale.transaction(), signed),
        None => public.say(StatusCode::NOT_FOUND, "no_page", ENGLISH.no_page),
    }
}

/// Our own receipt out of our own store: what it says is read without verifying it again.
fn file(transaction: protocol::id::TransactionId, signed: &Jws<Receipt>) -> Response {
    let mut response = axum::Json(ReceiptFile::of(signed.clone())).into_response();
    let disposition = format!("attachment; filename=\"{}\"", file_name(transaction));
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
