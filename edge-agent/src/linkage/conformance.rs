//! What every driver has to pass, and what only Modbus can get wrong.

mod coil_server;

use std::time::Duration;

use process::clock::Clock;
use protocol::id::DeviceId;
use protocol::message::{DeviceHealth, DeviceOutcome, DeviceResult, DeviceState, Feedback};
use protocol::time::{Now, Tick, Utc};

use self::coil_server::CoilServer;
use super::config::{
    Action, DeviceConfig, DriverConfig, Fault, ModbusTcpConfig, SafeState, SimulatedConfig, Span,
};
use super::{LinkageError, Panel, Simulation};

const PULSE: Duration = Duration::from_millis(500);

/// What is wrong with the device under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Sound,
    /// Nobody is there.
    Gone,
    /// It says no to every write.
    Refusing,
    /// It takes writes and does not move.
    Stuck,
    /// It answers a write with something else.
    Lying,
    /// It moves and does not answer.
    Slow,
}

/// The device under test, seen from behind.
enum Rig {
    Simulated(Simulation),
    Modbus(CoilServer),
}

impl Rig {
    async fn set(&self, condition: Condition) {
        match self {
            Self::Simulated(simulation) => {
                let fault = match condition {
                    Condition::Sound => Fault::None,
                    Condition::Gone => Fault::Gone,
                    Condition::Refusing => Fault::Refuse,
                    Condition::Stuck => Fault::Stuck,
                    Condition::Lying => Fault::Lying,
                    Condition::Slow => Fault::Slow,
                };
                assert!(simulation.set_fault(&gate(), fault));
            }
            Self::Modbus(server) => server.set(condition).await,
        }
    }

    fn is_on(&self) -> bool {
        match self {
            Self::Simulated(simulation) => simulation.is_on(&gate()).unwrap(),
            Self::Modbus(server) => server.coil(COIL),
        }
    }
}

/// A panel of the device under test and a second one, which is always sound.
struct Bench {
    rig: Rig,
    panel: Panel,
    clock: Clock,
}

const COIL: u16 = 3;

fn gate() -> DeviceId {
    "gate".parse().unwrap()
}

fn lamp() -> DeviceId {
    "lamp".parse().unwrap()
}

fn device(id: DeviceId, driver: DriverConfig) -> DeviceConfig {
    DeviceConfig {
        id,
        driver,
        action: Action::Pulse(Span { ms: 500 }),
        safe_state: SafeState::Off,
        on_max_ms: 60_000,
    }
}

fn simulated() -> DriverConfig {
    DriverConfig::Simulated(SimulatedConfig { fault: Fault::None })
}

fn modbus(server: &CoilServer) -> ModbusTcpConfig {
    ModbusTcpConfig {
        address: server.address().to_string().try_into().unwrap(),
        unit: 1.try_into().unwrap(),
        coil: COIL,
        read_back: true,
        // A loaded machine answers over loopback well within this.
        connect_timeout_ms: 2_000,
        answer_timeout_ms: 700,
    }
}

fn manual_clock() -> Clock {
    Clock::manual(Now {
        utc: Utc::EPOCH,
        tick: Tick::from_millis(1_000_000),
    })
}

impl Bench {
    fn simulated() -> Self {
        let (panel, clock) = Self::panel(simulated());
        let rig = Rig::Simulated(panel.simulation());
        Self { rig, panel, clock }
    }

    async fn modbus() -> Self {
        let server = CoilServer::start().await;
        let (panel, clock) = Self::panel(DriverConfig::ModbusTcp(modbus(&server)));
        let rig = Rig::Modbus(server);
        Self { rig, panel, clock }
    }

    fn panel(driver: DriverConfig) -> (Panel, Clock) {
        let clock = manual_clock();
        let devices = [device(gate(), driver), device(lamp(), simulated())];
        (Panel::build_with(&devices, &clock).unwrap(), clock)
    }

    async fn switch_on(&self) -> (DeviceOutcome, Feedback) {
        let results = self.panel.switch_on(&[gate()]).await;
        assert_eq!(results.len(), 1);
        (results[0].outcome, results[0].feedback)
    }

    async fn gate_state(&self) -> DeviceState {
        let health = self.panel.probe().await;
        assert_eq!(health[1], health_of(lamp(), DeviceState::Off));
        health[0].state
    }

    /// Time passes in steps until the output is as wanted.
    async fn passes_until(&self, on: bool) {
        for _ in 0..1_000 {
            if self.rig.is_on() == on {
                return;
            }
            self.clock.advance(Duration::from_millis(250));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the output is not {on}");
    }

    async fn stays_off(&self) {
        self.clock.advance(PULSE * 4);
        assert_eq!(self.gate_state().await, DeviceState::Off);
        assert!(!self.rig.is_on());
    }
}

const fn health_of(device: DeviceId, state: DeviceState) -> DeviceHealth {
    DeviceHealth { device, state }
}

const fn result_of(device: DeviceId, outcome: DeviceOutcome, feedback: Feedback) -> DeviceResult {
    DeviceResult {
        device,
        outcome,
        feedback,
    }
}

const DONE: (DeviceOutcome, Feedback) = (DeviceOutcome::Done, Feedback::ReadBack);
const FAILED: (DeviceOutcome, Feedback) = (DeviceOutcome::Failed, Feedback::None);
const CONTRADICTED: (DeviceOutcome, Feedback) = (DeviceOutcome::Failed, Feedback::Contradicts);
const UNCERTAIN: (DeviceOutcome, Feedback) = (DeviceOutcome::Uncertain, Feedback::None);

async fn conforms(bench: &Bench) {
    starts_in_its_safe_state(bench).await;
    pulses_and_ends_by_itself(bench).await;
    obeys_off(bench).await;
    refuses_a_late_permit(bench).await;
    says_for_certain_when_nothing_moved(bench).await;
    never_guesses(bench).await;
    ends_though_the_caller_has_gone(bench).await;
    ends_once_the_device_is_back(bench).await;
    is_left_off(bench).await;
}

async fn starts_in_its_safe_state(bench: &Bench) {
    let off = |id| health_of(id, DeviceState::Off);
    assert_eq!(bench.panel.safe_state().await, [off(gate()), off(lamp())]);
    assert!(!bench.rig.is_on());
}

async fn pulses_and_ends_by_itself(bench: &Bench) {
    assert_eq!(bench.switch_on().await, DONE);
    assert!(bench.rig.is_on());
    bench.clock.advance(PULSE - Duration::from_millis(1));
    assert_eq!(bench.gate_state().await, DeviceState::On);
    bench.clock.advance(Duration::from_millis(1));
    bench.passes_until(false).await;
    bench.stays_off().await;
}

async fn obeys_off(bench: &Bench) {
    assert_eq!(bench.switch_on().await, DONE);
    let off = bench.panel.switch_off(&[gate()]).await;
    assert_eq!(off, [health_of(gate(), DeviceState::Off)]);
    assert!(!bench.rig.is_on());
    bench.stays_off().await;
}

async fn refuses_a_late_permit(bench: &Bench) {
    let past = Tick::from_millis(bench.clock.now().tick.as_millis() - 1);
    let late = bench.panel.switch_on_until(&[gate()], Some(past)).await;
    assert_eq!(late, [result_of(gate(), FAILED.0, FAILED.1)]);
    bench.stays_off().await;
}

async fn says_for_certain_when_nothing_moved(bench: &Bench) {
    for (condition, expected) in [
        (Condition::Gone, FAILED),
        (Condition::Refusing, FAILED),
        (Condition::Stuck, CONTRADICTED),
    ] {
        bench.rig.set(condition).await;
        let results = bench.panel.switch_on(&[gate(), lamp()]).await;
        let failed = result_of(gate(), expected.0, expected.1);
        let skipped = result_of(lamp(), DeviceOutcome::Skipped, Feedback::None);
        assert_eq!(results, [failed, skipped], "{condition:?}");
        if condition == Condition::Gone {
            assert_eq!(bench.gate_state().await, DeviceState::Unreachable);
        }
        bench.rig.set(Condition::Sound).await;
        bench.stays_off().await;
    }
}

async fn never_guesses(bench: &Bench) {
    for condition in [Condition::Slow, Condition::Lying] {
        bench.rig.set(condition).await;
        assert_eq!(bench.switch_on().await, UNCERTAIN, "{condition:?}");
        bench.rig.set(Condition::Sound).await;
        bench.passes_until(false).await;
        bench.stays_off().await;
    }
}

async fn ends_though_the_caller_has_gone(bench: &Bench) {
    bench.rig.set(Condition::Slow).await;
    tokio::select! {
        result = bench.switch_on() => panic!("{result:?} came before the device moved"),
        () = becomes(&bench.rig, true) => {}
    }
    bench.rig.set(Condition::Sound).await;
    bench.passes_until(false).await;
}

/// Waits without letting time pass.
async fn becomes(rig: &Rig, on: bool) {
    let polled = async {
        while rig.is_on() != on {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(5), polled).await;
    assert!(waited.is_ok(), "the output is not {on}");
}

async fn ends_once_the_device_is_back(bench: &Bench) {
    assert_eq!(bench.switch_on().await, DONE);
    bench.rig.set(Condition::Gone).await;
    bench.clock.advance(PULSE);
    assert_eq!(bench.gate_state().await, DeviceState::Unreachable);
    bench.rig.set(Condition::Sound).await;
    bench.passes_until(false).await;
}

async fn is_left_off(bench: &Bench) {
    assert_eq!(bench.switch_on().await, DONE);
    bench.panel.close().await;
    assert!(!bench.rig.is_on());
    assert_eq!(bench.switch_on().await, FAILED);
}

#[tokio::test]
async fn the_simulated_driver_conforms() {
    conforms(&Bench::simulated()).await;
}

#[tokio::test]
async fn the_modbus_driver_conforms() {
    conforms(&Bench::modbus().await).await;
}

#[tokio::test]
async fn a_device_nobody_configured_does_not_move() {
    let bench = Bench::simulated();
    let unknown: DeviceId = "drone".parse().unwrap();
    let results = bench.panel.switch_on(&[unknown.clone(), gate()]).await;
    let failed = result_of(unknown, DeviceOutcome::Failed, Feedback::None);
    let skipped = result_of(gate(), DeviceOutcome::Skipped, Feedback::None);
    assert_eq!(results, [failed, skipped]);
    assert_eq!(bench.panel.simulation().on_total(), 0);
}

#[tokio::test]
async fn the_log_tells_every_switch_with_its_instant() {
    let bench = Bench::simulated();
    bench.switch_on().await;
    bench.clock.advance(PULSE);
    becomes(&bench.rig, false).await;
    let log = bench.panel.simulation().log();
    let told: Vec<_> = log
        .iter()
        .map(|switch| (switch.device.clone(), switch.on, switch.at.utc.as_millis()))
        .collect();
    assert_eq!(told, [(gate(), true, 0), (gate(), false, 500)]);
    assert_eq!(bench.panel.simulation().on_total(), 1);
}

#[tokio::test]
async fn a_panel_that_is_dropped_leaves_nothing_on() {
    let Bench { rig, panel, .. } = Bench::simulated();
    panel.switch_on(&[gate()]).await;
    drop(panel);
    becomes(&rig, false).await;
}

#[tokio::test]
async fn an_unwanted_list_of_devices_is_refused() {
    let twice = [device(gate(), simulated()), device(gate(), simulated())];
    assert_eq!(
        Panel::build(&twice).unwrap_err(),
        LinkageError::Twice { device: gate() }
    );
    let many: Vec<_> = (0..9)
        .map(|index| device(format!("gate-{index}").parse().unwrap(), simulated()))
        .collect();
    assert_eq!(
        Panel::build(&many).unwrap_err(),
        LinkageError::TooMany { count: 9, max: 8 }
    );
}

/// One write against a server that answers the n-th question as given.
async fn modbus_outcome(
    read_back: bool,
    answers: &[coil_server::Answer],
) -> (DeviceOutcome, Feedback) {
    let server = CoilServer::start().await;
    server.script(answers);
    let config = ModbusTcpConfig {
        read_back,
        answer_timeout_ms: 300,
        ..modbus(&server)
    };
    let devices = [device(gate(), DriverConfig::ModbusTcp(config))];
    let panel = Panel::build_with(&devices, &manual_clock()).unwrap();
    let results = panel.switch_on(&[gate()]).await;
    (results[0].outcome, results[0].feedback)
}

#[tokio::test]
async fn what_a_modbus_answer_proves() {
    use coil_server::Answer::{Close, Exception, OtherTransaction, Right, Silence};
    let unread = (DeviceOutcome::Done, Feedback::None);
    let table: [(bool, &[coil_server::Answer], (DeviceOutcome, Feedback)); 14] = [
        (true, &[Right, Right, Right], DONE),
        (false, &[Right], unread),
        // Before the write nothing can have moved.
        (true, &[Silence], FAILED),
        (true, &[Close], FAILED),
        (true, &[OtherTransaction], FAILED),
        (true, &[Exception(0x0B)], FAILED),
        // A server that names its reason has done nothing, unless it may have begun.
        (true, &[Right, Exception(0x02)], FAILED),
        (true, &[Right, Exception(0x06)], FAILED),
        (true, &[Right, Exception(0x04)], UNCERTAIN),
        (true, &[Right, Exception(0x0B)], UNCERTAIN),
        // After the write everything else is open.
        (true, &[Right, Silence], UNCERTAIN),
        (true, &[Right, Close], UNCERTAIN),
        (true, &[Right, OtherTransaction], UNCERTAIN),
        (true, &[Right, Right, Silence], UNCERTAIN),
    ];
    for (read_back, answers, expected) in table {
        let found = modbus_outcome(read_back, answers).await;
        assert_eq!(found, expected, "{answers:?}");
    }
}
