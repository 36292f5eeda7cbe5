//! What a run costs: processor time by the names of threads, and counters of the parts.

use std::collections::BTreeMap;

use anyhow::Context as _;

/// The kernel counts processor time in hundredths of a second (`USER_HZ` of Linux on every
/// architecture we run on).
const MILLIS_PER_TICK: u64 = 10;

/// Processor time by thread name, and counters by metric name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cost {
    pub(crate) processor_ms: BTreeMap<String, u64>,
    pub(crate) counters: BTreeMap<String, u64>,
}

impl Cost {
    /// All that this process has used so far.
    pub(crate) fn so_far() -> anyhow::Result<Self> {
        Ok(Self {
            processor_ms: processor_ms()?,
            counters: counters(&process::metrics::render()),
        })
    }

    /// What was used since `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            processor_ms: differences(&self.processor_ms, &before.processor_ms),
            counters: differences(&self.counters, &before.counters),
        }
    }

    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }
}

/// A thread that ended in between takes its time with it; pools here live as long as the run.
fn differences(
    after: &BTreeMap<String, u64>,
    before: &BTreeMap<String, u64>,
) -> BTreeMap<String, u64> {
    let difference = |(name, value): (&String, &u64)| {
        let used = value.saturating_sub(before.get(name).copied().unwrap_or(0));
        (used > 0).then(|| (name.clone(), used))
    };
    after.iter().filter_map(difference).collect()
}

fn processor_ms() -> anyhow::Result<BTreeMap<String, u64>> {
    let mut used = BTreeMap::new();
    for thread in std::fs::read_dir("/proc/self/task")? {
        // A thread may end while we read.
        let Ok(stat) = std::fs::read_to_string(thread?.path().join("stat")) else {
            continue;
        };
        let (name, ms) = thread_of(&stat).context("/proc/self/task/*/stat has another form")?;
        *used.entry(name).or_default() += ms;
    }
    Ok(used)
}

/// `pid (name) state ...`; user and system time are fields 14 and 15 (proc(5)).
fn thread_of(stat: &str) -> Option<(String, u64)> {
    let name = &stat[stat.find('(')? + 1..stat.rfind(')')?];
    let mut rest = stat[stat.rfind(')')? + 1..].split_whitespace().skip(11);
    let user: u64 = rest.next()?.parse().ok()?;
    let system: u64 = rest.next()?.parse().ok()?;
    Some((name.to_owned(), (user + system) * MILLIS_PER_TICK))
}

/// Counters of the text format, summed over their labels.
fn counters(text: &str) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let name = series.split('{').next().unwrap_or(series);
        if let (true, Ok(value)) = (is_counter(name), value.parse::<u64>()) {
            *sums.entry(name.to_owned()).or_default() += value;
        }
    }
    sums
}

fn is_counter(name: &str) -> bool {
    name.ends_with("_total") || name.ends_with("_seconds_count")
}
