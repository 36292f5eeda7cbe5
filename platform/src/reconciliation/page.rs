//! Whether a page of a statement can be believed at all.

use protocol::message::{STATEMENT_LINES_MAX, StatementPage};

/// Why a run was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the payment server did not answer")]
    Silent,
    #[error("the payment server refused the question")]
    Refused,
    #[error("the page has more lines than a page may have")]
    TooManyLines,
    #[error("the page goes back behind what was asked for")]
    CursorBack,
    #[error("the page says that there is more, and leads nowhere")]
    NoProgress,
    #[error("the lines are not numbered upwards")]
    Disorder,
    #[error("the page has lines beyond its own end")]
    Beyond,
    #[error("more differences than a person can look at; further ones wait for the next run")]
    TooManyDifferences,
}

impl Fault {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Refused => "refused",
            Self::TooManyLines => "too_many_lines",
            Self::CursorBack => "cursor_back",
            Self::NoProgress => "no_progress",
            Self::Disorder => "disorder",
            Self::Beyond => "beyond",
            Self::TooManyDifferences => "too_many_differences",
        }
    }

    /// Whether waiting does not help.
    pub(crate) const fn is_for_a_person(self) -> bool {
        !matches!(self, Self::Silent)
    }
}

/// Whether `page` goes on from `after` as it must.
pub(super) fn check(page: &StatementPage, after: u64) -> Result<(), Fault> {
    if page.lines.len() > usize::from(STATEMENT_LINES_MAX) {
        return Err(Fault::TooManyLines);
    }
    if page.next < after {
        return Err(Fault::CursorBack);
    }
    if page.more && page.next == after {
        return Err(Fault::NoProgress);
    }
    let mut last = after;
    for line in &page.lines {
        if line.sequence <= last {
            return Err(Fault::Disorder);
        }
        last = line.sequence;
    }
    // A database numbers rows with 63 bits.
    if last > page.next || i64::try_from(page.next).is_err() {
        return Err(Fault::Beyond);
    }
    Ok(())
}
