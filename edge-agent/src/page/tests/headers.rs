//! What every answer carries, whatever was asked.

use super::*;

#[tokio::test]
async fn every_answer_carries_the_same_strict_headers() {
    let terminal = Terminal::start(billed()).await;
    let always = [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        (
            "permissions-policy",
            "camera=(), geolocation=(), microphone=(), payment=()",
        ),
    ];
    let paths = [
        "/",
        &session(),
        "/nowhere",
        "/return/1/2",
        &format!("{}/receipt.json", session()),
    ];
    for path in paths {
        let answer = terminal.get(path).await;
        for (name, value) in always {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        assert_eq!(answer.header("set-cookie"), None, "{path}");
        assert!(answer.header("content-security-policy").is_some(), "{path}");
    }
    let landing = terminal.get("/").await;
    let mut names: Vec<_> = landing
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    let expected = [
        "cache-control",
        "connection",
        "content-length",
        "content-security-policy",
        "content-type",
        "date",
        "permissions-policy",
        "referrer-policy",
        "x-content-type-options",
        "x-frame-options",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        landing.header("content-type"),
        Some("text/html; charset=utf-8")
    );

    let accepted = terminal.post("/accept", "").await;
    let strictest = "default-src 'none'; frame-ancestors 'none'";
    assert_eq!(accepted.header("content-security-policy"), Some(strictest));
}

#[tokio::test]
async fn a_policy_allows_our_script_and_the_payment_page_alone() {
    let terminal = Terminal::start(billed()).await;
    let landing = terminal.get("/").await;
    let policy = landing
        .header("content-security-policy")
        .unwrap()
        .to_owned();
    let words: Vec<_> = policy
        .split("; ")
        .map(|part| part.split(' ').next().unwrap())
        .collect();
    let expected = [
        "default-src",
        "script-src",
        "style-src",
        "img-src",
        "connect-src",
        "base-uri",
        "frame-ancestors",
        "form-action",
    ];
    assert_eq!(words, expected);
    assert!(!policy.contains("unsafe"));
    assert!(policy.ends_with("form-action 'self'"));
    let bill = terminal.get(&session()).await;
    let with_target = format!("{policy} https://pay.example");
    assert_eq!(
        bill.header("content-security-policy"),
        Some(with_target.as_str())
    );
}
