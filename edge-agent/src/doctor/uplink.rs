//! The way to the platform: TCP, then MQTT with the configured identity.

use std::time::Duration;

use process::entropy::SystemEntropy;
use protocol::id::Entropy as _;
use protocol_client::{BrokerAddress, ClientTls, Event, Options};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Problem;
use crate::config::Config;

/// Wait for TCP and then for CONNACK: what the client itself allows.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn check(config: &Config) -> Result<String, Problem> {
    let options = options(config)?;
    let broker = options.broker.to_string();
    reach(&options.broker).await?;
    let shutdown = CancellationToken::new();
    let (_, mut incoming) = protocol_client::start(options, SystemEntropy::new(), shutdown.clone());
    let connected = timeout(TIMEOUT, async {
        while let Some(event) = incoming.next().await {
            if matches!(event, Event::Connected) {
                return true;
            }
        }
        false
    });
    let connected = connected.await.unwrap_or(false);
    shutdown.cancel();
    if connected {
        return Ok(format!("{broker} takes '{}'", config.broker.user));
    }
    let what = format!(
        "{broker} answers, but does not take '{}' by MQTT",
        config.broker.user
    );
    let fix =
        "check broker.user and the password with the platform's operator, and broker.tls_ca_file";
    Err(Problem::new(what, fix))
}

async fn reach(broker: &BrokerAddress) -> Result<(), Problem> {
    let target = (broker.host.as_str(), broker.port);
    let fix = "check broker.address, the network cable and the firewall";
    match timeout(TIMEOUT, TcpStream::connect(target)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Problem::new(format!("{broker}: {error}"), fix)),
        Err(_) => Err(Problem::new(
            format!("{broker} does not answer within 5 s"),
            fix,
        )),
    }
}

/// Without will and subscriptions, under a client id of its own: a running agent keeps its
/// connection.
fn options(config: &Config) -> Result<Options, Problem> {
    let broker = &config.broker;
    let problem = |field, error: &dyn std::error::Error| {
        Problem::new(error.to_string(), format!("correct {field}"))
    };
    let mut address: BrokerAddress = broker
        .address
        .parse()
        .map_err(|error: protocol_client::AddressError| problem("broker.address", &error))?;
    if let Some(path) = &broker.tls_ca_file {
        let tls = ClientTls::from_ca_file(path);
        address = address.with_tls(tls.map_err(|error| problem("broker.tls_ca_file", &error))?);
    }
    let password = match (&broker.password, &broker.password_file) {
        (Some(password), _) => password.0.clone(),
        (None, Some(file)) => file
            .read()
            .map_err(|error| problem("broker.password_file", &error))?,
        (None, None) => String::new(),
    };
    let random = protocol::id::MessageId::from_random(SystemEntropy::new().bytes());
    let client_id = format!("doctor-{}", random.short());
    Ok(Options::new(
        "agent",
        address,
        client_id,
        broker.user.clone(),
        password,
    ))
}
