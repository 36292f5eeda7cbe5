//! Clients that nobody here wrote.

use std::path::Path;
use std::process::{Command, Stdio};

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tokio::time::timeout;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paho_finds_what_the_door_offers() {
    let Some(python) = std::env::var_os("PAYLATCH_PYTHON") else {
        // To standard error and through the runner's capture: it must not look like a check.
        println!("not checked: PAYLATCH_PYTHON names no interpreter with paho-mqtt");
        return;
    };
    let broker = start(config()).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/interop/paho_door.py");
    // Thirteen checks; each waits seconds at most, keepalive longest.
    let mut command = Command::new("timeout");
    command
        .arg("120")
        .arg(python)
        .arg(script)
        .args(["--port", &broker.address().port().to_string()])
        .args(["--terminal", &format!("{GATE_1}:{PASSWORD}:north/gate-1")])
        .args(["--platform", &format!("{PLATFORM}:{PASSWORD}:main")])
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{complaint}");
    assert!(printed.ends_with("13 of 13 passed\n"), "{printed}");
    broker.assert_serves().await;
}

#[tokio::test]
async fn rumqttc_goes_the_whole_way() {
    let broker = start(config()).await;
    let options = |user: &str| {
        let port = broker.address().port();
        let mut options = MqttOptions::new(user, "127.0.0.1", port);
        options.set_credentials(user, PASSWORD);
        options
    };
    let (gate, mut gate_events) = AsyncClient::new(options(GATE_1), 8);
    gate.subscribe(ALL_DOWN_1, QoS::AtLeastOnce).await.unwrap();
    let (platform, mut platform_events) = AsyncClient::new(options(PLATFORM), 8);
    let meeting = async {
        while !matches!(
            gate_events.poll().await.unwrap(),
            Event::Incoming(Packet::SubAck(_))
        ) {}
        platform
            .publish(DOWN_1, QoS::AtLeastOnce, false, "permit")
            .await
            .unwrap();
        loop {
            tokio::select! {
                event = gate_events.poll() => {
                    if let Event::Incoming(Packet::Publish(publish)) = event.unwrap() {
                        return publish;
                    }
                }
                event = platform_events.poll() => {
                    event.unwrap();
                }
            }
        }
    };
    let publish = timeout(DEADLINE, meeting).await.unwrap();
    assert_eq!(
        (&publish.topic[..], &publish.payload[..]),
        (DOWN_1, &b"permit"[..])
    );
    broker.stop().await;
}
