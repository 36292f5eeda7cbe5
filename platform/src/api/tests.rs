//! Requests against a real store.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use protocol::id::{PlatformId, SessionId, TransactionId};
use protocol::money::Money;
use protocol::time::Utc;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::*;
use crate::store::books::{BookNote, TaskId, TaskRow};
use crate::store::sqlite::{SqliteReader, SqliteStore};
use crate::store::{Batch, Change, EventRow, SaleRow, Store as _, TerminalNote};

struct Served {
    router: Router,
    token: String,
    _folder: TempDir,
}

impl Served {
    /// Sales `1..=sales` at `north/gate-1`, which is not registered and online.
    fn with(sales: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let platform: PlatformId = "main".parse().unwrap();
        let mut store = SqliteStore::open(folder.path(), &platform, &mut || [7; 16]).unwrap();
        let changes: Vec<_> = (1..=sales).map(sale).collect();
        let presence = TerminalNote::Presence {
            terminal: "north/gate-1".parse().unwrap(),
            at: Utc::EPOCH,
            online: true,
        };
        let batch = Batch {
            changes: &changes,
            notes: &[presence],
            books: &[BookNote::Task(task())],
            ..Batch::default()
        };
        store.commit_all(batch).unwrap();
        let token = Token::load_or_create(folder.path(), &mut || [9; 16]).unwrap();
        let reader = SqliteReader::open(folder.path()).unwrap();
        // Nobody acts here: the engine's own tests do.
        let (acts, _) = crate::engine::channel();
        Self {
            token: token.as_str().to_owned(),
            router: Api::new(reader, acts, Arc::new(Registry::default()), token).router(),
            _folder: folder,
        }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, Some(&format!("Bearer {}", self.token)))
            .await
    }

    async fn ask(&self, method: &str, path: &str, authorization: Option<&str>) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }
}

fn task() -> TaskRow {
    TaskRow {
        id: TaskId::of("missing_there", "payment:1"),
        kind: "missing_there".to_owned(),
        subject: "payment:1".to_owned(),
        transaction: None,
        owner: "operations".to_owned(),
        since: Utc::EPOCH,
        due_at: Utc::EPOCH,
        detail: "found".to_owned(),
        resolved: None,
    }
}

fn sale(number: u8) -> Change {
    let sale = SaleRow {
        transaction: TransactionId::from_random([number; 16]),
        terminal: "north/gate-1".parse().unwrap(),
        session: SessionId::from_random([number; 16]),
        state: "awaiting_payment".to_owned(),
        order_state: "open".to_owned(),
        amount: Money::new(450, "CNY".parse().unwrap()).unwrap(),
        open: true,
        created_at: Utc::EPOCH,
        updated_at: Utc::EPOCH,
        version: 1,
        document: "{}".to_owned(),
    };
    let event = EventRow {
        at: Utc::EPOCH,
        kind: "requested".to_owned(),
        detail: json!({"n": 1}),
    };
    Change {
        sale,
        expected_version: None,
        events: vec![event],
        postings: vec![],
        payments: vec![],
        refunds: vec![],
        outbox_put: vec![],
        outbox_done: vec![],
        link: None,
    }
}

#[tokio::test]
async fn nothing_is_told_without_the_token() {
    let served = Served::with(1);
    let basic = format!("Basic {}", served.token);
    let cut = format!("Bearer {}", &served.token[1..]);
    for authorization in [
        None,
        Some("Bearer "),
        Some(basic.as_str()),
        Some(cut.as_str()),
    ] {
        for path in ["/api/v1/transactions", "/api/v1/terminals", "/api/v1/none"] {
            let (status, body) = served.ask("GET", path, authorization).await;
            assert_eq!(status, 401, "{authorization:?} {path}");
            assert!(
                body["error"].as_str().unwrap().contains("api-token"),
                "{body}"
            );
        }
    }
}

#[tokio::test]
async fn pages_lead_from_one_to_the_next() {
    let served = Served::with(3);
    let (status, first) = served.get("/api/v1/transactions?limit=2").await;
    assert_eq!(
        (status, first["transactions"].as_array().unwrap().len()),
        (200, 2)
    );
    let next = format!("/api/v1/transactions?limit=2&before={}", first["next"]);
    let (_, second) = served.get(&next).await;
    let expected = json!({
        "next": null,
        "transactions": [{
            "transaction": "01010101010101010101010101010101",
            "terminal": "north/gate-1",
            "session": "01010101010101010101010101010101",
            "state": "awaiting_payment",
            "order_state": "open",
            "amount": {"minor": 450, "currency": "CNY"},
            "open": true,
            "created_at": "1970-01-01T00:00:00Z",
            "updated_at": "1970-01-01T00:00:00Z",
        }],
    });
    assert_eq!(second, expected);
    let (_, none) = served.get("/api/v1/transactions?state=done").await;
    assert_eq!(none, json!({"next": null, "transactions": []}));
}

#[tokio::test]
async fn one_transaction_has_its_timeline() {
    let served = Served::with(1);
    let path = "/api/v1/transactions/01010101010101010101010101010101";
    let (status, found) = served.get(path).await;
    assert_eq!(status, 200);
    let events = json!([{"at": "1970-01-01T00:00:00Z", "kind": "requested", "detail": {"n": 1}}]);
    assert_eq!(found["events"], events);
    assert_eq!(
        (&found["payments"], &found["postings"]),
        (&json!([]), &json!([]))
    );
}

#[tokio::test]
async fn terminals_are_listed_even_when_no_site_names_them() {
    let (status, found) = Served::with(2).get("/api/v1/terminals").await;
    assert_eq!(status, 200);
    let listed = &found["terminals"][0];
    assert_eq!(listed["terminal"], "north/gate-1");
    assert_eq!(
        (&listed["registered"], &listed["online"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(listed["known"]["open_sales"], 2);
}

#[tokio::test]
async fn the_work_list_holds_what_waits_for_a_person() {
    let served = Served::with(1);
    let none = (200, json!({ "tasks": [] }));
    assert_eq!(served.get("/api/v1/tasks?open=false").await, none);
    let (status, body) = served.get("/api/v1/tasks?open=true&limit=9").await;
    assert_eq!((status, body["tasks"].as_array().unwrap().len()), (200, 1));
    let task = &body["tasks"][0];
    assert_eq!(
        (&task["kind"], &task["subject"], &task["owner"]),
        (
            &json!("missing_there"),
            &json!("payment:1"),
            &json!("operations")
        )
    );
}

#[tokio::test]
async fn bad_requests_get_one_clear_line() {
    let served = Served::with(1);
    let cases = [
        (
            "/api/v1/transactions?limit=0",
            400,
            "limit: write a number from 1 to 200",
        ),
        (
            "/api/v1/transactions?limit=201",
            400,
            "limit: write a number from 1 to 200",
        ),
        (
            "/api/v1/transactions?limit=x",
            400,
            "limit: write a number from 1 to 200",
        ),
        (
            "/api/v1/transactions?before=x",
            400,
            "before: write the `next` of the page before",
        ),
        (
            "/api/v1/transactions?terminal=gate",
            400,
            "terminal: write SITE/TERMINAL",
        ),
        (
            "/api/v1/transactions?colour=red",
            400,
            "use state, terminal, limit and before",
        ),
        ("/api/v1/tasks?open=1", 400, "open: write true or false"),
        (
            "/api/v1/tasks?limit=201",
            400,
            "limit: write a number from 1 to 200",
        ),
        ("/api/v1/tasks?kind=x", 400, "use open and limit"),
        (
            "/api/v1/transactions/7",
            400,
            "use 32 lower-case hexadecimal digits",
        ),
        (
            "/api/v1/transactions/07070707070707070707070707070707",
            404,
            "there is no transaction 07070707070707070707070707070707",
        ),
        ("/api/v1/none", 404, "there is no such path"),
        ("/none", 404, "begin with /api/v1/transactions"),
    ];
    for (path, expected, line) in cases {
        let (status, body) = served.get(path).await;
        assert_eq!(status, expected, "{path}");
        assert!(
            body["error"].as_str().unwrap().contains(line),
            "{path}: {body}"
        );
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_refused() {
    let served = Served::with(1);
    let bearer = format!("Bearer {}", served.token);
    let (status, body) = served
        .ask("DELETE", "/api/v1/transactions", Some(&bearer))
        .await;
    assert_eq!(
        (status, body),
        (
            405,
            json!({"error": "this path takes no such method: use GET to read and POST to act"})
        )
    );
}
