use super::*;

use bytes::Bytes;

const LIMITS: Limits = Limits {
    connect_timeout: Duration::from_secs(5),
    acknowledge_timeout: Duration::from_secs(10),
    inflight_max: 2,
    unacknowledged_max: 3,
};
const TOPIC: &str = "paylatch/v1/north/gate-1/down/ack";

/// A machine with its time; the jitter always takes the whole ceiling.
struct Bench {
    machine: Machine,
    now: Tick,
}

impl Bench {
    fn new() -> Self {
        Self {
            machine: Machine::new(LIMITS, vec!["a/+".to_owned(), "b/+".to_owned()]),
            now: Tick::from_millis(1_000),
        }
    }

    fn ready() -> Self {
        let mut bench = Self::new();
        bench.tell(Input::Timeout);
        bench.tell(Input::Accepted);
        bench.tell(Input::Subscribed(vec![true, true]));
        bench
    }

    /// All outputs to one input.
    fn tell(&mut self, input: Input) -> Vec<Output> {
        let mut entropy = || [0xff; 16];
        self.machine.handle_input(input, self.now, &mut entropy);
        std::iter::from_fn(|| self.machine.poll_output()).collect()
    }

    fn after(&mut self, duration: Duration) -> Vec<Output> {
        self.now = self.now + duration;
        self.tell(Input::Timeout)
    }

    /// Milliseconds until the next deadline.
    fn due_ms(&self) -> Option<u128> {
        let deadline = self.machine.poll_timeout()?;
        Some(deadline.since(self.now).as_millis())
    }
}

fn outgoing(text: &str) -> Outgoing {
    Outgoing {
        topic: TOPIC.parse().unwrap(),
        payload: text.as_bytes().to_vec(),
    }
}

fn message(topic: &str, length: usize, packet_id: u16) -> Input {
    Input::Received(Message {
        topic: topic.to_owned(),
        payload: vec![b'x'; length].into(),
        retained: false,
        packet_id: Some(packet_id),
    })
}

fn deliver(sequence: u64) -> Output {
    let arrived = Arrived {
        topic: TOPIC.parse().unwrap(),
        payload: Bytes::from_static(b"x"),
        retained: false,
    };
    Output::Deliver(sequence, arrived)
}

fn loss(reason: Reason) -> Loss {
    Loss::new(reason, "for the test")
}

fn lost(reason: Reason, detail: &str, publishes: usize, deliveries: usize) -> Output {
    Output::Record(Record::Lost {
        loss: Loss::new(reason, detail),
        publishes,
        deliveries,
    })
}

#[test]
fn ready_only_after_every_filter_was_granted() {
    let mut bench = Bench::new();
    assert_eq!(bench.tell(Input::Timeout), [Output::Connect]);
    assert_eq!(bench.due_ms(), Some(5_000));
    assert_eq!(bench.tell(Input::Accepted), [Output::Subscribe]);
    assert!(!bench.machine.wants_publish());
    let outputs = bench.tell(Input::Subscribed(vec![true, true]));
    assert_eq!(outputs, [Output::Record(Record::Connected), Output::Ready]);
    assert!(bench.machine.wants_publish());
    assert_eq!(bench.due_ms(), None);
}

#[test]
fn a_refused_filter_is_named_and_backs_off() {
    let mut bench = Bench::new();
    bench.tell(Input::Timeout);
    bench.tell(Input::Accepted);
    let outputs = bench.tell(Input::Subscribed(vec![true, false]));
    let detail = "the broker refuses to subscribe us to b/+";
    assert_eq!(
        outputs,
        [lost(Reason::SubscribeRefused, detail, 0, 0), Output::Drop]
    );
    assert_eq!(bench.due_ms(), Some(499));
}

#[test]
fn a_broker_that_stays_silent_is_left_at_the_deadline() {
    let mut bench = Bench::new();
    bench.tell(Input::Timeout);
    assert_eq!(bench.after(Duration::from_millis(4_999)), []);
    let outputs = bench.after(Duration::from_millis(1));
    assert_eq!(
        outputs,
        [
            lost(Reason::ConnectTimeout, "no CONNACK in time", 0, 0),
            Output::Drop
        ]
    );
    bench.after(Duration::from_millis(499));
    bench.tell(Input::Accepted);
    let outputs = bench.after(Duration::from_secs(5));
    assert_eq!(
        outputs,
        [
            lost(Reason::ConnectTimeout, "no SUBACK in time", 0, 0),
            Output::Drop
        ]
    );
    assert_eq!(bench.due_ms(), Some(999));
}

#[test]
fn no_more_publishes_than_the_window() {
    let mut bench = Bench::ready();
    for text in ["one", "two"] {
        let outputs = bench.tell(Input::Publish(outgoing(text)));
        let taken = Output::Record(Record::PublishTaken);
        assert_eq!(outputs, [taken, Output::Publish(outgoing(text))]);
    }
    assert!(!bench.machine.wants_publish());
    assert_eq!(bench.tell(Input::Publish(outgoing("three"))), []);
    bench.tell(Input::Numbered(1));
    bench.tell(Input::Numbered(2));
    let published = [Output::Record(Record::Published)];
    assert_eq!(bench.tell(Input::Acknowledged(2)), published);
    assert!(!bench.machine.wants_publish());
    assert_eq!(bench.tell(Input::Acknowledged(1)), published);
    assert!(bench.machine.wants_publish());
}

#[test]
fn one_missing_puback_rebuilds_the_connection() {
    let mut bench = Bench::ready();
    bench.tell(Input::Publish(outgoing("one")));
    bench.tell(Input::Numbered(1));
    bench.now = bench.now + Duration::from_secs(9);
    bench.tell(Input::Publish(outgoing("two")));
    bench.tell(Input::Numbered(2));
    bench.tell(Input::Acknowledged(2));
    assert_eq!(bench.due_ms(), Some(1_000));
    let outputs = bench.after(Duration::from_secs(1));
    let record = lost(Reason::AcknowledgeTimeout, "no PUBACK in time", 1, 0);
    assert_eq!(outputs, [Output::NotReady, record, Output::Drop]);
    assert_eq!(bench.after(Duration::from_millis(499)), [Output::Connect]);
}

#[test]
fn a_loss_forgets_all_that_was_on_the_connection() {
    let mut bench = Bench::ready();
    bench.tell(Input::Publish(outgoing("one")));
    bench.tell(message(TOPIC, 1, 1));
    let outputs = bench.tell(Input::Lost(loss(Reason::Collision)));
    let record = lost(Reason::Collision, "for the test", 1, 1);
    assert_eq!(outputs, [Output::NotReady, record, Output::Drop]);
    assert_eq!(bench.tell(Input::Settled(0)), []);
    assert_eq!(bench.tell(Input::Abandoned(0)), []);
    assert_eq!(bench.tell(Input::Acknowledged(1)), []);
    assert_eq!(bench.tell(Input::Lost(loss(Reason::Closed))), []);
}

#[test]
fn backoff_starts_over_after_a_stable_minute() {
    let mut bench = Bench::ready();
    bench.tell(Input::Lost(loss(Reason::Closed)));
    assert_eq!(bench.due_ms(), Some(499));
    for (lived, wait_ms) in [(59, 999), (60, 499)] {
        bench.after(Duration::from_secs(1));
        bench.tell(Input::Accepted);
        bench.tell(Input::Subscribed(vec![true, true]));
        bench.now = bench.now + Duration::from_secs(lived);
        bench.tell(Input::Lost(loss(Reason::Closed)));
        assert_eq!(bench.due_ms(), Some(wait_ms));
    }
}

#[test]
fn acknowledgements_keep_the_order_of_arrival() {
    let mut bench = Bench::ready();
    let delivered = Output::Record(Record::Delivered);
    assert_eq!(bench.tell(message(TOPIC, 1, 7)), [delivered, deliver(0)]);
    bench.tell(message(TOPIC, 1, 8));
    assert_eq!(
        bench.tell(Input::Settled(1)),
        [Output::Record(Record::Settled)]
    );
    let outputs = bench.tell(Input::Settled(0));
    let settled = Output::Record(Record::Settled);
    assert_eq!(
        outputs,
        [settled, Output::Acknowledge(7), Output::Acknowledge(8)]
    );
}

#[test]
fn what_comes_before_suback_is_shown_after_connected() {
    let mut bench = Bench::new();
    bench.tell(Input::Timeout);
    bench.tell(Input::Accepted);
    let delivered = Output::Record(Record::Delivered);
    assert_eq!(bench.tell(message(TOPIC, 1, 7)), [delivered]);
    let outputs = bench.tell(Input::Subscribed(vec![true, true]));
    let connected = Output::Record(Record::Connected);
    assert_eq!(outputs, [connected, Output::Ready, deliver(0)]);
}

#[test]
fn unknown_topics_are_acknowledged_and_named_once() {
    let mut bench = Bench::ready();
    let set_aside = |topic: Option<&str>, id| {
        [
            Output::Record(Record::Delivered),
            Output::Record(Record::UnknownTopic {
                topic: topic.map(str::to_owned),
            }),
            Output::Record(Record::Settled),
            Output::Acknowledge(id),
        ]
    };
    assert_eq!(bench.tell(message("x/y", 1, 1)), set_aside(Some("x/y"), 1));
    assert_eq!(bench.tell(message("x/y", 1, 2)), set_aside(None, 2));
    for index in 1..UNKNOWN_TOPICS_LOGGED_MAX {
        let topic = format!("x/{index}");
        assert_eq!(
            bench.tell(message(&topic, 1, 3)),
            set_aside(Some(&topic), 3)
        );
    }
    assert_eq!(bench.tell(message("x/more", 1, 4)), set_aside(None, 4));
}

#[test]
fn an_oversize_message_is_acknowledged_and_set_aside() {
    let mut bench = Bench::ready();
    let outputs = bench.tell(message(TOPIC, PAYLOAD_SIZE_MAX + 1, 1));
    let oversize = Record::Oversize {
        topic: TOPIC.parse().unwrap(),
        length: PAYLOAD_SIZE_MAX + 1,
    };
    assert_eq!(
        outputs,
        [
            Output::Record(Record::Delivered),
            Output::Record(oversize),
            Output::Record(Record::Settled),
            Output::Acknowledge(1),
        ]
    );
}

#[test]
fn a_delivery_that_was_dropped_costs_the_connection() {
    let mut bench = Bench::ready();
    bench.tell(message(TOPIC, 1, 1));
    bench.tell(message(TOPIC, 1, 2));
    bench.tell(Input::Settled(1));
    let outputs = bench.tell(Input::Abandoned(0));
    let detail = "a delivery was dropped without an acknowledgement";
    assert_eq!(
        outputs,
        [
            Output::NotReady,
            lost(Reason::Abandoned, detail, 0, 2),
            Output::Drop
        ]
    );
}

#[test]
fn an_owner_that_never_acknowledges_does_not_fill_the_memory() {
    let mut bench = Bench::ready();
    for id in 1..=3 {
        bench.tell(message(TOPIC, 1, id));
    }
    let outputs = bench.tell(message(TOPIC, 1, 4));
    let detail = "3 deliveries wait for their owner";
    assert_eq!(
        outputs,
        [
            Output::NotReady,
            lost(Reason::Overrun, detail, 0, 3),
            Output::Drop
        ]
    );
}

#[test]
fn a_shutdown_sends_what_is_queued_and_then_says_goodbye() {
    let mut bench = Bench::ready();
    bench.tell(Input::Publish(outgoing("one")));
    bench.tell(Input::Numbered(1));
    assert_eq!(bench.tell(Input::Shutdown), []);
    assert!(bench.machine.wants_publish());
    assert_eq!(bench.tell(Input::QueueEmpty), []);
    assert_eq!(
        bench.tell(Input::Acknowledged(1)),
        [
            Output::Record(Record::Published),
            Output::NotReady,
            lost(Reason::Shutdown, "everything was sent", 0, 0),
            Output::Disconnect,
        ]
    );
    assert!(bench.machine.has_ended());
}

#[test]
fn a_shutdown_does_not_wait_for_ever() {
    let mut bench = Bench::ready();
    bench.tell(Input::Publish(outgoing("one")));
    bench.tell(Input::Shutdown);
    assert_eq!(bench.due_ms(), Some(2_000));
    let record = lost(Reason::Shutdown, "the drain deadline came first", 1, 0);
    assert_eq!(
        bench.after(Duration::from_secs(2)),
        [Output::NotReady, record, Output::Disconnect]
    );
    assert_eq!(bench.due_ms(), None);
}

#[test]
fn a_shutdown_without_a_connection_ends_at_once() {
    let mut waiting = Bench::new();
    assert_eq!(waiting.tell(Input::Shutdown), []);
    assert!(waiting.machine.has_ended());

    let mut connecting = Bench::new();
    connecting.tell(Input::Timeout);
    let record = lost(Reason::Shutdown, "ended while connecting", 0, 0);
    assert_eq!(connecting.tell(Input::Shutdown), [record, Output::Drop]);
    assert!(connecting.machine.has_ended());
}
