//! `paylatch-platform audit`, beside a running platform.

use std::time::Duration;

use process::clock::Clock;
use rusqlite::Connection;
use tests::stand::{self, Ended, Plan, Role, Stand};
use tests::visit::{Press, Visit};

const END_TIMEOUT: Duration = Duration::from_secs(60);

async fn audit(stand: &Stand, words: &[&str]) -> Ended {
    let file = stand.config(Role::Platform);
    let words = [&["audit"], words, &["--config"]].concat();
    stand::run(Role::Platform, &words, Some(&file))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_an_audit_names_every_broken_row_while_the_platform_runs() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::start(Plan::new(folder.path())).await.unwrap();
    let mut visit = Visit::new(&stand.page(), &Clock::system());
    let end = visit.run(Press::Pay, END_TIMEOUT).await.unwrap();
    assert_eq!(end.state(), "done");
    let sound = Ended {
        code: 0,
        printed: "1 transactions, 0 violations\n".to_owned(),
        errors: String::new(),
    };
    assert_eq!(audit(&stand, &[]).await, sound);
    let json = r#"{"transactions":1,"violations":[]}"#;
    assert_eq!(audit(&stand, &["--json"]).await.printed.trim(), json);

    let books = Connection::open(stand.platform_data().join("platform.sqlite3")).unwrap();
    books.busy_timeout(END_TIMEOUT).unwrap();
    let changed = books.execute("UPDATE payments SET refunded_minor = minor + 1", []);
    assert_eq!(changed, Ok(1));
    let broken = audit(&stand, &[]).await;
    assert_eq!(broken.code, 1);
    let lines: Vec<_> = broken.printed.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("I5: "), "{lines:?}");
    assert_eq!(lines[1], "1 transactions, 1 violations");
    assert_eq!(broken.errors.lines().count(), 1, "{}", broken.errors);
    stand.stop().await.unwrap();
}
