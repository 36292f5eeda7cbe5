//! A shop of separate programs, as an operator sets it up: configuration files, keys by
//! `keys init`, passwords, start, SIGKILL, start again.

mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context as _, ensure};
use process::clock::Clock;
use serde_json::Value;
use tokio::process::Command;

use crate::api;
use crate::programs::{self, Launch, Program};

/// One of the four programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Broker,
    Platform,
    Mock,
    Terminal,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Broker, Self::Platform, Self::Mock, Self::Terminal];

    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Broker => "paylatch-broker",
            Self::Platform => "paylatch-platform",
            Self::Mock => "paylatch-payment-mock",
            Self::Terminal => "paylatch-agent",
        }
    }

    const fn file(self) -> &'static str {
        match self {
            Self::Broker => "broker.toml",
            Self::Platform => "platform.toml",
            Self::Mock => "payment-mock.toml",
            Self::Terminal => "agent.toml",
        }
    }
}

/// Where messages meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bus {
    /// Inside the platform.
    Embedded,
    /// In `paylatch-broker`.
    Alone,
}

/// What the terminal switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    Simulated,
    /// Coil 0 of a Modbus TCP server.
    Modbus(SocketAddr),
}

/// What to set up. The prices are those of [`crate::visit`]: a wash for 12.00.
#[derive(Debug, Clone)]
pub struct Plan {
    pub folder: PathBuf,
    pub bus: Bus,
    pub device: Device,
    /// The payment server's, by its name in the configuration.
    pub outcome: &'static str,
    pub order_lifetime_ms: u64,
    pub nonce_grace_ms: u64,
    pub patience: Patience,
    /// Programs that find the broker elsewhere than where it listens: at a proxy, say.
    pub routes: BTreeMap<Role, SocketAddr>,
}

/// How long programs wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// As an operator's, but that the platform asks sooner.
    Ordinary,
    /// Of seconds, for a shop whose programs die. What nobody can say is given back.
    Short,
}

impl Plan {
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            bus: Bus::Embedded,
            device: Device::Simulated,
            outcome: "paid",
            order_lifetime_ms: 120_000,
            nonce_grace_ms: 60_000,
            patience: Patience::Ordinary,
            routes: BTreeMap::new(),
        }
    }

    /// The folder in which a program keeps what it must not lose.
    #[must_use]
    pub fn data(&self, role: Role) -> PathBuf {
        self.folder_of(role).join("data")
    }

    fn folder_of(&self, role: Role) -> PathBuf {
        self.folder.join(role.program())
    }

    /// With an order that ends within seconds, so that a refund can be waited for.
    #[must_use]
    pub const fn brisk(mut self) -> Self {
        self.order_lifetime_ms = 15_000;
        self.nonce_grace_ms = 4_000;
        self
    }

    /// With an order that a payer reaches, and that ends soon when nobody pays.
    #[must_use]
    pub const fn short(mut self) -> Self {
        self.order_lifetime_ms = 6_000;
        self.nonce_grace_ms = 2_000;
        self.patience = Patience::Short;
        self
    }
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    mqtt: u16,
    broker_health: u16,
    api: u16,
    public: u16,
    pages: u16,
    page: u16,
    terminal_health: u16,
}

/// Configured programs, and those of them that run. Dropped, they are killed.
#[derive(Debug)]
pub struct Stand {
    plan: Plan,
    ports: Ports,
    clock: Clock,
    running: BTreeMap<Role, Program>,
    launches: BTreeMap<Role, Launch>,
}

impl Stand {
    /// Writes every file and makes every key, and starts nothing.
    pub async fn prepare(plan: Plan) -> anyhow::Result<Self> {
        let stand = Self {
            ports: Ports::free()?,
            plan,
            clock: Clock::system(),
            running: BTreeMap::new(),
            launches: BTreeMap::new(),
        };
        stand.configure().await?;
        Ok(stand)
    }

    /// Starts every program and waits until each says that it is ready.
    pub async fn start(plan: Plan) -> anyhow::Result<Self> {
        let mut stand = Self::prepare(plan).await?;
        for role in stand.roles() {
            stand.start_program(role).await?;
        }
        Ok(stand)
    }

    /// In the order in which they are started.
    #[must_use]
    pub fn roles(&self) -> Vec<Role> {
        let embedded = self.plan.bus == Bus::Embedded;
        let is_one = |role: &Role| !(embedded && *role == Role::Broker);
        Role::ALL.into_iter().filter(is_one).collect()
    }

    /// Starts one, on the data that it left, and waits until it is ready.
    pub async fn start_program(&mut self, role: Role) -> anyhow::Result<()> {
        let config = self.config(role).display().to_string();
        let launch = self.launches.get(&role).cloned().unwrap_or_default();
        let mut program = Program::launch(
            role.program(),
            &["run", "--config", &config],
            &self.log(role),
            &launch,
        )?;
        program
            .wait_ready(&self.health_url(role, "/readyz"), &self.clock)
            .await?;
        self.running.insert(role, program);
        Ok(())
    }

    /// How a program is started from now on.
    pub fn set_launch(&mut self, role: Role, launch: Launch) {
        self.launches.insert(role, launch);
    }

    /// A program that runs, as far as we know.
    pub fn program(&mut self, role: Role) -> anyhow::Result<&mut Program> {
        self.running
            .get_mut(&role)
            .with_context(|| format!("{} does not run", role.program()))
    }

    /// Whether it was started, and has not been seen to end.
    #[must_use]
    pub fn is_running(&self, role: Role) -> bool {
        self.running.contains_key(&role)
    }

    /// Programs that have ended since they were started; they count as stopped from now on.
    pub fn take_ended(&mut self) -> anyhow::Result<Vec<(Role, ExitStatus)>> {
        let mut ended = Vec::new();
        for role in self.roles() {
            let status = self.running.get_mut(&role).map(Program::ended);
            if let Some(status) = status.transpose()?.flatten() {
                self.running.remove(&role);
                ended.push((role, status));
            }
        }
        Ok(ended)
    }

    /// SIGKILL.
    pub async fn kill(&mut self, role: Role) -> anyhow::Result<()> {
        let program = self.running.remove(&role);
        program.context("it does not run")?.kill().await
    }

    /// SIGTERM to all, the last started first; each must end with 0.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        while let Some((role, program)) = self.running.pop_last() {
            let code = program.stop().await?;
            ensure!(code == 0, "{} ended with {code}", role.program());
        }
        Ok(())
    }

    /// The payer's first page.
    #[must_use]
    pub fn page(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.page)
    }

    /// `/livez`, `/readyz` or `/metrics` of a program.
    #[must_use]
    pub fn health_url(&self, role: Role, path: &str) -> String {
        let port = match role {
            Role::Broker => self.ports.broker_health,
            Role::Platform => self.ports.api,
            Role::Mock => self.ports.pages,
            Role::Terminal => self.ports.terminal_health,
        };
        format!("http://127.0.0.1:{port}{path}")
    }

    /// The address that a program listens on for its main purpose.
    #[must_use]
    pub fn main_address(&self, role: Role) -> SocketAddr {
        let port = match role {
            Role::Broker => self.ports.mqtt,
            Role::Platform => self.ports.api,
            Role::Mock => self.ports.pages,
            Role::Terminal => self.ports.page,
        };
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// An answer of the platform's read API.
    pub async fn fetch(&self, path: &str) -> anyhow::Result<Value> {
        let token = std::fs::read_to_string(self.platform_data().join("api-token"))?;
        api::fetch(self.main_address(Role::Platform), token.trim(), path).await
    }

    /// The folder with the platform's books.
    #[must_use]
    pub fn platform_data(&self) -> PathBuf {
        self.data(Role::Platform)
    }

    /// The folder in which a program keeps what it must not lose.
    #[must_use]
    pub fn data(&self, role: Role) -> PathBuf {
        self.plan.data(role)
    }

    /// The configuration file of a program.
    #[must_use]
    pub fn config(&self, role: Role) -> PathBuf {
        self.folder(role).join(role.file())
    }

    /// Where a program's output goes.
    #[must_use]
    pub fn log(&self, role: Role) -> PathBuf {
        self.plan.folder.join(format!("{}.log", role.program()))
    }

    fn folder(&self, role: Role) -> PathBuf {
        self.plan.folder_of(role)
    }

    async fn configure(&self) -> anyhow::Result<()> {
        for role in Role::ALL {
            std::fs::create_dir_all(self.folder(role).join("data"))?;
        }
        let (plan, ports) = (&self.plan, &self.ports);
        let unknown = settings::KEY_UNKNOWN;
        // The embedded form names the users whose passwords `keys init` makes.
        let first = settings::platform(plan, ports, unknown, Bus::Embedded);
        self.write(Role::Platform, &first)?;
        let platform_key = self.init_keys(Role::Platform).await?;
        self.share_passwords()?;
        self.write(Role::Mock, &settings::mock(plan, ports, &platform_key))?;
        let mock_key = self.init_keys(Role::Mock).await?;
        let folder = self.folder(Role::Terminal);
        let terminal = settings::terminal(plan, ports, &folder, &platform_key);
        self.write(Role::Terminal, &terminal)?;
        let terminal_key = self.init_keys(Role::Terminal).await?;
        let site = self.folder(Role::Platform).join("site.toml");
        std::fs::write(site, settings::site(plan, &terminal_key))?;
        let platform = settings::platform(plan, ports, &mock_key, plan.bus);
        self.write(Role::Platform, &platform)?;
        let broker = settings::broker(ports, &self.platform_data());
        self.write(Role::Broker, &broker)
    }

    /// What an operator does with the passwords that the platform made.
    fn share_passwords(&self) -> anyhow::Result<()> {
        let made = self.platform_data();
        for (user, role) in [("mock", Role::Mock), ("washer-1", Role::Terminal)] {
            let target = self.folder(role).join("data/broker.password");
            std::fs::copy(made.join(format!("{user}.password")), target)?;
        }
        let own = made.join("platform.password");
        process::file::create(&own, b"only-this-machine-reads-it\n")?;
        Ok(())
    }

    fn write(&self, role: Role, text: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(self.config(role), text)?)
    }

    /// `keys init`, and the public key that it prints.
    async fn init_keys(&self, role: Role) -> anyhow::Result<String> {
        let config = self.config(role);
        let output = run(role, &["keys", "init", "--config"], Some(&config)).await?;
        ensure!(output.code == 0, "{}: {}", role.program(), output.errors);
        Ok(output.printed.trim().to_owned())
    }
}

/// How a program that ends by itself ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub code: i32,
    pub printed: String,
    pub errors: String,
}

/// Runs one of the programs to its end.
pub async fn run(role: Role, words: &[&str], path: Option<&Path>) -> anyhow::Result<Ended> {
    let mut command = Command::new(programs::binary(role.program())?);
    let output = command.args(words).args(path).kill_on_drop(true).output();
    let output = tokio::time::timeout(programs::STOP_TIMEOUT, output)
        .await
        .with_context(|| format!("{} does not end", role.program()))??;
    Ok(Ended {
        code: output.status.code().context("it was killed")?,
        printed: String::from_utf8(output.stdout)?,
        errors: String::from_utf8(output.stderr)?,
    })
}

impl Ports {
    fn free() -> anyhow::Result<Self> {
        Ok(Self {
            mqtt: programs::free_port()?,
            broker_health: programs::free_port()?,
            api: programs::free_port()?,
            public: programs::free_port()?,
            pages: programs::free_port()?,
            page: programs::free_port()?,
            terminal_health: programs::free_port()?,
        })
    }
}
