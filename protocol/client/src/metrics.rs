//! Each named event of a client emits its log line and its counter here.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

use crate::machine::{Loss, Reason, Record};

/// Handles of one client. Several clients of a service in one process add to the same series.
#[derive(Debug)]
pub(crate) struct Metrics {
    service: &'static str,
    client_id: String,
    connects: Counter,
    published: Counter,
    delivered: Counter,
    inflight: Gauge,
    unacknowledged: Gauge,
}

impl Metrics {
    pub(crate) fn new(service: &'static str, client_id: &str) -> Self {
        describe();
        Self {
            service,
            client_id: client_id.to_owned(),
            connects: counter!("paylatch_client_connects_total", "service" => service),
            published: counter!("paylatch_client_publishes_total", "service" => service),
            delivered: counter!("paylatch_client_deliveries_total", "service" => service),
            inflight: gauge!("paylatch_client_inflight_publishes", "service" => service),
            unacknowledged: gauge!("paylatch_client_open_deliveries", "service" => service),
        }
    }

    pub(crate) fn record(&self, record: Record) {
        match record {
            Record::Connected => {
                self.connects.increment(1);
                tracing::info!(client = %self.client_id, "connected to the broker");
            }
            Record::Lost {
                loss,
                publishes,
                deliveries,
            } => self.lost(&loss, publishes, deliveries),
            Record::PublishTaken => self.inflight.increment(1),
            Record::Published => {
                self.inflight.decrement(1);
                self.published.increment(1);
            }
            Record::Delivered => {
                self.unacknowledged.increment(1);
                self.delivered.increment(1);
            }
            Record::Settled => self.unacknowledged.decrement(1),
            Record::UnknownTopic { topic } => {
                self.dropped("unknown_topic", 1);
                if let Some(topic) = topic {
                    tracing::warn!(client = %self.client_id, topic, "dropped a message of no topic of ours");
                }
            }
            Record::Oversize { topic, length } => {
                self.dropped("oversize", 1);
                tracing::warn!(client = %self.client_id, %topic, length, "dropped an oversize message");
            }
        }
    }

    /// Publishes of an earlier connection that nobody sent any more.
    pub(crate) fn stale(&self, publishes: u64) {
        self.dropped("stale", publishes);
    }

    fn lost(&self, loss: &Loss, publishes: usize, deliveries: usize) {
        self.inflight
            .decrement(u32::try_from(publishes).unwrap_or(u32::MAX));
        self.unacknowledged
            .decrement(u32::try_from(deliveries).unwrap_or(u32::MAX));
        let reason = label(loss.reason);
        counter!("paylatch_client_disconnects_total", "service" => self.service, "reason" => reason)
            .increment(1);
        let detail = loss.detail.as_str();
        if loss.reason == Reason::Shutdown {
            tracing::info!(client = %self.client_id, detail, "left the broker");
        } else {
            tracing::warn!(
                client = %self.client_id, reason, detail, publishes, deliveries,
                "no connection to the broker"
            );
        }
    }

    fn dropped(&self, reason: &'static str, count: u64) {
        counter!("paylatch_client_dropped_total", "service" => self.service, "reason" => reason)
            .increment(count);
    }
}

const fn label(reason: Reason) -> &'static str {
    match reason {
        Reason::Abandoned => "abandoned",
        Reason::AcknowledgeTimeout => "acknowledge_timeout",
        Reason::Closed => "closed",
        Reason::Collision => "collision",
        Reason::ConnectTimeout => "connect_timeout",
        Reason::KeepAlive => "keep_alive",
        Reason::Network => "network",
        Reason::Overrun => "overrun",
        Reason::Protocol => "protocol",
        Reason::Refused => "refused",
        Reason::Shutdown => "shutdown",
        Reason::SubscribeRefused => "subscribe_refused",
        Reason::Tls => "tls",
    }
}

fn describe() {
    describe_counter!(
        "paylatch_client_connects_total",
        "Connections that were subscribed and ready"
    );
    describe_counter!(
        "paylatch_client_disconnects_total",
        "Connections and attempts that ended, by reason"
    );
    describe_counter!(
        "paylatch_client_publishes_total",
        "Publishes that the broker acknowledged"
    );
    describe_counter!("paylatch_client_deliveries_total", "Messages that arrived");
    describe_counter!(
        "paylatch_client_dropped_total",
        "Messages that were set aside, by reason"
    );
    describe_gauge!(
        "paylatch_client_inflight_publishes",
        "Publishes that wait for their acknowledgement"
    );
    describe_gauge!(
        "paylatch_client_open_deliveries",
        "Deliveries that their owner has not acknowledged"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_moves_its_series() {
        process::metrics::recorder();
        let metrics = Metrics::new("metrics-test", "gate-1");
        for record in [
            Record::Connected,
            Record::PublishTaken,
            Record::PublishTaken,
            Record::Published,
            Record::Delivered,
            Record::UnknownTopic { topic: None },
        ] {
            metrics.record(record);
        }
        let expect = |lines: &[&str]| {
            let text = process::metrics::render();
            for line in lines {
                assert!(text.lines().any(|found| found == *line), "{line}\n{text}");
            }
        };
        expect(&[
            "# HELP paylatch_client_connects_total Connections that were subscribed and ready",
            "paylatch_client_connects_total{service=\"metrics-test\"} 1",
            "paylatch_client_publishes_total{service=\"metrics-test\"} 1",
            "paylatch_client_inflight_publishes{service=\"metrics-test\"} 1",
            "paylatch_client_open_deliveries{service=\"metrics-test\"} 1",
            "paylatch_client_dropped_total{service=\"metrics-test\",reason=\"unknown_topic\"} 1",
        ]);
        metrics.record(Record::Lost {
            loss: Loss::new(Reason::Closed, "for the test"),
            publishes: 1,
            deliveries: 1,
        });
        expect(&[
            "paylatch_client_inflight_publishes{service=\"metrics-test\"} 0",
            "paylatch_client_open_deliveries{service=\"metrics-test\"} 0",
            "paylatch_client_disconnects_total{service=\"metrics-test\",reason=\"closed\"} 1",
        ]);
    }
}
