//! One connection on rumqttc. Each connection has a library client of its own: state that would
//! survive a lost session is what the library wedges on (bytebeamio/rumqtt issue 1056).

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use protocol::message::{Message as _, Presence};
use protocol::topic::{Topic, Up};
use rumqttc::{
    AsyncClient, ClientError, ConnectionError, EventLoop, LastWill, MqttOptions, NetworkOptions,
    Packet, PubAck, Publish, QoS, StateError, SubscribeReasonCode, TlsConfiguration, Transport,
};

use crate::address::BrokerAddress;
use crate::machine::{Input, Loss, Message, Outgoing, Reason};
use crate::options::Options;

/// Largest packet we take: far above our own limit, so that a foreign retained giant is received,
/// counted and set aside instead of breaking every connection anew.
const INCOMING_PACKET_BYTES_MAX: usize = 256 * 1024;

/// Largest packet we send: a payload of 8 KiB, its topic and the headers stay below it.
const OUTGOING_PACKET_BYTES_MAX: usize = 16 * 1024;

/// Packet ids beyond the window, so that neither an id of a waiting publish comes round again nor
/// the library ever sees its own window full: it would stop sending PUBACKs then.
const PACKET_IDS_SPARE: u16 = 8;

type Events = Pin<Box<dyn Stream<Item = Result<rumqttc::Event, ConnectionError>> + Send>>;

/// A library client and what it reports. Dropping it closes the socket without DISCONNECT.
pub(crate) struct Link {
    client: AsyncClient,
    events: Events,
}

impl Link {
    /// Starts connecting once it is asked for its first event.
    pub(crate) fn open(options: &Options) -> Self {
        // Room for a full window and every acknowledgement at once: handing over never waits, as
        // waiting for the loop that only we poll would be for ever.
        let requests_max = usize::from(options.inflight_max)
            + options.unacknowledged_max
            + usize::from(PACKET_IDS_SPARE);
        let (client, mut events) = AsyncClient::new(mqtt_options(options), requests_max);
        events.set_network_options(network_options(options));
        Self {
            client,
            events: uninterrupted(events),
        }
    }

    /// What happened next; `None` is nothing of interest. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Input> {
        match self.events.next().await {
            Some(Ok(event)) => input(event),
            Some(Err(error)) => Some(Input::Lost(loss(&error))),
            None => Some(Input::Lost(Loss::new(
                Reason::Closed,
                "the connection has ended",
            ))),
        }
    }

    pub(crate) fn subscribe(&self, filters: &[String]) -> Result<(), ClientError> {
        let filter =
            |filter: &String| rumqttc::SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce);
        self.client.try_subscribe_many(filters.iter().map(filter))
    }

    pub(crate) fn publish(&self, outgoing: Outgoing) -> Result<(), ClientError> {
        let retain = is_retained(&outgoing.topic);
        let topic = outgoing.topic.to_string();
        self.client
            .try_publish(topic, QoS::AtLeastOnce, retain, outgoing.payload)
    }

    pub(crate) fn acknowledge(&self, packet_id: u16) -> Result<(), ClientError> {
        // The library wants the message back, and looks at nothing but these two fields.
        let mut publish = Publish::new("", QoS::AtLeastOnce, Vec::new());
        publish.pkid = PubAck::new(packet_id).pkid;
        self.client.try_ack(&publish)
    }

    /// Sends DISCONNECT behind everything handed over, and returns once it is out or the
    /// connection is gone.
    pub(crate) async fn disconnect(mut self) {
        if let Err(error) = self.client.try_disconnect() {
            tracing::debug!(%error, "no room for DISCONNECT");
            return;
        }
        while let Some(Ok(event)) = self.events.next().await {
            if event == rumqttc::Event::Outgoing(rumqttc::Outgoing::Disconnect) {
                return;
            }
        }
    }
}

/// The loop's `poll` loses a packet when it is cancelled while its buffer is full. As a stream, a
/// poll that was started goes on with the next question.
fn uninterrupted(events: EventLoop) -> Events {
    let first = Some(Box::new(events));
    Box::pin(stream::unfold(first, |events| async move {
        let mut events = events?;
        match events.poll().await {
            Ok(event) => Some((Ok(event), Some(events))),
            Err(error) => Some((Err(error), None)),
        }
    }))
}

fn mqtt_options(options: &Options) -> MqttOptions {
    let mut mqtt = MqttOptions::new(
        &options.client_id,
        host(&options.broker),
        options.broker.port,
    );
    mqtt.set_credentials(&options.user, &options.password)
        .set_keep_alive(whole_seconds(options.keep_alive))
        .set_clean_session(true)
        .set_manual_acks(true)
        .set_inflight(options.inflight_max.max(1).saturating_add(PACKET_IDS_SPARE))
        .set_max_packet_size(INCOMING_PACKET_BYTES_MAX, OUTGOING_PACKET_BYTES_MAX);
    if let Some(tls) = &options.broker.tls {
        let settings = TlsConfiguration::Rustls(tls.config.clone());
        mqtt.set_transport(Transport::tls_with_config(settings));
    }
    if let Some((topic, payload)) = &options.will {
        let retain = is_retained(topic);
        let text = topic.to_string();
        mqtt.set_last_will(LastWill::new(
            text,
            payload.clone(),
            QoS::AtLeastOnce,
            retain,
        ));
    }
    mqtt
}

fn network_options(options: &Options) -> NetworkOptions {
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    // One second more than our own deadline, which then always comes first; the library uses this
    // one for stalled writes too.
    network.set_connection_timeout(whole_seconds(options.connect_timeout).as_secs() + 1);
    network
}

/// The library joins host and port with a colon, so IPv6 needs its brackets; for TLS it takes the
/// same text as the server's name, where brackets are wrong: there only names and IPv4 work.
fn host(broker: &BrokerAddress) -> String {
    if broker.host.contains(':') && broker.tls.is_none() {
        format!("[{}]", broker.host)
    } else {
        broker.host.clone()
    }
}

/// MQTT counts in whole seconds, and zero means never.
fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs().clamp(1, u64::from(u16::MAX)))
}

fn is_retained(topic: &Topic) -> bool {
    matches!(topic, Topic::Up(_, Up::Presence)) && Presence::RETAIN
}

fn input(event: rumqttc::Event) -> Option<Input> {
    match event {
        rumqttc::Event::Incoming(packet) => received(packet),
        rumqttc::Event::Outgoing(rumqttc::Outgoing::Publish(id)) => Some(Input::Numbered(id)),
        rumqttc::Event::Outgoing(rumqttc::Outgoing::AwaitAck(id)) => {
            let detail = format!("packet id {id} came round while it was in use");
            Some(Input::Lost(Loss::new(Reason::Collision, detail)))
        }
        rumqttc::Event::Outgoing(_) => None,
    }
}

fn received(packet: Packet) -> Option<Input> {
    match packet {
        Packet::ConnAck(_) => Some(Input::Accepted),
        Packet::SubAck(answer) => {
            let granted = |code: &SubscribeReasonCode| *code != SubscribeReasonCode::Failure;
            Some(Input::Subscribed(
                answer.return_codes.iter().map(granted).collect(),
            ))
        }
        Packet::PubAck(answer) => Some(Input::Acknowledged(answer.pkid)),
        Packet::Publish(publish) => Some(message(publish)),
        _ => None,
    }
}

fn message(publish: Publish) -> Input {
    let packet_id = match publish.qos {
        QoS::AtMostOnce => None,
        QoS::AtLeastOnce => Some(publish.pkid),
        QoS::ExactlyOnce => {
            let detail = "a delivery at QoS 2, which nobody subscribed to";
            return Input::Lost(Loss::new(Reason::Protocol, detail));
        }
    };
    Input::Received(Message {
        topic: publish.topic,
        payload: publish.payload,
        retained: publish.retain,
        packet_id,
    })
}

fn loss(error: &ConnectionError) -> Loss {
    let reason = match error {
        ConnectionError::MqttState(StateError::Io(_) | StateError::ConnectionAborted) => {
            Reason::Closed
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => Reason::KeepAlive,
        ConnectionError::MqttState(StateError::CollisionTimeout) => Reason::Collision,
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => Reason::ConnectTimeout,
        ConnectionError::Tls(_) => Reason::Tls,
        ConnectionError::Io(_) => Reason::Network,
        ConnectionError::ConnectionRefused(_) => Reason::Refused,
        _ => Reason::Protocol,
    };
    Loss::new(reason, error.to_string())
}
