//! Many cases: lanes side by side, since a case is mostly waiting, and a file of what was done, so
//! that a run of a night goes on where it was stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use process::clock::Clock;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::books::End;
use super::lane::Lane;
use super::plan::Profile;
use super::point::Point;
use crate::stand::Bus;

/// Cases in one shop, which is then closed for a new one: every look at the books reads all of
/// them, and what a stop changes is looked at too.
const CASES_PER_SHOP: u32 = 100;

/// What a run shall do.
#[derive(Debug, Clone)]
pub struct Options {
    pub seed: u64,
    pub cases: u64,
    /// Shops side by side; the first half has its broker inside the platform.
    pub lanes: usize,
    pub kind: Kind,
    /// Where to write what was done, and to read what need not be done again.
    pub file: Option<PathBuf>,
}

/// What kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Kill,
    /// Of terminal and platform.
    SyncError,
}

/// One case that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub number: u64,
    pub bus: String,
    pub point: String,
    pub was_hit: bool,
    pub millis: u64,
    /// How it ended, or what was broken.
    pub end: Result<End, String>,
}

/// What a run found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub entries: Vec<Entry>,
    pub duration: Duration,
}

/// The first line of a file.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    seed: u64,
    /// By bus: the last point of each kind.
    profiles: BTreeMap<String, Vec<String>>,
}

/// What the lanes share.
#[derive(Debug)]
struct Shared {
    options: Options,
    profiles: BTreeMap<Bus, Profile>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Numbers that nobody works on yet, by bus.
    waiting: BTreeMap<Bus, BTreeSet<u64>>,
    entries: Vec<Entry>,
    file: Option<File>,
}

/// Runs all cases; `each` is told of every one. `None` where the machine lacks `strace`.
pub async fn run(options: Options, each: fn(&Entry)) -> anyhow::Result<Option<Report>> {
    let clock = Clock::system();
    let start = clock.now().tick;
    let Some(shared) = prepare(options).await? else {
        return Ok(None);
    };
    let shared = Arc::new(shared);
    let mut lanes = JoinSet::new();
    for lane in 0..shared.options.lanes {
        let bus = bus_of(lane % 2 == 0);
        lanes.spawn(work(Arc::clone(&shared), bus, each));
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    let entries = std::mem::take(&mut shared.state().entries);
    Ok(Some(Report {
        entries,
        duration: clock.now().tick.since(start),
    }))
}

impl Report {
    /// Cases whose fault happened.
    #[must_use]
    pub fn hits(&self) -> usize {
        self.entries.iter().filter(|entry| entry.was_hit).count()
    }

    /// Cases in which a rule was broken.
    #[must_use]
    pub fn violations(&self) -> Vec<&Entry> {
        let broken = |entry: &&Entry| entry.end.is_err();
        self.entries.iter().filter(broken).collect()
    }

    /// How often which end was reached.
    #[must_use]
    pub fn ends(&self) -> BTreeMap<End, usize> {
        let mut ends = BTreeMap::new();
        for end in self
            .entries
            .iter()
            .filter_map(|entry| entry.end.as_ref().ok())
        {
            *ends.entry(*end).or_default() += 1;
        }
        ends
    }

    /// Hits by kind of point: the point without its last word.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.was_hit) {
            let kind = entry.point.rsplit_once('/').map_or("", |(kind, _)| kind);
            *kinds.entry(kind.to_owned()).or_default() += 1;
        }
        kinds
    }
}

impl Entry {
    /// The command that does it again.
    #[must_use]
    pub fn replay(&self) -> String {
        format!(
            "cargo run --release --bin crash -- --bus {} --point {}",
            self.bus, self.point
        )
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, bus: Bus) -> Option<u64> {
        self.state().waiting.get_mut(&bus)?.pop_first()
    }

    fn point(&self, bus: Bus, number: u64) -> anyhow::Result<Point> {
        let profile = self.profiles.get(&bus).context("no profile")?;
        let (seed, number) = (self.options.seed, number / 2);
        let point = match self.options.kind {
            Kind::Kill => profile.kill(seed, number),
            Kind::SyncError => {
                use crate::stand::Role::{Platform, Terminal};
                profile.sync_error(&[Platform, Terminal], seed, number)
            }
        };
        point.context("a payment makes no such call")
    }

    fn add(&self, entry: Entry, each: fn(&Entry)) -> anyhow::Result<()> {
        let mut state = self.state();
        if let Some(file) = &mut state.file {
            write_line(file, &entry)?;
        }
        each(&entry);
        state.entries.push(entry);
        Ok(())
    }
}

async fn work(shared: Arc<Shared>, bus: Bus, each: fn(&Entry)) -> anyhow::Result<()> {
    let mut shop: Option<(Lane, u32)> = None;
    while let Some(number) = shared.next(bus) {
        let point = shared.point(bus, number)?;
        let (mut lane, cases) = match shop.take() {
            Some(open) => open,
            None => (open(bus).await?, 0),
        };
        let clock = Clock::system();
        let start = clock.now().tick;
        let case = lane.pay(Some(point)).await;
        let millis = u64::try_from(clock.now().tick.since(start).as_millis())?;
        let entry = Entry {
            number,
            bus: bus_name(bus).to_owned(),
            point: point.to_string(),
            was_hit: case.as_ref().is_ok_and(|case| case.was_hit),
            millis,
            end: case
                .map(|case| case.end)
                .map_err(|error| format!("{error:#}")),
        };
        let is_broken = entry.end.is_err();
        shared.add(entry, each)?;
        if is_broken {
            // Whoever looks finds it as it was; the next case starts in a new shop.
            let kept = lane.keep();
            eprintln!("files of the violation: {}", kept.display());
        } else if cases + 1 >= CASES_PER_SHOP {
            lane.close().await?;
        } else {
            shop = Some((lane, cases + 1));
        }
    }
    match shop {
        Some((lane, _)) => lane.close().await,
        None => Ok(()),
    }
}

async fn open(bus: Bus) -> anyhow::Result<Lane> {
    Lane::open(bus).await?.context("strace has gone")
}

async fn prepare(options: Options) -> anyhow::Result<Option<Shared>> {
    ensure!(options.lanes >= 2, "one lane for each kind of bus");
    let (head, done) = match options.file.as_deref().filter(|file| file.exists()) {
        Some(file) => read(file).map(|(head, done)| (Some(head), done))?,
        None => (None, Vec::new()),
    };
    let head = match head {
        Some(head) if head.seed == options.seed => head,
        Some(head) => bail!("the file is of seed {}; name another file", head.seed),
        None => match measure(options.seed).await? {
            Some(head) => head,
            None => return Ok(None),
        },
    };
    let file = options.file.as_deref().map(|path| append(path, &head));
    let known: BTreeSet<u64> = done.iter().map(|entry| entry.number).collect();
    let mut waiting: BTreeMap<Bus, BTreeSet<u64>> = BTreeMap::new();
    for number in (0..options.cases).filter(|number| !known.contains(number)) {
        let bus = bus_of(number % 2 == 0);
        waiting.entry(bus).or_default().insert(number);
    }
    let mut profiles = BTreeMap::new();
    for (name, last) in &head.profiles {
        let last: anyhow::Result<Vec<Point>> = last.iter().map(|point| point.parse()).collect();
        profiles.insert(bus_named(name)?, Profile::of(last?));
    }
    Ok(Some(Shared {
        options,
        profiles,
        state: Mutex::new(State {
            waiting,
            entries: done,
            file: file.transpose()?,
        }),
    }))
}

async fn measure(seed: u64) -> anyhow::Result<Option<Head>> {
    let mut profiles = BTreeMap::new();
    for bus in [Bus::Embedded, Bus::Alone] {
        let Some(mut lane) = Lane::open(bus).await? else {
            return Ok(None);
        };
        let profile = lane.profile().await?;
        lane.close().await?;
        let last = profile.last().iter().map(Point::to_string).collect();
        profiles.insert(bus_name(bus).to_owned(), last);
    }
    Ok(Some(Head { seed, profiles }))
}

fn read(path: &Path) -> anyhow::Result<(Head, Vec<Entry>)> {
    let text = std::fs::read_to_string(path)?;
    // The last line may be cut: that case is done again.
    let mut lines = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let head = lines.next().context("the file has no first line")?;
    let head = serde_json::from_str(head).context("the first line is no head")?;
    let entries: Result<Vec<Entry>, _> = lines.map(serde_json::from_str).collect();
    Ok((head, entries?))
}

fn append(path: &Path, head: &Head) -> anyhow::Result<File> {
    let is_new = !path.exists();
    if !is_new {
        let text = std::fs::read_to_string(path)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let file = File::options().write(true).open(path)?;
        file.set_len(u64::try_from(whole)?)?;
    }
    let mut file = File::options().create(true).append(true).open(path)?;
    if is_new {
        write_line(&mut file, head)?;
    }
    Ok(file)
}

fn write_line(file: &mut File, line: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    Ok(file.write_all(text.as_bytes())?)
}

const fn bus_of(is_even: bool) -> Bus {
    if is_even { Bus::Embedded } else { Bus::Alone }
}

/// A bus in one word.
#[must_use]
pub const fn bus_name(bus: Bus) -> &'static str {
    match bus {
        Bus::Embedded => "embedded",
        Bus::Alone => "alone",
    }
}

/// The bus of a word.
///
/// # Errors
/// Another word.
pub fn bus_named(name: &str) -> anyhow::Result<Bus> {
    [Bus::Embedded, Bus::Alone]
        .into_iter()
        .find(|bus| bus_name(*bus) == name)
        .with_context(|| format!("'{name}' is neither embedded nor alone"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64) -> Entry {
        Entry {
            number,
            bus: "alone".to_owned(),
            point: "platform/kill/fdatasync/3".to_owned(),
            was_hit: true,
            millis: 20,
            end: Ok(End::Served),
        }
    }

    fn head() -> Head {
        Head {
            seed: 9,
            profiles: BTreeMap::from([("alone".to_owned(), vec!["mock/kill/after/9".to_owned()])]),
        }
    }

    #[test]
    fn a_file_goes_on_behind_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut file = append(&path, &head()).unwrap();
        write_line(&mut file, &entry(0)).unwrap();
        file.write_all(b"{\"number\":1,").unwrap();
        drop(file);
        let mut file = append(&path, &head()).unwrap();
        write_line(&mut file, &entry(2)).unwrap();
        let (found, entries) = read(&path).unwrap();
        assert_eq!((found.seed, entries), (9, vec![entry(0), entry(2)]));
    }

    #[test]
    fn a_replay_is_one_command() {
        assert_eq!(
            entry(0).replay(),
            "cargo run --release --bin crash -- --bus alone --point platform/kill/fdatasync/3"
        );
    }
}
