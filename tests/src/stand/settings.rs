//! The configuration files of a stand, as an operator would write them.

use std::path::Path;

use super::{Bus, Device, Patience, Plan, Ports, Role};

/// Anybody's key of the right form, until `keys init` has told the real one.
pub(super) const KEY_UNKNOWN: &str = "PASTE-WHAT-payment-mock-keys-init-printed-A";

pub(super) fn platform(plan: &Plan, ports: &Ports, mock_key: &str, bus: Bus) -> String {
    let users = match bus {
        Bus::Embedded => embedded(ports),
        Bus::Alone => format!(
            "[broker.external]\naddress = \"127.0.0.1:{}\"\nuser = \"platform\"\n\
             password_file = \"data/platform.password\"\n",
            broker_port(plan, ports, Role::Platform)
        ),
    };
    format!(
        r#"platform = "main"
data_folder = "data"
sites = "site.toml"
uncertain = "{uncertain}"

[[gateways]]
id = "mock"
public_keys = ["{mock_key}"]

{users}
[api]
listen = "127.0.0.1:{api}"

[public]
listen = "127.0.0.1:{public}"
url = "http://127.0.0.1:{public}"

[timeouts]
{timeouts}
"#,
        api = ports.api,
        public = ports.public,
        timeouts = platform_timeouts(plan.patience),
        uncertain = match plan.patience {
            Patience::Ordinary => "review",
            Patience::Short => "refund_as_loss",
        },
    )
}

/// Questions and retries come sooner than for an operator; nobody gives up sooner.
const fn platform_timeouts(patience: Patience) -> &'static str {
    match patience {
        Patience::Ordinary => {
            "query_interval_ms = 1000\nclose_retry_ms = 500\nrefund_retry_ms = 500\n\
             inquiry_interval_ms = 500\noff_repeat_ms = 500\npermit_minimum_ms = 500\n\
             nonce_margin_ms = 1000"
        }
        Patience::Short => {
            "gateway_call_ms = 1000\nquote_ms = 3000\nquery_interval_ms = 500\n\
             close_retry_ms = 500\nrefund_retry_ms = 500\ninquiry_interval_ms = 500\n\
             off_repeat_ms = 500\npermit_minimum_ms = 500\nnonce_margin_ms = 1000\n\
             closing_ms = 8000"
        }
    }
}

/// What a terminal waits for beside its nonce.
const fn terminal_timeouts(patience: Patience) -> &'static str {
    match patience {
        Patience::Ordinary => "",
        Patience::Short => "quote_timeout_ms = 3000\nprobe_interval_ms = 1000\n",
    }
}

/// Where a program finds the broker.
fn broker_port(plan: &Plan, ports: &Ports, role: Role) -> u16 {
    let route = plan.routes.get(&role);
    route.map_or(ports.mqtt, |address| address.port())
}

fn embedded(ports: &Ports) -> String {
    format!(
        r#"[[broker.embedded.listen]]
address = "127.0.0.1:{}"

[[broker.embedded.users]]
name = "mock"
password_file = "data/mock.password"
identity = {{ gateway = "mock" }}

[[broker.embedded.users]]
name = "washer-1"
password_file = "data/washer-1.password"
identity = {{ terminal = "north/washer-1" }}
"#,
        ports.mqtt
    )
}

pub(super) fn broker(ports: &Ports, passwords: &Path) -> String {
    let passwords = passwords.display();
    format!(
        r#"health = "127.0.0.1:{health}"

[[listen]]
address = "127.0.0.1:{mqtt}"

[[users]]
name = "platform"
password_file = "{passwords}/platform.password"
identity = {{ platform = "main" }}

[[users]]
name = "mock"
password_file = "{passwords}/mock.password"
identity = {{ gateway = "mock" }}

[[users]]
name = "washer-1"
password_file = "{passwords}/washer-1.password"
identity = {{ terminal = "north/washer-1" }}
"#,
        health = ports.broker_health,
        mqtt = ports.mqtt,
    )
}

pub(super) fn site(plan: &Plan, terminal_key: &str) -> String {
    format!(
        r#"id = "north"
currency = "CNY"
time_zone = "Asia/Shanghai"
gateway = "mock"
order_lifetime_ms = {lifetime}

[merchant]
name = "North Street Laundry"
about = {{ en = "Self-service washing and drying, day and night." }}
help = "+86 10 5555 0100"

[payee]
id = "north-laundry"
name = "North Street Laundry Ltd"

[[items]]
id = "wash-40"
name = {{ en = "Wash 40 °C" }}
price = "12.00"
quantity_max = 2

[[items]]
id = "dry-30"
name = {{ en = "Dry 30 minutes" }}
price = "4.50"
quantity_max = 2

[[terminals]]
id = "washer-1"
place = {{ id = "washer-1", name = "Machine 1" }}
devices = ["washer"]
public_key = "{terminal_key}"
"#,
        lifetime = plan.order_lifetime_ms,
    )
}

pub(super) fn mock(plan: &Plan, ports: &Ports, platform_key: &str) -> String {
    format!(
        r#"gateway = "mock"

[[platforms]]
id = "main"
public_keys = ["{platform_key}"]

[broker]
address = "127.0.0.1:{mqtt}"
user = "mock"
password_file = "data/broker.password"

[ledger]
data_folder = "data"
payees = ["north-laundry"]

[keys]
signing_file = "data/payment-mock.key"

[http]
listen = "127.0.0.1:{pages}"
public_url = "http://localhost:{pages}"

[scenario]
outcome = "{outcome}"
slow_answer_ms = 2000
"#,
        mqtt = broker_port(plan, ports, Role::Mock),
        pages = ports.pages,
        outcome = plan.outcome,
    )
}

pub(super) fn terminal(plan: &Plan, ports: &Ports, folder: &Path, platform_key: &str) -> String {
    let driver = match plan.device {
        Device::Simulated => "driver.simulated = {}".to_owned(),
        Device::Modbus(address) => {
            format!("driver.modbus_tcp = {{ address = \"{address}\", unit = 1, coil = 0 }}")
        }
    };
    format!(
        r#"terminal = "north/washer-1"
data_folder = "{folder}/data"

[page]
listen = "127.0.0.1:{page}"

[health]
listen = "127.0.0.1:{health}"

[broker]
address = "127.0.0.1:{mqtt}"
user = "washer-1"
password_file = "{folder}/data/broker.password"

[platform]
id = "main"
public_keys = ["{platform_key}"]

[timeouts]
nonce_grace_ms = {grace}
{timeouts}
[[devices]]
id = "washer"
{driver}
action.pulse = {{ ms = 500 }}
"#,
        folder = folder.display(),
        page = ports.page,
        health = ports.terminal_health,
        mqtt = broker_port(plan, ports, Role::Terminal),
        grace = plan.nonce_grace_ms,
        timeouts = terminal_timeouts(plan.patience),
    )
}
