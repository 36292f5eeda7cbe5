//! The public pages over HTTP, in front of a real store.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::HeaderMap;
use protocol::evidence::{PublishedKey, Standing, check};
use protocol::signed::{Audience, SigningKey};
use protocol::time::{Now, Tick, Utc};
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::*;
use crate::sale::tests::samples::samples;
use crate::store::sqlite::{SqliteReader, SqliteStore};
use crate::store::{Change, SaleRow, Store as _};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Keys of the bench that made the samples.
fn published() -> PublishedKeys {
    let terminal = Audience::terminal("north/gate-1".parse().unwrap());
    let platform = Audience::platform(&"main".parse().unwrap());
    let key = |owner, seed| {
        let key = SigningKey::from_seed([seed; 32]).public();
        PublishedKey::new(owner, key, Standing::Trusted)
    };
    PublishedKeys {
        platform: "main".parse().unwrap(),
        keys: vec![key(platform, 3), key(terminal, 1)],
    }
}

struct Served {
    folder: TempDir,
    clock: Clock,
    router: Router,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Served {
    fn with(sample: &str) -> Self {
        Self::behind(sample, false)
    }

    fn behind(sample: &str, is_behind_proxy: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let platform = "main".parse().unwrap();
        let mut store = SqliteStore::open(folder.path(), &platform, &mut || [7; 16]).unwrap();
        store.commit(&[change(sample)]).unwrap();
        let reader = SqliteReader::open(folder.path()).unwrap();
        let clock = Clock::manual(Now {
            utc: Utc::EPOCH,
            tick: Tick::from_millis(1_000),
        });
        let surroundings = (clock.clone(), is_behind_proxy);
        let public = Public::new(reader, Arc::default(), published(), surroundings);
        Self {
            folder,
            clock,
            router: public.router(),
        }
    }

    async fn ask(&self, method: &str, path: &str, from: [u8; 4], forwarded: &str) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-forwarded-for", forwarded)
            .body(Body::empty())
            .unwrap();
        let peer = SocketAddr::from((from, 4_000));
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, [192, 0, 2, 1], "").await
    }
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn shows(&self, state: &str) -> bool {
        self.body.contains(&format!("data-state=\"{state}\""))
    }
}

fn change(sample: &str) -> Change {
    let found = samples().into_iter().find(|(name, _)| *name == sample);
    let (_, sale) = found.unwrap();
    let facts = sale.facts();
    Change {
        sale: SaleRow {
            transaction: facts.transaction,
            terminal: facts.terminal.clone(),
            session: facts.session,
            state: sale.state().as_str().to_owned(),
            order_state: sale.order_state().to_owned(),
            amount: facts.amount,
            open: sale.is_open(),
            created_at: facts.created_at,
            updated_at: facts.created_at,
            version: 1,
            document: serde_json::to_string(&sale).unwrap(),
        },
        expected_version: None,
        events: vec![],
        postings: vec![],
        payments: vec![],
        refunds: vec![],
        outbox_put: vec![],
        outbox_done: vec![],
        link: Some(Digest::of(TOKEN.as_bytes())),
    }
}

#[tokio::test]
async fn a_link_shows_its_sale_and_every_other_one_nothing() {
    let served = Served::with("served");
    let page = served.get(&format!("/r/{TOKEN}")).await;
    assert_eq!(page.status, 200);
    assert!(page.shows("served"), "{}", page.body);
    let upper = TOKEN.to_uppercase();
    let digest = Digest::of(TOKEN.as_bytes()).to_string();
    for wrong in [&upper, &digest, &TOKEN[1..], &"0".repeat(32), "%00", "a b"] {
        let wrong = wrong.replace(' ', "%20");
        for path in [format!("/r/{wrong}"), format!("/r/{wrong}/receipt.json")] {
            let answer = served.get(&path).await;
            assert_eq!(answer.status, 404, "{path}");
            assert!(answer.shows("unknown"), "{path}");
            assert!(!answer.body.contains("North"), "{path}");
        }
    }
    for path in ["/", "/r", "/r/", "/api/v1/transactions", "/metrics"] {
        let answer = served.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let posted = served.ask("POST", &format!("/r/{TOKEN}"), [1; 4], "").await;
    assert_eq!(posted.status, 405);
}

#[tokio::test]
async fn every_answer_is_kept_by_nobody_and_loads_nothing() {
    let served = Served::with("served");
    let page = format!("/r/{TOKEN}");
    let file = format!("/r/{TOKEN}/receipt.json");
    for path in [&page, &file, "/r/x", "/", "/verify", "/keys.json"] {
        let answer = served.get(path).await;
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("x-robots-tag", "noindex, nofollow, noarchive"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}");
        assert!(
            !policy.contains("unsafe") && !policy.contains("self"),
            "{path}"
        );
        assert_eq!(answer.header("set-cookie"), None, "{path}");
    }
    let answer = served.get(&page).await;
    let style = headers::policy(&[], &[layout::STYLE]);
    assert_eq!(
        answer.header("content-security-policy"),
        style.to_str().ok()
    );
    assert!(style.to_str().unwrap().contains("script-src 'none'"));
}

#[tokio::test]
async fn the_receipt_is_a_file_that_the_published_keys_prove() {
    let served = Served::with("served");
    let answer = served.get(&format!("/r/{TOKEN}/receipt.json")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let disposition = "attachment; filename=\"receipt-01010101.json\"";
    assert_eq!(answer.header("content-disposition"), Some(disposition));
    let keys = served.get("/keys.json").await;
    assert_eq!(
        keys.header("content-type"),
        Some("application/jwk-set+json")
    );
    let keys = PublishedKeys::parse(keys.body.as_bytes()).unwrap();
    assert_eq!(keys, published());
    let file = ReceiptFile::parse(answer.body.as_bytes()).unwrap();
    check(&file, &keys, None).unwrap();

    let unpaid = Served::with("unpaid");
    let answer = unpaid.get(&format!("/r/{TOKEN}/receipt.json")).await;
    assert_eq!(answer.status, 404);
    let page = unpaid.get(&format!("/r/{TOKEN}")).await;
    assert!(!page.body.contains("receipt.json"));
}

#[tokio::test]
async fn the_checking_page_carries_the_keys_and_runs_its_own_script_alone() {
    let served = Served::with("served");
    let page = served.get("/verify").await;
    assert_eq!(page.status, 200);
    let keys = served.get("/keys.json").await.body;
    let inside = format!("id=\"published-keys\">{keys}</script>");
    assert!(page.body.contains(&inside));
    let between = |start: &str, end: &str| {
        let text = verify::PAGE.split(start).nth(1).unwrap();
        text.split(end).next().unwrap()
    };
    let script = between("<script>", "</script>");
    let style = between("<style>", "</style>");
    let policy = headers::policy(&[script], &[style]);
    assert_eq!(page.header("content-security-policy"), policy.to_str().ok());
    // The file on a disk has no headers: its own policy is as strict.
    let own = between("http-equiv=\"Content-Security-Policy\" content=\"", "\">");
    let header = policy
        .to_str()
        .unwrap()
        .replace("; frame-ancestors 'none'", "");
    let sorted = |policy: &str| {
        let mut parts: Vec<String> = policy.split("; ").map(str::to_owned).collect();
        parts.sort();
        parts
    };
    assert_eq!(
        sorted(own),
        sorted(&header),
        "mend the policy in deploy/verify/index.html"
    );
}

#[tokio::test]
async fn a_key_that_is_revoked_while_we_run_is_published_so() {
    let served = Served::with("served");
    let revoked = published().keys[1].kid.clone();
    let file = served.folder.path().join("platform.sqlite3");
    let store = rusqlite::Connection::open(file).unwrap();
    store.pragma_update(None, "foreign_keys", "OFF").unwrap();
    let statement = "INSERT INTO revoked_keys VALUES (?1, zeroblob(16))";
    store.execute(statement, [revoked.as_str()]).unwrap();

    let expected = published().with_revoked(&[revoked]);
    assert_ne!(expected, published());
    let keys = served.get("/keys.json").await.body;
    assert_eq!(PublishedKeys::parse(keys.as_bytes()).unwrap(), expected);
    assert!(served.get("/verify").await.body.contains(&keys));
}

#[tokio::test]
async fn an_address_that_asks_too_often_waits() {
    let served = Served::with("served");
    let path = format!("/r/{TOKEN}");
    for _ in 0..60 {
        assert_eq!(served.get(&path).await.status, 200);
    }
    let refused = served.get(&path).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert_eq!(refused.header("cache-control"), Some("no-store"));
    assert!(!refused.body.contains("North"));
    assert_eq!(
        served.ask("GET", &path, [192, 0, 2, 2], "").await.status,
        200
    );
    served.clock.advance(Duration::from_secs(1));
    assert_eq!(served.get(&path).await.status, 200);
}

#[tokio::test]
async fn only_what_our_own_proxy_added_tells_addresses_apart() {
    let path = format!("/r/{TOKEN}");
    for (is_behind_proxy, refused_is) in [(true, 200), (false, 429)] {
        let served = Served::behind("served", is_behind_proxy);
        for number in 0..61 {
            let forwarded = format!("203.0.113.{number}, 192.0.2.7");
            served.ask("GET", &path, [127, 0, 0, 1], &forwarded).await;
        }
        // Behind the proxy the first part is anybody's word: all of them were one address.
        let again = served
            .ask("GET", &path, [127, 0, 0, 1], "1.1.1.1, 192.0.2.7")
            .await;
        assert_eq!(again.status, 429);
        let other = served
            .ask("GET", &path, [127, 0, 0, 1], "192.0.2.7, 192.0.2.8")
            .await;
        assert_eq!(other.status, refused_is);
    }
}

#[test]
fn a_digest_that_is_known_stays_with_its_first_sale() {
    let folder = tempfile::tempdir().unwrap();
    let platform = "main".parse().unwrap();
    let mut store = SqliteStore::open(folder.path(), &platform, &mut || [7; 16]).unwrap();
    let first = change("served");
    let mut second = change("unpaid");
    second.sale.transaction = protocol::id::TransactionId::from_random([9; 16]);
    let link = first.link.unwrap();
    let wanted = first.sale.transaction;
    store.commit(&[first, second]).unwrap();
    let reader = SqliteReader::open(folder.path()).unwrap();
    assert_eq!(reader.linked(&link).unwrap().unwrap().transaction, wanted);
    assert_eq!(reader.linked(&Digest::of(b"other")).unwrap(), None);
    let bytes = std::fs::read(folder.path().join("platform.sqlite3-wal")).unwrap();
    let found = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(found(link.as_bytes()));
    assert!(!found(TOKEN.as_bytes()), "the token itself is in the store");
}
