//! Somebody on the network without a key: knows everything that is said, signs with a key of his
//! own, and writes the name of the right one above it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::codec::{Envelope, encode};
use protocol::id::{JournalId, MessageId, Nonce, PaymentId, SessionId, StoreEpoch, TransactionId};
use protocol::message::{
    DeviceOutcome, DeviceResult, Feedback, GatewayAnswer, GatewayRequest, GatewayResult, Ground,
    LinkageCommand, LinkageMessage, LinkageOutcome, LinkageResult, Off, OffReason, OrderStatus,
    OrderView, PaymentMessage, PaymentView, Permit,
};
use protocol::money::Money;
use protocol::signed::{Audience, Claims, Jws, PublicKey, SigningKey, sign};
use protocol::topic::{Down, Gateway, TerminalName, Topic, Up};
use serde::Serialize;
use tests::world::build;
use tests::world::tap;

use crate::state::{State, To};

/// What is forged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forgery {
    /// To the terminal: an ON that nobody has paid for.
    Permit,
    Off,
    /// To the platform: the payment server has the money.
    Paid,
    /// To the platform: the device has moved.
    Done,
    /// To the platform: it will not move.
    Failed,
}

impl Forgery {
    pub(crate) const ALL: [Self; 5] = [
        Self::Permit,
        Self::Off,
        Self::Paid,
        Self::Done,
        Self::Failed,
    ];
}

/// What can be read on the wires of the sale that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Overheard {
    terminal: TerminalName,
    transaction: TransactionId,
    session: SessionId,
    nonce: Nonce,
    journal: JournalId,
    /// Of the last question to the payment server.
    asked: Option<Nonce>,
}

pub(crate) fn overhear_terminal(state: &mut State, topic: &Topic, payload: &[u8]) {
    let Topic::Up(terminal, Up::Payment) = topic else {
        return;
    };
    let message = protocol::codec::decode(payload);
    let Ok(PaymentMessage::OrderRequest(jws)) = message.map(|envelope| envelope.body) else {
        return;
    };
    state.overheard = tap::claims(&jws).map(|request| Overheard {
        terminal: terminal.clone(),
        transaction: request.transaction,
        session: request.session,
        nonce: request.nonce,
        journal: request.journal,
        asked: None,
    });
}

pub(crate) fn overhear_platform(state: &mut State, topic: &Topic, payload: &[u8]) {
    let (Topic::Gateway(..), Some(overheard)) = (topic, &mut state.overheard) else {
        return;
    };
    let request = protocol::codec::decode::<Jws<GatewayRequest>>(payload);
    let request = request.ok().and_then(|found| tap::claims(&found.body));
    overheard.asked = request.map(|request| request.nonce).or(overheard.asked);
}

/// Says it at once; nothing of it is believed.
pub(crate) fn forge(state: &mut State, forgery: Forgery) {
    let Some(overheard) = state.overheard.clone() else {
        return;
    };
    let letter = match forgery {
        Forgery::Permit => permit(state, &overheard),
        Forgery::Off => off(state, &overheard),
        Forgery::Paid => paid(state, &overheard),
        Forgery::Done => result(state, &overheard, LinkageOutcome::Done),
        Forgery::Failed => result(state, &overheard, LinkageOutcome::Failed),
    };
    let (to, topic, payload) = letter.expect("the forger can write");
    state.send(to, topic, payload);
}

type Letter = anyhow::Result<(To, Topic, Vec<u8>)>;

fn permit(state: &State, overheard: &Overheard) -> Letter {
    let permit = Permit {
        aud: Audience::terminal(overheard.terminal.clone()),
        transaction: overheard.transaction,
        session: overheard.session,
        nonce: overheard.nonce,
        journal: overheard.journal,
        devices: vec!["washer".parse()?],
        ground: Ground::Paid {
            gateway: "mock".parse()?,
            payment: PaymentId::from_random([66; 16]),
            amount: price()?,
            payee: "north-laundry".parse()?,
        },
        store_epoch: StoreEpoch::from_random([66; 16]),
        issued_at: state.now().utc,
    };
    let jws = signed_as(build::platform_key(), &permit)?;
    command(state, overheard, LinkageCommand::Permit(jws))
}

fn off(state: &State, overheard: &Overheard) -> Letter {
    let off = Off {
        aud: Audience::terminal(overheard.terminal.clone()),
        transaction: overheard.transaction,
        nonce: overheard.nonce,
        devices: vec!["washer".parse()?],
        reason: OffReason::Operator,
        issued_at: state.now().utc,
    };
    let jws = signed_as(build::platform_key(), &off)?;
    command(state, overheard, LinkageCommand::Off(jws))
}

fn command(state: &State, overheard: &Overheard, body: LinkageCommand) -> Letter {
    let topic = Topic::Down(overheard.terminal.clone(), Down::Linkage);
    Ok((To::Terminal, topic, enveloped(state, body)?))
}

fn paid(state: &State, overheard: &Overheard) -> Letter {
    let payment = PaymentView {
        payment: PaymentId::from_random([66; 16]),
        amount: price()?,
        payee: "north-laundry".parse()?,
        refunded: Money::zero(price()?.currency()),
        disputed: false,
        paid_at: state.now().utc,
    };
    let view = OrderView {
        order: overheard.transaction,
        status: OrderStatus::Paid,
        amount: price()?,
        payee: "north-laundry".parse()?,
        pay_url: String::new(),
        payments: vec![payment],
        refunds: vec![],
        declines: 0,
    };
    let answer = GatewayAnswer {
        aud: Audience::platform(&"main".parse()?),
        gateway: "mock".parse()?,
        nonce: overheard.asked.unwrap_or(overheard.nonce),
        order: Some(overheard.transaction),
        result: GatewayResult::Order(view),
        answered_at: state.now().utc,
    };
    let jws = signed_as(build::server_key(), &answer)?;
    let topic = Topic::Gateway("mock".parse()?, Gateway::Response, "main".parse()?);
    Ok((To::Platform, topic, enveloped(state, jws)?))
}

fn result(state: &State, overheard: &Overheard, outcome: LinkageOutcome) -> Letter {
    let is_done = outcome == LinkageOutcome::Done;
    let device = DeviceResult {
        device: "washer".parse()?,
        outcome: if is_done {
            DeviceOutcome::Done
        } else {
            DeviceOutcome::Failed
        },
        feedback: Feedback::ReadBack,
    };
    let result = LinkageResult {
        aud: Audience::platform(&"main".parse()?),
        terminal: overheard.terminal.clone(),
        transaction: overheard.transaction,
        session: overheard.session,
        nonce: overheard.nonce,
        journal: overheard.journal,
        outcome,
        devices: vec![device],
        decided_at: state.now().utc,
        clock_error_ms: 0,
        previous: None,
    };
    let key = state.terminal.content().public_key();
    let jws = signed_as(key, &result)?;
    let topic = Topic::Up(overheard.terminal.clone(), Up::Linkage);
    let body = LinkageMessage::Result(jws);
    Ok((To::Platform, topic, enveloped(state, body)?))
}

fn price() -> anyhow::Result<Money> {
    Ok(Money::new(1_200, "CNY".parse()?)?)
}

fn enveloped<T: Serialize>(state: &State, body: T) -> anyhow::Result<Vec<u8>> {
    let id = MessageId::from_random([66; 16]);
    Ok(encode(&Envelope::new(id, state.now().utc, body))?)
}

/// Signed by the forger under the name of `key`.
fn signed_as<T: Claims>(key: PublicKey, claims: &T) -> anyhow::Result<Jws<T>> {
    let own = sign(&SigningKey::from_seed([66; 32]), claims)?;
    let kid = key.id();
    let header = format!(
        r#"{{"alg":"EdDSA","kid":"{}","typ":"{}"}}"#,
        kid.as_str(),
        T::TYP
    );
    let header = URL_SAFE_NO_PAD.encode(header);
    let rest = own.as_str().split_once('.').map_or("", |(_, rest)| rest);
    Ok(format!("{header}.{rest}").parse()?)
}
