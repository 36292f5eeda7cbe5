//! What happened, in order. Two runs of one seed have equal traces, or something in a machine
//! reads what it must not.

use std::hash::{DefaultHasher, Hash, Hasher};

use protocol::time::Tick;

use super::Happening;

/// Every step as a line, or all of them as one number.
#[derive(Debug)]
pub enum Trace {
    Digest(DefaultHasher),
    Lines(Vec<String>),
}

impl Trace {
    #[must_use]
    pub fn digest_only() -> Self {
        Self::Digest(DefaultHasher::new())
    }

    #[must_use]
    pub const fn lines() -> Self {
        Self::Lines(Vec::new())
    }

    pub(super) fn line(&mut self, tick: Tick, line: impl FnOnce() -> String) {
        match self {
            Self::Digest(hasher) => tick.hash(hasher),
            Self::Lines(lines) => lines.push(format!("{:>9} {}", tick.as_millis(), line())),
        }
    }

    pub(super) fn happening(&mut self, tick: Tick, happening: &Happening) {
        if let (Self::Digest(hasher), Happening::Deliver(parcel)) = (&mut *self, happening) {
            parcel.payload.hash(hasher);
        }
        self.line(tick, || describe(happening));
    }

    pub(super) fn digest(&self) -> u64 {
        match self {
            Self::Digest(hasher) => hasher.finish(),
            Self::Lines(lines) => {
                let mut hasher = DefaultHasher::new();
                lines.hash(&mut hasher);
                hasher.finish()
            }
        }
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        match self {
            Self::Digest(_) => Vec::new(),
            Self::Lines(lines) => lines,
        }
    }
}

fn describe(happening: &Happening) -> String {
    match happening {
        Happening::Deliver(parcel) => {
            let text = String::from_utf8_lossy(&parcel.payload);
            format!("to {:?} {} {text}", parcel.to, parcel.topic)
        }
        other => format!("{other:?}"),
    }
}
