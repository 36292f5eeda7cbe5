//! What a payer takes along: the receipt as a file, and the link to keep.

use protocol::id::TransactionId;

use super::*;

#[tokio::test]
async fn the_receipt_is_a_file_once_there_is_one() {
    let terminal = Terminal::start(billed()).await;
    let path = format!("{}/receipt.json", session());
    assert_eq!(terminal.get(&path).await.status, 404);
    terminal.set(|script| {
        script.view = Ok(View::Done {
            quote: None,
            receipt: Some(gallery::receipt()),
        });
    });
    let answer = terminal.get(&path).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let disposition = "attachment; filename=\"receipt-4f4f4f4f.json\"";
    assert_eq!(answer.header("content-disposition"), Some(disposition));
    let file: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(file["signed"], gallery::receipt().signed.as_str());
    let transaction: TransactionId =
        serde_json::from_value(file["receipt"]["transaction"].clone()).unwrap();
    assert_eq!(transaction, gallery::transaction());
}

#[tokio::test]
async fn the_link_to_keep_is_shown_to_its_payer_alone() {
    let terminal = Terminal::start(billed()).await;
    let link = gallery::link();
    let shown = format!("href=\"{link}\" rel=\"noreferrer\">{link}</a>");
    assert!(terminal.get(&session()).await.body.contains(&shown));
    let stranger = format!("/s/{}", "0".repeat(32));
    for path in ["/", &stranger] {
        assert!(
            !terminal.get(path).await.body.contains("pay.example/r/"),
            "{path}"
        );
    }
}
