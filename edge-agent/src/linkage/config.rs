//! Which devices a terminal has, how they are reached, and how long they stay on.
//!
//! ```toml
//! [[devices]]
//! id = "gate"
//! driver.modbus_tcp = { address = "192.168.1.50:502", unit = 1, coil = 0 }
//! action.pulse = { ms = 500 }
//! ```

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use protocol::id::DeviceId;
use serde::{Deserialize, Serialize};

/// Port of Modbus TCP (IANA).
const MODBUS_PORT: u16 = 502;

/// Longest pulse, run or maximum on-time: a day. A longer one is a slip of a digit, and `Hold`
/// with OFF from elsewhere is no sale.
const ON_MAX_MS: u64 = 24 * 60 * 60 * 1_000;

/// Shortest pulse: below it, the write of OFF can overtake a relay that needs 10 to 15 ms.
const ON_MIN_MS: u64 = 20;

/// Range of one wait for a device: a fieldbus answers within milliseconds, and a payer stands
/// before the gate.
const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 50..=5_000;

/// One device of the terminal. The id is what the site's sales name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceConfig {
    /// Unique on this terminal; the platform's site file names the same id.
    pub id: DeviceId,
    /// How the device is reached: `driver.simulated = {}` or `driver.modbus_tcp = { .. }`.
    pub driver: DriverConfig,
    /// What ON means: `action.pulse = { ms = 500 }`, `action.run_for = { ms = 1800000 }` or
    /// `action = "hold"`.
    pub action: Action,
    /// What the device is brought to at every start, before there is any network. Default `off`.
    #[serde(default)]
    pub safe_state: SafeState,
    /// The device is never on for longer than this, whoever asks, counted from the last ON.
    /// Milliseconds, at most a day. Default one minute.
    #[serde(default = "on_max_ms")]
    pub on_max_ms: u64,
}

/// How a device is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriverConfig {
    /// Nothing moves; a log says what would have.
    Simulated(SimulatedConfig),
    /// One coil of a Modbus TCP server.
    ModbusTcp(ModbusTcpConfig),
}

/// A device that exists in memory only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedConfig {
    /// What is wrong with it: `none` (default), `refuse`, `gone`, `stuck`, `lying` or `slow`.
    #[serde(default)]
    pub fault: Fault,
}

/// What is wrong with a simulated device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    #[default]
    None,
    /// It answers every write with a refusal and does not move.
    Refuse,
    /// Nobody is there.
    Gone,
    /// It accepts every write and does not move; its read-back says so.
    Stuck,
    /// It does not move, and its answer to a write is no answer to what was asked.
    Lying,
    /// It moves, but does not answer in time.
    Slow,
}

/// A coil of a Modbus TCP server (relay board, PLC, or a gateway to a serial bus).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModbusTcpConfig {
    /// IP address, with the port where it isn't 502. No name: a gate opens without DNS.
    pub address: ModbusAddress,
    /// Unit identifier: 1 to 247, or 255 (default) for the server itself.
    #[serde(default)]
    pub unit: ModbusUnit,
    /// Address of the coil as the protocol counts, from 0; manuals that write 00001 mean 0.
    pub coil: u16,
    /// Read the coil after each write and believe the device only then. Default true; false only
    /// for devices whose coils can't be read.
    #[serde(default = "read_back")]
    pub read_back: bool,
    /// Wait for the TCP connection. Default 1,000, range 50 to 5,000.
    #[serde(default = "timeout_ms")]
    pub connect_timeout_ms: u64,
    /// Wait for each answer. Default 1,000, range 50 to 5,000.
    #[serde(default = "timeout_ms")]
    pub answer_timeout_ms: u64,
}

/// What ON means for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// On and, after `ms`, off again: gates and door openers, which close by themselves.
    Pulse(Span),
    /// On until OFF is asked for, or for `on_max_ms`.
    Hold,
    /// On for what was paid. A further sale while it runs adds its time.
    RunFor(Span),
}

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    pub ms: u64,
}

/// What a device is brought to when nobody knows what it should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SafeState {
    /// The only one so far: a device that is safe when on would be wired inverted.
    #[default]
    Off,
}

/// Why a text is no address of a Modbus server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no device address: write an IP address such as 192.168.1.50 or 192.168.1.50:502")]
pub struct AddressError(String);

/// Where a Modbus TCP server listens; text form `IP` or `IP:PORT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModbusAddress(SocketAddr);

impl ModbusAddress {
    pub(crate) const fn socket(self) -> SocketAddr {
        self.0
    }
}

impl TryFrom<String> for ModbusAddress {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        let without_port = || {
            text.parse()
                .map(|ip: IpAddr| SocketAddr::new(ip, MODBUS_PORT))
        };
        let address = text.parse().or_else(|_| without_port());
        let usable = |address: &SocketAddr| {
            let ip = address.ip();
            let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
            address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
        };
        match address {
            Ok(address) if usable(&address) => Ok(Self(address)),
            _ => Err(AddressError(text.chars().take(60).collect())),
        }
    }
}

impl From<ModbusAddress> for String {
    fn from(address: ModbusAddress) -> Self {
        address.0.to_string()
    }
}

/// Why a number is no unit identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no unit identifier of one device: use 1 to 247, or 255 for the server itself")]
pub struct UnitError(u8);

/// Unit identifier of one device: never 0, to which nobody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct ModbusUnit(u8);

impl Default for ModbusUnit {
    /// The server itself (Modbus Messaging on TCP/IP, section 4.4.1.2).
    fn default() -> Self {
        Self(255)
    }
}

impl TryFrom<u8> for ModbusUnit {
    type Error = UnitError;

    fn try_from(unit: u8) -> Result<Self, UnitError> {
        match unit {
            1..=247 | 255 => Ok(Self(unit)),
            _ => Err(UnitError(unit)),
        }
    }
}

impl From<ModbusUnit> for u8 {
    fn from(unit: ModbusUnit) -> Self {
        unit.0
    }
}

/// Why a device can't work as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkageError {
    #[error("{count} devices are too many; one terminal switches at most {max}")]
    TooMany { count: usize, max: usize },
    #[error("'{device}' is listed twice; give each device its own id")]
    Twice { device: DeviceId },
    #[error("{field} of '{device}' is {found}; use {range}")]
    Range {
        device: DeviceId,
        field: &'static str,
        found: u64,
        range: String,
    },
}

impl DeviceConfig {
    pub(crate) const fn on_max(&self) -> Duration {
        Duration::from_millis(self.on_max_ms)
    }

    /// What the types of the fields can't say.
    pub(crate) fn check(&self) -> Result<(), LinkageError> {
        self.in_range("on_max_ms", self.on_max_ms, ON_MIN_MS..=ON_MAX_MS)?;
        match self.action {
            Action::Pulse(span) => {
                self.in_range("action.pulse.ms", span.ms, ON_MIN_MS..=self.on_max_ms)?;
            }
            Action::RunFor(span) => {
                self.in_range("action.run_for.ms", span.ms, ON_MIN_MS..=self.on_max_ms)?;
            }
            Action::Hold => {}
        }
        if let DriverConfig::ModbusTcp(modbus) = &self.driver {
            let (connect, answer) = (modbus.connect_timeout_ms, modbus.answer_timeout_ms);
            self.in_range("driver.modbus_tcp.connect_timeout_ms", connect, TIMEOUT_MS)?;
            self.in_range("driver.modbus_tcp.answer_timeout_ms", answer, TIMEOUT_MS)?;
        }
        Ok(())
    }

    fn in_range(
        &self,
        field: &'static str,
        found: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<(), LinkageError> {
        if range.contains(&found) {
            return Ok(());
        }
        Err(LinkageError::Range {
            device: self.id.clone(),
            field,
            found,
            range: format!("{} to {}", range.start(), range.end()),
        })
    }
}

const fn on_max_ms() -> u64 {
    60_000
}

const fn read_back() -> bool {
    true
}

const fn timeout_ms() -> u64 {
    1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(json: &str) -> Result<DeviceConfig, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_short_device_gets_its_defaults() {
        let modbus = r#"{"modbus_tcp":{"address":"10.0.0.7","coil":3}}"#;
        let found = device(&format!(
            r#"{{"id":"gate","driver":{modbus},"action":{{"pulse":{{"ms":500}}}}}}"#
        ));
        let expected = DeviceConfig {
            id: "gate".parse().unwrap(),
            driver: DriverConfig::ModbusTcp(ModbusTcpConfig {
                address: ModbusAddress("10.0.0.7:502".parse().unwrap()),
                unit: ModbusUnit(255),
                coil: 3,
                read_back: true,
                connect_timeout_ms: 1_000,
                answer_timeout_ms: 1_000,
            }),
            action: Action::Pulse(Span { ms: 500 }),
            safe_state: SafeState::Off,
            on_max_ms: 60_000,
        };
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn addresses_and_units_that_reach_nobody_are_refused() {
        for text in [
            "",
            "gate.local",
            "10.0.0.7:0",
            "0.0.0.0:502",
            "255.255.255.255",
            "224.0.0.1:502",
            "10.0.0.7:70000",
        ] {
            let refused = ModbusAddress::try_from(text.to_owned());
            assert_eq!(refused, Err(AddressError(text.to_owned())));
        }
        for text in ["10.0.0.7:1502", "[fd00::7]:502", "127.0.0.1:5020"] {
            assert_eq!(
                String::from(ModbusAddress::try_from(text.to_owned()).unwrap()),
                text
            );
        }
        for unit in [0, 248, 254] {
            assert_eq!(ModbusUnit::try_from(unit), Err(UnitError(unit)));
        }
    }

    #[test]
    fn a_field_nobody_knows_is_named() {
        let unknown =
            device(r#"{"id":"gate","driver":{"simulated":{"faults":"none"}},"action":"hold"}"#);
        assert!(unknown.unwrap_err().contains("unknown field `faults`"));
        let unknown = device(r#"{"id":"gate","driver":{"gpio":{}},"action":"hold"}"#);
        assert!(unknown.unwrap_err().contains("unknown variant `gpio`"));
    }

    #[test]
    fn lengths_out_of_range_are_named_with_their_range() {
        let json =
            r#"{"id":"washer","driver":{"simulated":{}},"action":{"run_for":{"ms":1800000}}}"#;
        let error = device(json).unwrap().check().unwrap_err().to_string();
        let expected = "action.run_for.ms of 'washer' is 1800000; use 20 to 60000";
        assert_eq!(error, expected);
    }
}
