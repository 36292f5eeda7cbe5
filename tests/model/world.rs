//! The machines that ship under every order of events: what can happen in a state.

use payment_mock::Outcome;
use stateright::{Model, Property};
use tests::world::build::RuleBook;

use crate::acts::take;
use crate::forge::Forgery;
use crate::judge::judge;
use crate::start::Start;
use crate::state::{Budget, State, To};

/// The property that is always to hold.
pub(crate) const RULES: &str = "no rule is broken";

/// What worlds have to meet, or they show nothing.
pub(crate) const MOVED: &str = "a device moves";
pub(crate) const SPENT: &str = "something rare happens";
pub(crate) const DONE: &str = "a sale is done";
pub(crate) const REFUNDED: &str = "a sale is refunded";
pub(crate) const EXPIRED: &str = "a sale expires";
pub(crate) const REVIEWED: &str = "a person is asked";
pub(crate) const SECOND: &str = "a second sale is begun";

/// One thing that can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Deliver(usize),
    /// The platform commits what a message led to and dies before it sends.
    DeliverAndDie(usize),
    Lose(usize),
    Duplicate(usize),
    /// The earliest deadline of all parties passes.
    Timer,
    /// The terminal's oldest write reaches the disk.
    Write,
    /// Power is lost; some of what was not synced is still there, or none of it.
    CutTerminal {
        keeps: bool,
    },
    KillPlatform,
    KillServer,
    LoseJournal,
    /// The terminal starts on a copy of its journal, made when the world began.
    RestoreJournal,
    /// The platform starts on a backup of its store, made when the world began.
    RestoreStore,
    /// The platform's process is paused, and another one takes over its store.
    Pause,
    /// The paused one goes on, as if nothing had happened, with a message or a deadline.
    Resume(Option<usize>),
    /// Somebody without a key says something.
    Forge(Forgery),
    StepClock,
    /// The payer takes the lease and chooses.
    Begin,
    GoPaying,
    Pay,
    ComeBack,
    Cancel,
    Move {
        obeys: bool,
    },
    Word,
}

/// A world with one terminal and one payer.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) rules: RuleBook,
    pub(crate) budget: Budget,
    pub(crate) refund_as_loss: bool,
    /// How the payment server treats orders.
    pub(crate) outcome: Outcome,
    pub(crate) start: Start,
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.first().expect("the world is built")]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.seen.broken.is_some() {
            return;
        }
        let budget = state.budget;
        for index in 0..state.letters.len() {
            actions.push(Action::Deliver(index));
            if budget.crashes > 0 && state.letters[index].to == To::Platform {
                actions.push(Action::DeliverAndDie(index));
            }
            if budget.losses > 0 {
                actions.push(Action::Lose(index));
            }
            if budget.duplicates > 0 {
                actions.push(Action::Duplicate(index));
            }
        }
        if budget.timers > 0 {
            actions.push(Action::Timer);
        }
        if state.terminal.content().writes_waiting() > 0 {
            actions.push(Action::Write);
        }
        if budget.crashes > 0 {
            actions.extend([Action::KillPlatform, Action::KillServer]);
            actions.push(Action::CutTerminal { keeps: true });
            if state.terminal.content().unsynced_count() > 0 {
                actions.push(Action::CutTerminal { keeps: false });
            }
        }
        self.rare_actions(state, actions);
        self.human_actions(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        take(&mut state, action);
        judge(&mut state, self.refund_as_loss);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(RULES, |_, state: &State| state.seen.broken.is_none()),
            Property::sometimes(MOVED, |_, state: &State| !state.seen.ons.is_empty()),
            Property::sometimes(SPENT, |world: &Self, state: &State| {
                state.budget.rare() < world.budget.rare()
            }),
            Property::sometimes(DONE, |_, state: &State| has_state(state, "done")),
            Property::sometimes(REVIEWED, |_, state: &State| has_state(state, "review")),
            Property::sometimes(SECOND, |_, state: &State| {
                state.platform.content().books().len() > 1
            }),
            Property::sometimes(REFUNDED, |_, state: &State| has_state(state, "refunded")),
            Property::sometimes(EXPIRED, |_, state: &State| has_state(state, "expired")),
        ]
    }
}

impl World {
    fn rare_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let budget = state.budget;
        let rare = [
            (budget.journals, Action::LoseJournal),
            (budget.copies, Action::RestoreJournal),
            (budget.restores, Action::RestoreStore),
            (budget.clock_steps, Action::StepClock),
        ];
        let left = rare.into_iter().filter(|(left, _)| *left > 0);
        actions.extend(left.map(|(_, action)| action));
        if budget.pauses > 0 && state.replica.is_none() {
            actions.push(Action::Pause);
        }
        if state.replica.is_some() && budget.resumptions > 0 {
            actions.push(Action::Resume(None));
            let letters = state.letters.iter().enumerate();
            let of_platform = letters.filter(|(_, letter)| letter.to == To::Platform);
            actions.extend(of_platform.map(|(index, _)| Action::Resume(Some(index))));
        }
        if budget.forgeries > 0 {
            actions.extend(Forgery::ALL.map(Action::Forge));
        }
    }

    fn human_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let payer = &state.payer;
        if payer.page.is_none() && state.budget.sessions > 0 {
            actions.push(Action::Begin);
        }
        if payer.page.is_some() && !payer.can_pay && !payer.has_paid {
            actions.extend([Action::GoPaying, Action::Cancel]);
        }
        if payer.can_pay && state.budget.presses > 0 {
            actions.push(Action::Pay);
        }
        if payer.has_paid {
            actions.push(Action::ComeBack);
        }
        match &state.motion {
            Some(motion) if motion.has_moved => actions.push(Action::Word),
            Some(_) => {
                actions.extend([Action::Move { obeys: true }, Action::Move { obeys: false }]);
            }
            None => {}
        }
    }
}

pub(crate) fn has_state(state: &State, name: &str) -> bool {
    let books = state.platform.content().books();
    books.iter().any(|sale| sale.state == name)
}
