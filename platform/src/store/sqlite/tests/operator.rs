//! Acts, and a chain that was begun before there were any.

use protocol::id::ActId;

use super::super::schema::migrate;
use super::*;
use crate::act::{ActRow, Deed};

fn act(number: u8, deed: Deed) -> ActRow {
    ActRow {
        id: ActId::from_random([number; 16]),
        at: at(7),
        name: "Ada".to_owned().try_into().unwrap(),
        reason: "bent arm".to_owned().try_into().unwrap(),
        deed,
        outcome: json!({}),
    }
}

fn hold() -> Deed {
    Deed::Hold {
        scope: "north".parse().unwrap(),
    }
}

fn commit(store: &mut SqliteStore, acts: &[ActRow]) -> Result<(), StoreError> {
    store.commit_all(Batch {
        acts,
        ..Batch::default()
    })
}

#[test]
fn an_act_is_kept_chained_and_stands() {
    let folder = folder();
    let mut store = open(folder.path());
    store.commit(&[created(1)]).unwrap();
    let held = act(1, hold());
    commit(&mut store, std::slice::from_ref(&held)).unwrap();
    store.commit(&[moved(1)]).unwrap();
    assert_eq!(store.act(held.id).unwrap(), Some(held.clone()));
    assert_eq!(store.act(ActId::from_random([2; 16])).unwrap(), None);
    let holds = store.holds().unwrap();
    assert_eq!(holds.len(), 1);
    assert_eq!((holds[0].name.as_str(), holds[0].act), ("Ada", held.id));
    let reader = SqliteReader::open(folder.path()).unwrap();
    assert_eq!(
        reader.acts(None, 1).unwrap().acts,
        std::slice::from_ref(&held)
    );
    assert!(reader.audit(at(9)).unwrap().chain_intact);
    // The same id is never kept twice, and nothing of the batch is.
    let other = act(2, hold());
    assert!(commit(&mut store, &[other.clone(), held]).is_err());
    assert_eq!(store.act(other.id).unwrap(), None);
}

#[test]
fn acts_can_be_neither_changed_nor_removed() {
    let folder = folder();
    let mut store = open(folder.path());
    commit(&mut store, &[act(1, hold())]).unwrap();
    let stranger = Connection::open(file(folder.path())).unwrap();
    for statement in [
        "UPDATE operator_acts SET name = 'Eve'",
        "DELETE FROM operator_acts",
    ] {
        let error = stranger.execute(statement, []).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
    stranger
        .execute_batch(
            "DROP TRIGGER events_keep; UPDATE events SET detail = replace(detail, 'Ada', 'Eve')",
        )
        .unwrap();
    let reader = SqliteReader::open(folder.path()).unwrap();
    assert!(!reader.audit(at(9)).unwrap().chain_intact);
}

#[test]
fn a_chain_of_before_the_acts_goes_on() {
    let folder = folder();
    let path = file(folder.path());
    let mut old = Connection::open(&path).unwrap();
    migrate(&mut old, &MIGRATIONS[..1]).unwrap();
    old.execute_batch("INSERT INTO meta VALUES ('epoch', '07070707070707070707070707070707')")
        .unwrap();
    let head = super::super::chain::Head::START;
    let head = super::super::change::write(&old, &created(1), head).unwrap();
    super::super::chain::put_head(&old, head).unwrap();
    drop(old);
    let mut store = open(folder.path());
    commit(&mut store, &[act(1, hold())]).unwrap();
    let reader = SqliteReader::open(folder.path()).unwrap();
    assert!(reader.audit(at(9)).unwrap().chain_intact);
    let events = reader.transaction(transaction(1)).unwrap().unwrap().events;
    assert_eq!(events, [event("created")]);
}
