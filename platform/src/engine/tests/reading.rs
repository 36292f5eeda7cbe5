//! A store that was restored, or is older than its terminals.

use protocol::id::StoreEpoch;
use protocol::message::{Finding, Inquiry, JournalAnswer, LinkageMessage, OrderRefusal, Presence};

use super::hand::refusal;
use super::*;
use crate::act::{ActRefusal, Deed};
use crate::store::sqlite::{backup, restore};

impl Desk {
    /// The process ends, and starts on a backup of its own store.
    fn restored(self) -> Self {
        let Self {
            store, folder, now, ..
        } = self;
        let target = folder.path().join("backup");
        backup(folder.path(), &target, now.utc).unwrap();
        drop(store);
        let platform = "main".parse().unwrap();
        let means: (&mut dyn protocol::id::Entropy, _) = (&mut || [99; 16], now.utc);
        restore(folder.path(), &target, &platform, means).unwrap();
        Self::open(folder, CapLimits::default())
    }

    /// The broker says whether the terminal is there, to us who have just connected.
    fn replayed(&mut self, online: bool) -> Vec<Parcel> {
        let (topic, payload) = up(Presence { online }, None);
        let taken = self.core.believe(&topic, &payload, true);
        self.core.apply(taken.intent, self.now);
        self.finish()
    }

    /// At its next timeout.
    fn waited(&mut self) -> Vec<Parcel> {
        self.now.tick = self.core.poll_timeout().unwrap();
        self.core.handle_timeout(&[], self.now);
        self.finish()
    }

    fn greeted(&mut self, epoch: Option<u8>) -> Vec<Parcel> {
        let mut greeting = hello(vec![]);
        greeting.store_epoch = epoch.map(|seed| StoreEpoch::from_random([seed; 16]));
        self.say(greeting, None)
    }
}

fn inquiry(said: &[Parcel]) -> Inquiry {
    let is_inquiry = |parcel: &&Parcel| parcel.topic == down(Down::Inquiry);
    let parcel = said.iter().find(is_inquiry).unwrap();
    let envelope: Envelope<Jws<Inquiry>> = decode(&parcel.payload).unwrap();
    let keyring = Keyring::of(SigningKey::from_seed([3; 32]).public());
    let audience = Audience::terminal(gate());
    let asked = protocol::signed::verify(&envelope.body, &keyring, &audience).unwrap();
    asked.into_claims()
}

fn answered(inquiry: &Inquiry, finding: Finding) -> LinkageMessage {
    let answer = JournalAnswer {
        aud: Audience::platform(&"main".parse().unwrap()),
        terminal: gate(),
        transaction: inquiry.transaction,
        nonce: inquiry.nonce,
        journal: inquiry.journal,
        finding,
        answered_at: Utc::EPOCH,
    };
    LinkageMessage::Answer(sign(&terminal_key(), &answer).unwrap())
}

#[test]
fn a_store_that_was_never_restored_mends_by_itself() {
    let mut desk = Desk::new();
    assert!(desk.core.is_mending);
    desk.greeted(None);
    assert!(desk.killed().core.is_mending);
}

#[test]
fn a_restored_store_mends_only_once_every_journal_has_answered() {
    let mut desk = Desk::new();
    let create = desk.say(order(), None);
    desk.answer(&create[0], GatewayResult::Order(view(&[])));
    let mut desk = desk.restored();
    assert!(!desk.core.is_mending);
    // What it has of before is one of our epochs.
    let asked = inquiry(&desk.greeted(Some(1)));
    assert_eq!(asked.transaction, transaction());
    assert!(!desk.core.is_mending);
    // Busy is no answer, and one to another question is none.
    desk.say(answered(&asked, Finding::Acting), None);
    let mut other = asked.clone();
    other.nonce = Nonce::from_random([77; 16]);
    desk.say(answered(&other, Finding::Tombstone), None);
    assert!(!desk.core.is_mending);
    let mut again = Vec::new();
    while !topics(&again).contains(&down(Down::Inquiry)) {
        again = desk.waited();
    }
    assert_eq!(inquiry(&again).nonce, asked.nonce);
    desk.say(answered(&asked, Finding::Tombstone), None);
    assert!(desk.core.is_mending);
    // And it stays read.
    assert!(desk.killed().core.is_mending);
}

#[test]
fn a_terminal_with_nothing_open_is_read_when_it_is_heard() {
    let mut desk = Desk::new().restored();
    assert!(!desk.core.is_mending);
    desk.greeted(None);
    assert!(desk.core.is_mending);
}

#[test]
fn a_terminal_whose_connection_outlived_the_process_is_asked_for_its_hello() {
    let mut desk = Desk::new().restored();
    assert_eq!(desk.core.poll_timeout(), None);
    let asked_at = desk.now.tick;
    // No config before it was heard: it would answer with the epoch that we have just named.
    assert_eq!(topics(&desk.replayed(true)), []);
    assert_eq!(topics(&desk.waited()), [down(Down::Hello)]);
    assert_eq!(desk.now.tick, asked_at);
    assert_eq!(topics(&desk.waited()), [down(Down::Hello)]);
    assert_eq!(desk.now.tick, asked_at + Duration::from_secs(60));
    // Nobody is asked who is not there.
    assert_eq!(topics(&desk.replayed(false)), []);
    assert_eq!(desk.core.poll_timeout(), None);
    assert_eq!(topics(&desk.replayed(true)), []);
    assert_eq!(topics(&desk.waited()), [down(Down::Hello)]);
    assert_eq!(topics(&desk.greeted(None)), [down(Down::Config)]);
    assert!(desk.core.is_mending);
    assert_eq!(desk.core.poll_timeout(), None);
    assert_eq!(topics(&desk.replayed(true)), [down(Down::Config)]);
}

#[test]
fn who_is_online_outlasts_a_failed_commit() {
    let mut desk = Desk::new().restored();
    desk.replayed(true);
    // As the engine does when a commit fails.
    desk.core.forget();
    let epoch = desk.store.epoch_row().unwrap();
    desk.core.adopt_epoch(&epoch, desk.now);
    assert_eq!(topics(&desk.waited()), [down(Down::Hello)]);
}

#[test]
fn a_journal_is_asked_again_though_its_sale_has_left_the_memory() {
    let mut desk = Desk::new();
    let create = desk.say(order(), None);
    desk.answer(&create[0], GatewayResult::Order(view(&[])));
    let mut desk = desk.restored();
    let asked = inquiry(&desk.greeted(Some(1)));
    desk.core.forget();
    assert_eq!(inquiry(&desk.waited()), asked);
}

#[test]
fn a_terminal_of_a_newer_store_is_told_apart_though_it_never_reconnects() {
    let mut desk = Desk::new().restored();
    desk.replayed(true);
    assert_eq!(topics(&desk.greeted(Some(88))), [down(Down::Config)]);
    assert!(!desk.core.is_mending);
    assert_eq!(refusal(&desk.say(order(), None)), OrderRefusal::Held);
}

#[test]
fn a_person_answers_for_a_terminal_that_is_gone() {
    let mut desk = Desk::new().restored();
    let vouch = || Deed::Vouch { terminal: gate() };
    desk.act(1, vouch()).unwrap();
    assert!(desk.core.is_mending);
    let mut desk = desk.killed();
    assert!(desk.core.is_mending);
    let twice = desk.act(2, vouch());
    assert_eq!(twice, Err(ActRefusal::NothingToVouch(gate())));
}

#[test]
fn a_terminal_of_a_newer_store_is_held_until_a_person_vouches() {
    let mut desk = Desk::new();
    desk.greeted(Some(88));
    assert!(!desk.core.is_mending);
    assert_eq!(refusal(&desk.say(order(), None)), OrderRefusal::Held);
    let mut desk = desk.killed();
    assert!(!desk.core.is_mending);
    assert_eq!(refusal(&desk.say(order(), None)), OrderRefusal::Held);
    desk.act(1, Deed::Vouch { terminal: gate() }).unwrap();
    desk.greeted(Some(88));
    assert!(desk.core.is_mending);
    let said = desk.say(order(), None);
    assert_eq!(topics(&said), [gateway_topic(GatewayKind::Request)]);
    let mut desk = desk.killed();
    desk.greeted(Some(88));
    assert!(desk.core.is_mending);
}
