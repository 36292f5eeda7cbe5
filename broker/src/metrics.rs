//! Every event of the broker: its counter and its log line, in one place.

use std::net::SocketAddr;

use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::packet::Violation;
use crate::session::{CloseReason, Denial, DenialReason};

/// Why a socket was turned away before it was a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    ConnectionsMax,
    UnauthenticatedMax,
    SessionsMax,
    ServicesMax,
    Handshake,
    ConnectTimeout,
    ClosedEarly,
    Violation(Violation),
    ClientId,
    Credentials,
    Will,
    Stopping,
}

/// Why a message reached somebody not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drop {
    QueueFull,
    Absent,
    NotSubscribed,
    TopicsMax,
    NoTerminal,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    Session(CloseReason),
    Vanished,
    WriteStalled,
    TakenOver,
    Router,
    Stopping,
}

const fn violation_name(violation: Violation) -> &'static str {
    match violation {
        Violation::PacketType(_) => "packet_type",
        Violation::TooLarge => "too_large",
        Violation::ExactlyOnce => "qos_2",
        Violation::ProtocolLevel => "protocol_level",
        Violation::Malformed => "malformed",
        Violation::Order => "order",
        Violation::Topic => "topic",
    }
}

impl Refusal {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionsMax => "connections_max",
            Self::UnauthenticatedMax => "unauthenticated_max",
            Self::SessionsMax => "sessions_max",
            Self::ServicesMax => "services_max",
            Self::Handshake => "handshake",
            Self::ConnectTimeout => "connect_timeout",
            Self::ClosedEarly => "closed_early",
            Self::Violation(violation) => violation_name(violation),
            Self::ClientId => "client_id",
            Self::Credentials => "credentials",
            Self::Will => "will",
            Self::Stopping => "stopping",
        }
    }
}

impl Drop {
    const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Absent => "absent",
            Self::NotSubscribed => "not_subscribed",
            Self::TopicsMax => "topics_max",
            Self::NoTerminal => "no_terminal",
        }
    }
}

impl Close {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Session(CloseReason::Disconnect) => "disconnect",
            Self::Session(CloseReason::KeepAlive) => "keep_alive",
            Self::Session(CloseReason::Acknowledge) => "acknowledge",
            Self::Session(CloseReason::Denials) => "denials",
            Self::Session(CloseReason::Violation(violation)) => violation_name(violation),
            Self::Vanished => "vanished",
            Self::WriteStalled => "write_stalled",
            Self::TakenOver => "taken_over",
            Self::Router => "router",
            Self::Stopping => "stopping",
        }
    }
}

impl DenialReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
            Self::Topic => "topic",
            Self::Filter => "filter",
            Self::Payload => "payload",
            Self::Subscriptions => "subscriptions",
        }
    }
}

/// Tells the recorder what each metric means.
pub(crate) fn describe() {
    describe_gauge!("paylatch_broker_connections", "Open sockets");
    describe_gauge!("paylatch_broker_sessions", "Sessions by kind of party");
    describe_gauge!(
        "paylatch_broker_uplink_waiting",
        "Messages that waited for the router at the last batch"
    );
    describe_gauge!(
        "paylatch_broker_router_topics",
        "Topics that the router has seen"
    );
    describe_gauge!(
        "paylatch_broker_router_filters",
        "Filters that the router has seen"
    );
    describe_counters();
}

fn describe_counters() {
    describe_counter!(
        "paylatch_broker_refusals_total",
        "Sockets turned away before they were a session, by reason"
    );
    describe_counter!(
        "paylatch_broker_closes_total",
        "Connections that ended, by reason"
    );
    describe_counter!(
        "paylatch_broker_takeovers_total",
        "Sessions continued by a second CONNECT"
    );
    describe_counter!(
        "paylatch_broker_publishes_in_total",
        "Publishes accepted, by party"
    );
    describe_counter!(
        "paylatch_broker_publishes_out_total",
        "Publishes sent, by party"
    );
    describe_counter!(
        "paylatch_broker_redeliveries_total",
        "Publishes sent again after a reconnect"
    );
    describe_counter!("paylatch_broker_drops_total", "Messages dropped, by reason");
    describe_counter!(
        "paylatch_broker_denials_total",
        "Forbidden publishes and subscriptions"
    );
    describe_counter!(
        "paylatch_broker_retain_ignored_total",
        "Publishes whose retain flag was ignored"
    );
    describe_counter!("paylatch_broker_wills_total", "Last wills published");
    describe_counter!(
        "paylatch_broker_ring_lost_total",
        "Messages that a slow reader lost to the router's ring"
    );
    describe_counter!(
        "paylatch_broker_links_stuck_total",
        "Router links that could not be closed cleanly"
    );
}

pub(crate) fn connection_opened() {
    gauge!("paylatch_broker_connections").increment(1);
}

pub(crate) fn connection_gone() {
    gauge!("paylatch_broker_connections").decrement(1);
}

pub(crate) fn refused(refusal: Refusal, peer: SocketAddr) {
    counter!("paylatch_broker_refusals_total", "reason" => refusal.as_str()).increment(1);
    tracing::debug!(%peer, reason = refusal.as_str(), "connection refused");
}

pub(crate) fn session_opened(kind: &'static str) {
    gauge!("paylatch_broker_sessions", "kind" => kind).increment(1);
}

pub(crate) fn session_gone(kind: &'static str) {
    gauge!("paylatch_broker_sessions", "kind" => kind).decrement(1);
}

pub(crate) fn attached(user: &str, client_id: &str, peer: SocketAddr) {
    tracing::info!(user, client_id, %peer, "client connected");
}

pub(crate) fn closed(close: Close, user: &str, client_id: &str) {
    counter!("paylatch_broker_closes_total", "reason" => close.as_str()).increment(1);
    if close == Close::TakenOver {
        counter!("paylatch_broker_takeovers_total").increment(1);
    }
    tracing::info!(user, client_id, reason = close.as_str(), "client gone");
}

pub(crate) fn published_in(kind: &'static str) {
    counter!("paylatch_broker_publishes_in_total", "kind" => kind).increment(1);
}

pub(crate) fn published_out(kind: &'static str, is_duplicate: bool) {
    counter!("paylatch_broker_publishes_out_total", "kind" => kind).increment(1);
    if is_duplicate {
        counter!("paylatch_broker_redeliveries_total").increment(1);
    }
}

pub(crate) fn dropped(reason: Drop) {
    counter!("paylatch_broker_drops_total", "reason" => reason.as_str()).increment(1);
}

pub(crate) fn denied(denial: &Denial, user: &str, client_id: &str) {
    counter!("paylatch_broker_denials_total", "reason" => denial.reason.as_str()).increment(1);
    if denial.is_first {
        let topic: String = denial.topic.chars().take(128).collect();
        tracing::warn!(
            user,
            client_id,
            reason = denial.reason.as_str(),
            topic,
            "denied"
        );
    }
}

pub(crate) fn retain_ignored() {
    counter!("paylatch_broker_retain_ignored_total").increment(1);
}

pub(crate) fn will_published() {
    counter!("paylatch_broker_wills_total").increment(1);
}

pub(crate) fn ring_lost(count: u64, link: &str) {
    if count > 0 {
        counter!("paylatch_broker_ring_lost_total").increment(count);
        tracing::warn!(count, link, "a slow reader lost messages to the ring");
    }
}

pub(crate) fn link_stuck(link: &str) {
    counter!("paylatch_broker_links_stuck_total").increment(1);
    tracing::warn!(link, "router link could not be closed cleanly");
}

pub(crate) fn uplink_batch(waiting: u32, topics: u32) {
    gauge!("paylatch_broker_uplink_waiting").set(waiting);
    gauge!("paylatch_broker_router_topics").set(topics);
}

pub(crate) fn filters(count: u32) {
    gauge!("paylatch_broker_router_filters").set(count);
}
