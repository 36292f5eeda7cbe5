//! Broker, platform, payment server and terminals in one process, each with threads of its own, on
//! loopback ports.

mod plan;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use broker::Identity;
use protocol::signed::PublicKey;
use protocol::topic::TerminalName;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use plan::{Pace, Plan};

/// From the token to the end of a part: each drains within five seconds.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// A whole system. Everything in it ends with [`System::stop`].
#[derive(Debug)]
pub struct System {
    plan: Plan,
    broker: Option<Part<()>>,
    broker_address: SocketAddr,
    platform: Option<Part<PlatformView>>,
    mock: Part<MockView>,
    terminals: Vec<Part<TerminalView>>,
}

/// A running part: its threads carry its name, so that its processor time can be told apart.
#[derive(Debug)]
struct Part<V> {
    view: V,
    task: JoinHandle<anyhow::Result<()>>,
    shutdown: CancellationToken,
    /// Kept as long as the part.
    threads: Arc<Threads>,
}

/// Threads of one name. Dropped, they are left to end by themselves: a runtime must not be dropped
/// inside another one.
#[derive(Debug)]
struct Threads(Option<Runtime>);

/// What the outside sees of a platform.
#[derive(Debug, Clone)]
pub struct PlatformView {
    pub api: SocketAddr,
    pub token: String,
    pub key: PublicKey,
}

/// What the outside sees of a payment server.
#[derive(Debug, Clone)]
pub struct MockView {
    pub pages: String,
    pub handle: payment_mock::Handle,
}

/// What the outside sees of a terminal.
#[derive(Debug, Clone)]
pub struct TerminalView {
    pub name: TerminalName,
    pub page: String,
    pub handle: edge_agent::Handle,
}

impl System {
    /// Starts every part and waits until the terminals can sell.
    pub async fn start(plan: Plan) -> anyhow::Result<Self> {
        process::metrics::recorder();
        let broker = start_broker(&plan, plan.port(0)).await?;
        let broker_address = broker.view;
        let platform = start_platform(&plan, broker_address).await?;
        let mock = start_mock(&plan, broker_address).await?;
        let mut system = Self {
            broker: Some(broker.forget()),
            broker_address,
            platform: Some(platform),
            mock,
            terminals: Vec::new(),
            plan,
        };
        let threads = Threads::start("terminal")?;
        for index in 0..system.plan.terminals {
            let threads = Arc::clone(&threads);
            let terminal = start_terminal(&system.plan, broker_address, index, threads).await?;
            system.terminals.push(terminal);
        }
        Ok(system)
    }

    /// There is one, except while it is being restarted.
    pub fn platform(&self) -> anyhow::Result<&PlatformView> {
        self.platform
            .as_ref()
            .map(|part| &part.view)
            .context("the platform is stopped")
    }

    #[must_use]
    pub const fn mock(&self) -> &MockView {
        &self.mock.view
    }

    pub fn terminal(&self, index: usize) -> anyhow::Result<&TerminalView> {
        self.terminals
            .get(index)
            .map(|part| &part.view)
            .context("no such terminal")
    }

    pub fn terminals(&self) -> impl Iterator<Item = &TerminalView> {
        self.terminals.iter().map(|part| &part.view)
    }

    #[must_use]
    pub const fn broker_address(&self) -> SocketAddr {
        self.broker_address
    }

    /// Where the platform keeps its books.
    #[must_use]
    pub fn platform_data(&self) -> PathBuf {
        self.plan.folder("platform")
    }

    #[must_use]
    pub fn data(&self) -> &Path {
        &self.plan.data
    }

    /// The broker forgets everything: nobody is told.
    pub async fn stop_broker(&mut self) -> anyhow::Result<()> {
        let part = self
            .broker
            .take()
            .context("the broker is stopped already")?;
        part.stop().await
    }

    /// A new broker on the address of the one before.
    pub async fn start_broker(&mut self) -> anyhow::Result<()> {
        ensure!(self.broker.is_none(), "the broker is running");
        let part = start_broker(&self.plan, self.broker_address.port()).await?;
        self.broker = Some(part.forget());
        Ok(())
    }

    /// Stops the platform in order; its books stay.
    pub async fn stop_platform(&mut self) -> anyhow::Result<()> {
        let part = self
            .platform
            .take()
            .context("the platform is stopped already")?;
        part.stop().await
    }

    pub async fn start_platform(&mut self) -> anyhow::Result<()> {
        ensure!(self.platform.is_none(), "the platform is running");
        self.platform = Some(start_platform(&self.plan, self.broker_address).await?);
        Ok(())
    }

    /// Stops everything, terminals first.
    pub async fn stop(self) -> anyhow::Result<()> {
        for terminal in self.terminals {
            terminal.stop().await?;
        }
        self.mock.stop().await?;
        if let Some(platform) = self.platform {
            platform.stop().await?;
        }
        match self.broker {
            Some(broker) => broker.stop().await,
            None => Ok(()),
        }
    }
}

impl Threads {
    /// All parts together get as many threads as this machine has cores for them.
    fn start(name: &str) -> anyhow::Result<Arc<Self>> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(name)
            .enable_all()
            .build()?;
        Ok(Arc::new(Self(Some(runtime))))
    }

    fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> anyhow::Result<JoinHandle<T>> {
        let runtime = self.0.as_ref().context("the threads have ended")?;
        Ok(runtime.spawn(future))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl<V: Send + 'static> Part<V> {
    /// Runs `build` on `threads`; it gives what the outside sees, and the rest.
    async fn start<F, R>(threads: Arc<Threads>, build: F) -> anyhow::Result<Self>
    where
        F: Future<Output = anyhow::Result<(V, R)>> + Send + 'static,
        R: FnOnce(CancellationToken) -> BoxedRun + Send + 'static,
    {
        let shutdown = CancellationToken::new();
        let (view, run) = threads.spawn(build)?.await??;
        let task = threads.spawn(run(shutdown.clone()))?;
        Ok(Self {
            view,
            task,
            shutdown,
            threads,
        })
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(STOP_TIMEOUT, &mut self.task).await;
        drop(self.threads);
        ended.context("a part did not stop in time")??
    }

    fn forget(self) -> Part<()> {
        Part {
            view: (),
            task: self.task,
            shutdown: self.shutdown,
            threads: self.threads,
        }
    }
}

type BoxedRun = std::pin::Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

async fn start_broker(plan: &Plan, port: u16) -> anyhow::Result<Part<SocketAddr>> {
    let mut users = vec![
        broker::User::new(
            "platform",
            plan::PASSWORD,
            Identity::Platform(plan.platform_id()?),
        ),
        broker::User::new(
            "mock",
            plan::PASSWORD,
            Identity::Gateway(plan.gateway_id()?),
        ),
        broker::User::new("monitor", plan::PASSWORD, Identity::Monitor),
    ];
    for index in 0..plan.terminals {
        let name = plan.terminal_name(index)?;
        let identity = Identity::Terminal(name);
        users.push(broker::User::new(
            plan::terminal_user(index),
            plan::PASSWORD,
            identity,
        ));
    }
    let mut config = broker::Config::loopback(users);
    config.listen[0].address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let build = async move {
        let built = broker::build(config).await?;
        let address = *built.addresses().first().context("a broker listens")?;
        let run = |token| {
            Box::pin(async move {
                built.run(token).await;
                Ok(())
            }) as BoxedRun
        };
        Ok((address, run))
    };
    Part::start(Threads::start("broker")?, build).await
}

async fn start_platform(plan: &Plan, broker: SocketAddr) -> anyhow::Result<Part<PlatformView>> {
    let (config, keys) = plan.platform(broker)?;
    let build = async move {
        let built = platform::build(config, keys).await?;
        let view = PlatformView {
            api: built.api_address(),
            token: built.api_token().to_owned(),
            key: built.public_key(),
        };
        let run = |token| Box::pin(async move { Ok(built.run(token).await?) }) as BoxedRun;
        Ok((view, run))
    };
    Part::start(Threads::start("platform")?, build).await
}

async fn start_mock(plan: &Plan, broker: SocketAddr) -> anyhow::Result<Part<MockView>> {
    let (config, keys) = plan.mock(broker)?;
    let pages = config.public_url.clone().unwrap_or_default();
    let build = async move {
        let built = payment_mock::build(config, keys).await?;
        let view = MockView {
            pages,
            handle: built.handle(),
        };
        let run = |token| Box::pin(async move { Ok(built.run(token).await?) }) as BoxedRun;
        Ok((view, run))
    };
    Part::start(Threads::start("mock")?, build).await
}

async fn start_terminal(
    plan: &Plan,
    broker: SocketAddr,
    index: usize,
    threads: Arc<Threads>,
) -> anyhow::Result<Part<TerminalView>> {
    let name = plan.terminal_name(index)?;
    let (config, keys) = plan.terminal(broker, index)?;
    let build = async move {
        let built = edge_agent::build(config, keys).await?;
        let page = format!("http://{}", built.page_address());
        let view = TerminalView {
            name,
            page,
            handle: built.handle(),
        };
        let run = |token| Box::pin(async move { Ok(built.run(token).await?) }) as BoxedRun;
        Ok((view, run))
    };
    Part::start(threads, build).await
}
