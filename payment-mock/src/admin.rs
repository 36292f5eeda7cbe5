//! The operator's hand on the scenario, as JSON over HTTP on a loopback port: rules, orders, what
//! happens outside, the clock.
//!
//! | request | body | what |
//! |---|---|---|
//! | `GET /rules` | | seed and rules |
//! | `PUT /rules` | `{"seed": 1, "rules": [...]}` | puts these in place of all |
//! | `POST /rules` | a rule | adds it behind all others |
//! | `GET /orders?after=ORDER&limit=100` | | orders by number, at most 100 |
//! | `GET /orders/ORDER` | | one order with all its money |
//! | `PUT /orders/ORDER/outcome` | `{"outcome": "late"}` | changes how it is treated |
//! | `POST /orders/ORDER/outside` | `{"what": "refund", "minor": 100}` | `dispute`, `charge-back`, `refund`, `fee`; `payment` names one, else the first |
//! | `POST /payouts` | `{"platform": "main", "payee": "shop", "amount": {...}}` | pays out of an account |
//! | `GET /clock` | | now, and how far ahead of the machine's clocks |
//! | `POST /clock` | `{"advance_ms": 60000}` | puts it further ahead |
//!
//! Rules changed here last until the process ends. An error is one line of text: 400 what can't be
//! read, 403 another host, 404 what is not there, 409 what can't be done, 415 what is no JSON.

mod reply;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::HeaderMap;
use axum::routing::{get, post, put};
use axum::{Router, middleware};
use protocol::id::{PayeeId, PaymentId, PlatformId, TransactionId};
use protocol::money::Money;
use serde::Deserialize;
use serde_json::json;

use crate::desk::Desk;
use crate::machine::Outside;
use crate::own_clock::{AHEAD_MS_MAX, OwnClock};
use crate::scenario::{Outcome, RuleText, Ruleset};
use reply::{Refused, Replied, done, found, read, this_machine_only};

/// 64 rules of a few hundred bytes; everything else is a line.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Orders of one answer: some 100 KiB.
const ORDERS_MAX: usize = 100;

#[derive(Debug, Clone)]
struct Counter {
    desk: Desk,
    clock: OwnClock,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    #[serde(default)]
    seed: u64,
    rules: Vec<RuleText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    after: Option<TransactionId>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Treatment {
    outcome: Outcome,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Happening {
    what: What,
    payment: Option<PaymentId>,
    minor: Option<i64>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    Dispute,
    ChargeBack,
    Refund,
    Fee,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payout {
    platform: PlatformId,
    payee: PayeeId,
    amount: Money,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: u64,
}

pub(crate) fn router(desk: Desk, clock: OwnClock) -> Router {
    Router::new()
        .route("/rules", get(rules).put(put_rules).post(add_rule))
        .route("/orders", get(orders))
        .route("/orders/{order}", get(order))
        .route("/orders/{order}/outcome", put(put_outcome))
        .route("/orders/{order}/outside", post(happen))
        .route("/payouts", post(pay_out))
        .route("/clock", get(time).post(advance))
        .fallback(|| async { Refused::missing("there is no such path") })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(this_machine_only))
        .with_state(Counter { desk, clock })
}

async fn rules(State(counter): State<Counter>) -> Replied {
    let rules = counter
        .desk
        .ask(|machine, _, _| {
            let rules = machine.rules();
            let texts: Vec<RuleText> = rules.texts().cloned().collect();
            json!({"seed": rules.seed(), "rules": texts})
        })
        .await?;
    found(&rules)
}

async fn put_rules(State(counter): State<Counter>, headers: HeaderMap, body: Bytes) -> Replied {
    let asked: Rules = read(&headers, &body)?;
    let rules = Ruleset::new(asked.seed, asked.rules).map_err(|error| Refused::unread(&error))?;
    counter
        .desk
        .ask(move |machine, _, _| machine.set_rules(rules))
        .await?;
    done()
}

async fn add_rule(State(counter): State<Counter>, headers: HeaderMap, body: Bytes) -> Replied {
    let rule: RuleText = read(&headers, &body)?;
    let added = counter
        .desk
        .ask(move |machine, _, _| machine.add_rule(rule))
        .await?;
    added.map_err(|error| Refused::unread(&error))?;
    done()
}

async fn orders(State(counter): State<Counter>, Query(page): Query<Page>) -> Replied {
    let limit = page.limit.unwrap_or(ORDERS_MAX).min(ORDERS_MAX);
    let orders = counter
        .desk
        .ask(move |machine, _, _| machine.totals_after(page.after, limit))
        .await?;
    found(&json!({"orders": orders}))
}

async fn order(State(counter): State<Counter>, Path(order): Path<String>) -> Replied {
    let order = parsed(&order)?;
    let totals = counter
        .desk
        .ask(move |machine, _, _| machine.totals_of(order))
        .await?;
    found(&totals.ok_or_else(|| Refused::missing("there is no such order"))?)
}

async fn put_outcome(
    State(counter): State<Counter>,
    Path(order): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Replied {
    let order = parsed(&order)?;
    let asked: Treatment = read(&headers, &body)?;
    if counter.desk.set_outcome(order, asked.outcome).await? {
        done()
    } else {
        Err(Refused::missing("there is no such order"))
    }
}

async fn happen(
    State(counter): State<Counter>,
    Path(order): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Replied {
    let order = parsed(&order)?;
    let asked: Happening = read(&headers, &body)?;
    let outside = asked.outside()?;
    let happened = counter
        .desk
        .ask(move |machine, now, entropy| {
            machine.handle_outside(order, asked.payment, outside, now, entropy)
        })
        .await?;
    happened.map_err(|error| Refused::impossible(&error))?;
    done()
}

async fn pay_out(State(counter): State<Counter>, headers: HeaderMap, body: Bytes) -> Replied {
    let asked: Payout = read(&headers, &body)?;
    let paid = counter
        .desk
        .ask(move |machine, now, entropy| {
            machine.handle_payout(&asked.platform, &asked.payee, asked.amount, now, entropy)
        })
        .await?;
    paid.map_err(|error| Refused::impossible(&error))?;
    done()
}

async fn time(State(counter): State<Counter>) -> Replied {
    let (now, ahead_ms) = (counter.clock.now().utc, counter.clock.ahead_ms());
    found(&json!({"now": now, "ahead_ms": ahead_ms}))
}

/// What is due by the new time is done before the answer.
async fn advance(State(counter): State<Counter>, headers: HeaderMap, body: Bytes) -> Replied {
    let asked: Advance = read(&headers, &body)?;
    if counter.clock.advance(asked.advance_ms).is_none() {
        let reason = format!("advance_ms: use so much that it is at most {AHEAD_MS_MAX} ahead");
        return Err(Refused::impossible(&reason));
    }
    counter
        .desk
        .ask(|machine, now, entropy| machine.handle_timeout(now, entropy))
        .await?;
    time(State(counter)).await
}

impl Happening {
    fn outside(&self) -> Result<Outside, Refused> {
        match (self.what, self.minor) {
            (What::Dispute, None) => Ok(Outside::Dispute),
            (What::ChargeBack, None) => Ok(Outside::ChargeBack),
            (What::Refund, minor) => Ok(Outside::Refund { minor }),
            (What::Fee, Some(minor)) => Ok(Outside::Fee { minor }),
            (What::Fee, None) => Err(Refused::unread("minor: a fee needs it")),
            (What::Dispute | What::ChargeBack, Some(_)) => {
                Err(Refused::unread("minor: it is always the whole; remove it"))
            }
        }
    }
}

fn parsed(order: &str) -> Result<TransactionId, Refused> {
    order.parse().map_err(|error| Refused::unread(&error))
}
