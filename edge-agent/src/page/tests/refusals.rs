//! Bad forms, strangers, and a terminal that does not serve.

use super::*;

#[tokio::test]
async fn bad_forms_get_one_clear_line_and_reach_nobody() {
    let terminal = Terminal::start(choosing()).await;
    let path = format!("{}/choose", session());
    let large = format!("quantity.a={}", "1".repeat(5_000));
    for (form, status, line) in [
        (
            "amount=1",
            400,
            "there is no field &#39;amount&#39;; go back and choose again",
        ),
        (
            "quantity.a=x",
            400,
            "quantity.a is &#39;x&#39;; write a whole number from 0 to 65535",
        ),
        (
            large.as_str(),
            413,
            "the form has more than 4096 bytes; go back and choose again",
        ),
    ] {
        let answer = terminal.post(&path, form).await;
        assert_eq!(answer.status, status, "{form:.20}");
        let expected = line.replace("&#39;", "'");
        assert!(
            answer.body.contains(&expected),
            "{form:.20}: {}",
            answer.body
        );
        assert!(answer.shows("wrong"));
    }
    assert_eq!(terminal.asked(), Vec::<String>::new());

    let refused = DeskError::Choice {
        reason: "choose at least one item".to_owned(),
    };
    terminal.set(|script| script.choice = Err(refused));
    let answer = terminal.post(&path, "").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("<p>choose at least one item</p>"));
}

#[tokio::test]
async fn a_stranger_finds_no_session() {
    let terminal = Terminal::start(choosing()).await;
    let other = "00000000000000000000000000000000";
    for path in [
        format!("/s/{other}"),
        "/s/1".to_owned(),
        return_path(other),
        format!("/return/{other}/{}", gallery::return_secret()),
    ] {
        let answer = terminal.get(&path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.shows("gone"), "{path}");
    }
    for action in ["choose", "cancel", "pay"] {
        let answer = terminal.post(&format!("/s/{other}/{action}"), "").await;
        assert_eq!(answer.status, 404, "{action}");
    }
    assert_eq!(
        terminal.get(&format!("/s/{other}/events")).await.status,
        404
    );
}

#[tokio::test]
async fn a_terminal_out_of_service_says_why() {
    let terminal = Terminal::start(choosing()).await;
    let reason = "The gate does not answer. <b>".to_owned();
    terminal.set(|script| script.view = Err(DeskError::Unavailable { reason }));
    let answer = terminal.get(&session()).await;
    assert_eq!(answer.status, 503);
    assert!(
        answer
            .body
            .contains("<p>The gate does not answer. &lt;b&gt;</p>")
    );
}
