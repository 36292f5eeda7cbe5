//! `demo`: stays until Ctrl-C.

use process::shutdown;
use tests::system::{Plan, System};

/// Unused by anything that Debian or the Internet Assigned Numbers Authority lists.
const PORT_BASE: u16 = 7_600;

pub(crate) async fn run(mut plan: Plan) -> anyhow::Result<()> {
    plan.port_base.get_or_insert(PORT_BASE);
    let outcome = plan.outcome;
    let stop = shutdown::on_signal()?;
    let system = System::start(plan).await?;
    println!("Paylatch demo: every order ends as '{outcome}'. Nothing here is real money.\n");
    for terminal in system.terminals() {
        println!(
            "  terminal {:<16} {}",
            terminal.name.to_string(),
            terminal.page
        );
    }
    println!("  payment server            {}", system.mock().pages);
    let platform = system.platform()?;
    println!(
        "  platform API              http://{}/api/v1/transactions",
        platform.api
    );
    println!(
        "  metrics                   http://{}/metrics",
        platform.api
    );
    println!("  its bearer token          {}", platform.token);
    println!("  broker (MQTT 3.1.1)       {}", system.broker_address());
    println!("  data                      {}", system.data().display());
    println!("\nOpen a terminal's page in a browser and pay. Ctrl-C ends the demo.");
    stop.cancelled().await;
    println!("\nstopping");
    system.stop().await
}
