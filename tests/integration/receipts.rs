//! What a payer has in hand after leaving, and what anybody can make of it.

use std::time::Duration;

use edge_agent::linkage::config::Fault;
use process::clock::Clock;
use protocol::evidence::{PublishedKeys, ReceiptFile, check};
use tests::html;
use tests::phone::Page;
use tests::programs;
use tests::system::{Plan, System};
use tests::visit::{Press, Visit};

const END_TIMEOUT: Duration = Duration::from_secs(60);

struct Shop {
    _folder: tempfile::TempDir,
    system: System,
    public: String,
}

impl Shop {
    async fn open(fault: Fault) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = programs::free_port().unwrap();
        let plan = Plan::new(folder.path()).with_fault(fault).with_public(port);
        Self {
            system: System::start(plan).await.unwrap(),
            public: format!("http://127.0.0.1:{port}"),
            _folder: folder,
        }
    }

    fn visit(&self) -> Visit {
        Visit::new(&self.system.terminal(0).unwrap().page, &Clock::system())
    }

    /// The link on a page of the terminal.
    fn link(&self, page: &Page) -> String {
        let links = html::links(&page.body);
        let ours = format!("{}/r/", self.public);
        let found = links.into_iter().find(|link| link.starts_with(&ours));
        found.unwrap_or_else(|| panic!("no link on {}", page.body))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_who_left_still_has_a_receipt_that_anybody_can_check() {
    let shop = Shop::open(Fault::None).await;
    let mut before = None;
    for _ in 0..2 {
        let mut visit = shop.visit();
        let bill = visit.to_bill().await.unwrap();
        let link = shop.link(&bill);
        let phone = visit.phone().clone();
        assert_eq!(phone.open(&link).await.unwrap().state(), "unpaid");
        let checkout = visit.to_checkout(&bill).await.unwrap();
        visit.press(&checkout, Press::Pay).await.unwrap();
        let end = visit.to_end(&bill, END_TIMEOUT).await.unwrap();
        assert_eq!(
            (end.state().as_str(), shop.link(&end)),
            ("done", link.clone())
        );

        let status = phone.open(&link).await.unwrap();
        let status = phone
            .wait_for(&status, &["served"], END_TIMEOUT)
            .await
            .unwrap();
        assert!(status.body.contains("12.00 CNY"), "{}", status.body);
        let kept = phone.open(&format!("{link}/receipt.json")).await.unwrap();
        let shown = phone
            .open(&format!("{}/receipt.json", bill.url))
            .await
            .unwrap();
        assert_eq!(kept.body, shown.body);
        let keys = phone
            .open(&format!("{}/keys.json", shop.public))
            .await
            .unwrap();
        let keys = PublishedKeys::parse(keys.body.as_bytes()).unwrap();
        let file = ReceiptFile::parse(kept.body.as_bytes()).unwrap();
        let proof = check(&file, &keys, before.as_ref()).unwrap();
        assert_eq!(proof.receipt().amount.to_string(), "12.00 CNY");
        before = Some(file);
    }
    shop.system.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_who_left_unserved_sees_the_money_come_back() {
    let shop = Shop::open(Fault::Refuse).await;
    let mut visit = shop.visit();
    let end = visit.run(Press::Pay, END_TIMEOUT).await.unwrap();
    assert_eq!(end.state(), "failed");
    let link = shop.link(&end);
    let phone = visit.phone();
    let status = phone.open(&link).await.unwrap();
    let status = phone
        .wait_for(&status, &["returned"], END_TIMEOUT)
        .await
        .unwrap();
    for told in [
        "Your money was returned",
        "could not serve you",
        "12.00 CNY",
        "UTC",
    ] {
        assert!(status.body.contains(told), "{told}: {}", status.body);
    }
    let receipt = phone.open(&format!("{link}/receipt.json")).await.unwrap();
    assert_eq!(receipt.status, 404);
    shop.system.stop().await.unwrap();
}
