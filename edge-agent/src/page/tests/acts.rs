//! A payer's way from the landing page on.

use super::*;

#[tokio::test]
async fn looking_takes_nothing_and_continuing_takes_the_lease() {
    let terminal = Terminal::start(choosing()).await;
    let landing = terminal.get("/").await;
    assert_eq!(landing.status, 200);
    assert!(landing.shows("free"));
    let form = "<form method=\"post\" action=\"/accept\"><button>Continue</button></form>";
    assert!(landing.body.contains(form));
    assert_eq!(terminal.get("/accept").await.status, 405);
    assert_eq!(terminal.asked(), Vec::<String>::new());

    let accepted = terminal.post("/accept", "").await;
    assert_eq!(accepted.redirect(), (303, Some(session().as_str())));
    assert!(terminal.get(&session()).await.shows("choose"));
    assert_eq!(terminal.asked(), ["accept", "view"]);
}

#[tokio::test]
async fn a_second_phone_is_told_to_wait() {
    let terminal = Terminal::start(choosing()).await;
    terminal.set(|script| script.state = LandingState::Busy);
    assert_eq!(
        terminal.post("/accept", "").await.redirect(),
        (303, Some("/"))
    );
    let landing = terminal.get("/").await;
    assert!(landing.shows("busy"));
    assert!(!landing.body.contains("action=\"/accept\""));
    assert!(
        landing
            .body
            .contains("<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>")
    );
}

#[tokio::test]
async fn what_the_payer_does_reaches_the_desk_and_leads_on() {
    let terminal = Terminal::start(choosing()).await;
    let here = session();
    let chosen = terminal
        .post(
            &format!("{here}/choose"),
            "quantity.short=1&quantity.day=0&quantity.wash=2",
        )
        .await;
    assert_eq!(chosen.redirect(), (303, Some(here.as_str())));
    let paying = terminal.post(&format!("{here}/pay"), "").await;
    assert_eq!(paying.redirect(), (303, Some(PAY_URL)));
    let back = terminal
        .get(&return_path(&gallery::return_secret().to_string()))
        .await;
    assert_eq!(back.redirect(), (303, Some(here.as_str())));
    let cancelled = terminal.post(&format!("{here}/cancel"), "").await;
    assert_eq!(cancelled.redirect(), (303, Some(here.as_str())));
    assert_eq!(
        terminal.asked(),
        ["choose 1xshort 2xwash", "pay", "returned", "cancel"]
    );
}

#[tokio::test]
async fn what_is_not_possible_any_more_shows_the_session() {
    let terminal = Terminal::start(choosing()).await;
    terminal.set(|script| {
        script.cancel = Err(DeskError::Conflict);
        script.pay = Ok(String::new());
    });
    for action in ["cancel", "pay"] {
        let answer = terminal.post(&format!("{}/{action}", session()), "").await;
        assert_eq!(
            answer.redirect(),
            (303, Some(session().as_str())),
            "{action}"
        );
    }
}
