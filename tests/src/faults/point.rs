//! Where a fault happens: `ROLE/EFFECT/WHEN`, for example `platform/kill/fdatasync/3`.
//!
//! | WHEN | the fault happens |
//! |---|---|
//! | `CALL/N` | as a thread of the program makes its N-th such call since the payer came |
//! | `start/CALL/N` | the same since a restart; the program was killed during the payment first |
//! | `after/MS` | so many milliseconds after the payer came; no errors |

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::stand::Role;

/// A system call that makes something last or tells somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Fdatasync,
    Fsync,
    Ftruncate,
    Pwrite64,
    Rename,
    Sendmsg,
    Sendto,
    Writev,
}

impl Call {
    pub const ALL: [Self; 8] = [
        Self::Fdatasync,
        Self::Fsync,
        Self::Ftruncate,
        Self::Pwrite64,
        Self::Rename,
        Self::Sendmsg,
        Self::Sendto,
        Self::Writev,
    ];

    /// Its name in the kernel's table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fdatasync => "fdatasync",
            Self::Fsync => "fsync",
            Self::Ftruncate => "ftruncate",
            Self::Pwrite64 => "pwrite64",
            Self::Rename => "rename",
            Self::Sendmsg => "sendmsg",
            Self::Sendto => "sendto",
            Self::Writev => "writev",
        }
    }

    /// Whether it returns only once something is on the disk.
    #[must_use]
    pub const fn is_sync(self) -> bool {
        matches!(self, Self::Fdatasync | Self::Fsync)
    }
}

/// What happens there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// SIGKILL instead of the call.
    Kill,
    /// The call fails with EIO and does nothing.
    InputOutput,
    /// The call fails with ENOSPC and does nothing.
    NoSpace,
    /// SIGSTOP before the call, and SIGCONT after [`super::lane::PAUSE`].
    Stop,
}

impl Effect {
    const ALL: [Self; 4] = [Self::Kill, Self::InputOutput, Self::NoSpace, Self::Stop];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::InputOutput => "eio",
            Self::NoSpace => "enospc",
            Self::Stop => "stop",
        }
    }
}

/// A call and how often it was made by then. Counted for each thread, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nth {
    pub call: Call,
    pub count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Call(Nth),
    Restart(Nth),
    After(Duration),
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    pub role: Role,
    pub effect: Effect,
    pub when: When,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/", role_name(self.role), self.effect.as_str())?;
        match self.when {
            When::Call(nth) => write!(f, "{}/{}", nth.call.as_str(), nth.count),
            When::Restart(nth) => write!(f, "start/{}/{}", nth.call.as_str(), nth.count),
            When::After(time) => write!(f, "after/{}", time.as_millis()),
        }
    }
}

impl FromStr for Point {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let words: Vec<_> = text.split('/').collect();
        let (role, effect, when) = match words[..] {
            [role, effect, "after", millis] => {
                let millis = millis.parse().context("milliseconds are a number")?;
                (role, effect, When::After(Duration::from_millis(millis)))
            }
            [role, effect, "start", call, count] => {
                (role, effect, When::Restart(nth(call, count)?))
            }
            [role, effect, call, count] => (role, effect, When::Call(nth(call, count)?)),
            _ => bail!(
                "'{text}' is no point; write ROLE/EFFECT/CALL/N, say platform/kill/fdatasync/3"
            ),
        };
        let role = Role::ALL
            .into_iter()
            .find(|known| role_name(*known) == role);
        let effect = Effect::ALL
            .into_iter()
            .find(|known| known.as_str() == effect);
        Ok(Self {
            role: role.with_context(|| format!("'{text}' names no program"))?,
            effect: effect.with_context(|| format!("'{text}' names no effect"))?,
            when,
        })
    }
}

fn nth(call: &str, count: &str) -> anyhow::Result<Nth> {
    let known = Call::ALL.into_iter().find(|known| known.as_str() == call);
    let count = count.parse().context("a count is a number")?;
    anyhow::ensure!(count > 0, "counts start at 1");
    Ok(Nth {
        call: known.with_context(|| format!("'{call}' is none of our calls"))?,
        count,
    })
}

/// A program in one short word.
#[must_use]
pub const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Broker => "broker",
        Role::Platform => "platform",
        Role::Mock => "mock",
        Role::Terminal => "terminal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_as_they_are_written() {
        for text in [
            "platform/kill/fdatasync/3",
            "terminal/eio/fdatasync/1",
            "mock/enospc/pwrite64/12",
            "broker/kill/after/250",
            "terminal/stop/writev/20",
            "platform/kill/start/pwrite64/2",
        ] {
            assert_eq!(text.parse::<Point>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_point_is_refused() {
        for text in [
            "",
            "platform",
            "platform/kill/fdatasync",
            "platform/kill/fdatasync/0",
            "platform/kill/fdatasync/x",
            "platform/kill/open/1",
            "phone/kill/fdatasync/1",
            "platform/tickle/fdatasync/1",
            "platform/kill/start/after/1/2",
        ] {
            assert!(text.parse::<Point>().is_err(), "{text}");
        }
    }
}
