//! People with phones: they accept, choose, read, pay, come back, reload, cancel and vanish.

use edge_agent::simulation::{Look, Phone as Page, Screen};
use protocol::id::TransactionId;
use protocol::message::Standing;

use super::oracle::Told;
use super::plan::{Habit, Payer};
use super::{Happening, World, build};

/// Longest that anybody waits for a free lane, a bill, or a word.
const PATIENCE_MS: u64 = 20 * 60 * 1_000;

/// A browser that gets no answer is asked again.
const PRESS_AGAIN_MS: u64 = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Arrives,
    Chooses,
    Reads,
    GoesPaying,
    AtPayPage,
    Returns,
    Watches,
    Gone,
}

/// One payer, for one visit.
#[derive(Debug, Clone)]
pub(super) struct Person {
    payer: Payer,
    step: Step,
    page: Option<Page>,
    transaction: Option<TransactionId>,
    presses_left: u8,
    looks: u64,
    /// Counts plans: only what was planned last happens.
    plan: u64,
}

impl Person {
    pub(super) const fn new(payer: Payer) -> Self {
        Self {
            payer,
            step: Step::Arrives,
            page: None,
            transaction: None,
            presses_left: payer.presses,
            looks: 0,
            plan: 0,
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.step == Step::Gone
    }

    pub(super) fn has(&self, page: Page) -> bool {
        self.page == Some(page)
    }
}

/// The word under which a state is counted.
pub(super) fn state_word(state: &str) -> &'static str {
    match state {
        "done" => "sale done",
        "expired" => "sale expired",
        "refunded" => "sale refunded",
        "review" => "sale in review",
        _ => "sale unsettled",
    }
}

impl World {
    /// One act of one payer; each decides when the next one follows.
    pub(super) fn act(&mut self, lane: usize, payer: usize, plan: u64) {
        let person = &self.lanes[lane].people[payer];
        if person.plan != plan {
            return;
        }
        let waited = self
            .tick
            .as_millis()
            .saturating_sub(person.payer.arrives_ms);
        let pause = if waited > PATIENCE_MS {
            None
        } else {
            match person.step {
                Step::Arrives => self.arrive(lane, payer),
                Step::Chooses => self.choose(lane, payer),
                Step::Reads => self.read(lane, payer),
                Step::GoesPaying => self.go_paying(lane, payer),
                Step::AtPayPage => self.pay(lane, payer),
                Step::Returns => self.come_back(lane, payer),
                Step::Watches => self.watch(lane, payer),
                Step::Gone => return,
            }
        };
        let is_planned = self.lanes[lane].people[payer].plan != plan;
        match pause {
            _ if is_planned => {}
            Some(ms) => self.act_after(ms, lane, payer),
            None => self.lanes[lane].people[payer].step = Step::Gone,
        }
    }

    pub(super) fn act_after(&mut self, ms: u64, lane: usize, payer: usize) {
        let person = &mut self.lanes[lane].people[payer];
        person.plan += 1;
        let plan = person.plan;
        self.after(ms, Happening::Payer { lane, payer, plan });
    }

    fn arrive(&mut self, lane: usize, payer: usize) -> Option<u64> {
        let now = self.now();
        let own = &mut self.lanes[lane];
        if !own.is_up {
            return Some(2_000);
        }
        let Some(page) = own.terminal.accept(now, &mut own.dice) else {
            self.drain_lane(lane);
            return Some(3_000);
        };
        own.people[payer].page = Some(page);
        own.people[payer].step = Step::Chooses;
        self.drain_lane(lane);
        self.check_lane(lane, payer);
        Some(500)
    }

    /// Whether another phone is served here too. A copy of the terminal is asked, since looking
    /// is an act.
    fn check_lane(&mut self, lane: usize, payer: usize) {
        let now = self.now();
        let own = &self.lanes[lane];
        let mut copy = own.terminal.clone();
        let mut dice = own.dice.clone();
        let others = own.people.iter().enumerate();
        let pages: Vec<_> = others
            .filter(|(index, _)| *index != payer)
            .filter_map(|(_, person)| person.page)
            .collect();
        let is_served = |page: Page| {
            let look = copy.look(page, now, &mut dice);
            look.is_some_and(|look| holds_lane(look.screen))
        };
        if pages.into_iter().any(is_served) {
            let name = self.lanes[lane].terminal.name().to_string();
            self.oracle.crowded(&name, self.tick);
        }
    }

    fn choose(&mut self, lane: usize, payer: usize) -> Option<u64> {
        let now = self.now();
        let item = build::item().ok()?;
        let own = &mut self.lanes[lane];
        if !own.is_up {
            return Some(1_000);
        }
        let page = own.people[payer].page?;
        let is_chosen = own.terminal.choose(page, item, now, &mut own.dice);
        self.drain_lane(lane);
        if !is_chosen {
            return None;
        }
        self.lanes[lane].people[payer].step = Step::Reads;
        Some(300)
    }

    fn read(&mut self, lane: usize, payer: usize) -> Option<u64> {
        let Some(look) = self.look_at(lane, payer) else {
            return Some(1_000);
        };
        match look.screen {
            Screen::Choose | Screen::Quoting => return Some(500),
            Screen::Bill => {}
            _ => return None,
        }
        let now = self.now();
        let own = &mut self.lanes[lane];
        let person = &mut own.people[payer];
        match person.payer.habit {
            Habit::Leaves => None,
            Habit::Cancels => {
                let page = person.page?;
                own.terminal.cancel(page, now, &mut own.dice);
                self.drain_lane(lane);
                None
            }
            _ => {
                person.step = Step::GoesPaying;
                Some(person.payer.thinks_ms)
            }
        }
    }

    /// The answer comes as an output of the terminal; without one the payer presses again.
    fn go_paying(&mut self, lane: usize, payer: usize) -> Option<u64> {
        let now = self.now();
        let own = &mut self.lanes[lane];
        if !own.is_up {
            return Some(1_000);
        }
        let page = own.people[payer].page?;
        own.terminal.go_paying(page, now, &mut own.dice);
        let plan = own.people[payer].plan;
        self.drain_lane(lane);
        let is_answered = self.lanes[lane].people[payer].plan != plan;
        (!is_answered).then_some(PRESS_AGAIN_MS)
    }

    pub(super) fn sent_to_pay(&mut self, lane: usize, page: Page, has_address: bool) {
        let Some(payer) = self.lanes[lane].person_of(page) else {
            return;
        };
        let person = &mut self.lanes[lane].people[payer];
        if person.step != Step::GoesPaying {
            return;
        }
        person.step = if has_address {
            Step::AtPayPage
        } else {
            Step::Watches
        };
        let ms = self.dice.between(200, 4_000);
        self.act_after(ms, lane, payer);
    }

    fn pay(&mut self, lane: usize, payer: usize) -> Option<u64> {
        if !self.is_server_up {
            return Some(2_000);
        }
        let now = self.now();
        let person = &mut self.lanes[lane].people[payer];
        let (transaction, habit) = (person.transaction?, person.payer.habit);
        person.presses_left = person.presses_left.saturating_sub(1);
        let presses_left = person.presses_left;
        if habit == Habit::Declines {
            self.server
                .press_decline(transaction, now, &mut self.server_dice);
        } else {
            self.server
                .press_pay(transaction, now, &mut self.server_dice);
        }
        self.drain_server();
        if presses_left > 0 {
            return Some(300);
        }
        let vanishes = habit == Habit::Vanishes;
        self.lanes[lane].people[payer].step = Step::Returns;
        if vanishes { None } else { Some(400) }
    }

    fn come_back(&mut self, lane: usize, payer: usize) -> Option<u64> {
        let now = self.now();
        let transaction = self.lanes[lane].people[payer].transaction?;
        let url = self.server.return_url(transaction).unwrap_or_default();
        let own = &mut self.lanes[lane];
        if !own.is_up {
            return Some(2_000);
        }
        let is_let_in = self.plan.rare.has_strangers
            && own
                .terminal
                .returned(&guessed(&url), now, &mut own.dice)
                .is_some();
        if let Some(page) = own.terminal.returned(&url, now, &mut own.dice) {
            own.people[payer].page = Some(page);
        }
        if self.plan.rare.has_strangers {
            self.seen("stranger guesses the way back");
        }
        self.note(is_let_in.then_some("D6: a stranger came in by a payer's way back"));
        self.drain_lane(lane);
        self.lanes[lane].people[payer].step = Step::Watches;
        Some(500)
    }

    fn watch(&mut self, lane: usize, payer: usize) -> Option<u64> {
        let Some(look) = self.look_at(lane, payer) else {
            return Some(5_000);
        };
        let person = &mut self.lanes[lane].people[payer];
        person.looks += 1;
        let is_over = match look.screen {
            Screen::Done => look.receipt.is_some(),
            Screen::NotConfirmed | Screen::Failed => {
                matches!(
                    look.refund,
                    Some(Standing::Refunded | Standing::Review | Standing::Closed)
                )
            }
            Screen::Expired | Screen::Cancelled | Screen::Unavailable => true,
            _ => false,
        };
        if is_over {
            return None;
        }
        if look.screen == Screen::Paying && person.payer.habit == Habit::Reloads {
            person.step = Step::GoesPaying;
        }
        Some(if person.looks < 20 { 1_000 } else { 10_000 })
    }

    /// The page as it stands, and what it says about money.
    fn look_at(&mut self, lane: usize, payer: usize) -> Option<Look> {
        let now = self.now();
        let own = &mut self.lanes[lane];
        let page = own.people[payer].page?;
        if !own.is_up {
            return None;
        }
        let look = own.terminal.look(page, now, &mut own.dice);
        self.drain_lane(lane);
        let look = look?;
        let person = &mut self.lanes[lane].people[payer];
        person.transaction = look.transaction.or(person.transaction);
        if let (Some(told), Some(transaction)) = (told(&look), person.transaction) {
            self.oracle.told(transaction, told, self.tick);
        }
        Some(look)
    }
}

/// The same address with another secret.
fn guessed(url: &str) -> String {
    let (rest, last) = url.split_at(url.len().saturating_sub(1));
    let other = if last == "0" { "1" } else { "0" };
    format!("{rest}{other}")
}

const fn holds_lane(screen: Screen) -> bool {
    matches!(
        screen,
        Screen::Choose
            | Screen::Quoting
            | Screen::Bill
            | Screen::Paying
            | Screen::Verifying
            | Screen::Actuating
    )
}

fn told(look: &Look) -> Option<Told> {
    match (look.screen, look.refund) {
        (Screen::Done, _) => Some(Told::Served),
        (_, Some(Standing::Refunded)) => Some(Told::Refunded),
        (_, Some(Standing::Review)) => Some(Told::Review),
        (Screen::NotConfirmed, _) => Some(Told::NotConfirmed),
        _ => None,
    }
}
