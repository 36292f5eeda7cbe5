//! What an operator's program is told, exactly.

use serde_json::json;

use super::*;

impl Running {
    async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            self.token,
            body.len()
        );
        let mut stream = TcpStream::connect(self.api).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        in_time(stream.read_to_string(&mut answer)).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    async fn read(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await.1).unwrap()
    }
}

fn body(id: u8, scope: &str) -> String {
    let id = format!("{id:02x}").repeat(16);
    json!({"id": id, "name": "Ada", "reason": "bent arm", "scope": scope}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_answered_once_it_is_kept_and_both_lists_tell_it() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Running::start(config(&folder)).await;
    let (status, done) = platform
        .post("/api/v1/holds", &body(1, "north/gate-1"))
        .await;
    assert_eq!(status, 200, "{done}");
    let at = done["at"].clone();
    let act = json!({
        "id": "01010101010101010101010101010101",
        "at": at,
        "name": "Ada",
        "reason": "bent arm",
        "deed": {"kind": "hold", "scope": "north/gate-1"},
        "outcome": {},
    });
    let mut expected = act.clone();
    expected["again"] = json!(false);
    assert_eq!(done, expected);
    expected["again"] = json!(true);
    let again = platform
        .post("/api/v1/holds", &body(1, "north/gate-1"))
        .await;
    assert_eq!(again, (200, expected));
    assert_eq!(
        platform.read("/api/v1/holds").await,
        json!({"holds": [{
            "scope": "north/gate-1",
            "since": at,
            "name": "Ada",
            "reason": "bent arm",
            "act": "01010101010101010101010101010101",
        }]})
    );
    assert_eq!(
        platform.read("/api/v1/acts").await,
        json!({"acts": [act], "next": null})
    );
    let released = platform
        .post("/api/v1/holds/release", &body(2, "north/gate-1"))
        .await;
    assert_eq!(released.0, 200, "{released:?}");
    assert_eq!(platform.read("/api/v1/holds").await, json!({"holds": []}));
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_that_is_refused_is_told_why_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Running::start(config(&folder)).await;
    let path = "/api/v1/holds";
    let long = "r".repeat(201);
    let huge = "r".repeat(5_000);
    let changed = |field: &str, value: &str| {
        let mut body: Value = serde_json::from_str(&body(1, "north")).unwrap();
        body[field] = json!(value);
        body.to_string()
    };
    let cases = [
        (
            changed("id", "7"),
            400,
            "id: '7' is no ActId: use 32 lower-case hexadecimal digits",
        ),
        (
            changed("name", " "),
            400,
            "name: write 1 to 64 characters, no control characters among them",
        ),
        (
            changed("reason", &long),
            400,
            "reason: write 1 to 200 characters, no control characters among them",
        ),
        (
            changed("scope", "North"),
            400,
            "scope: 'North' can't be held: write SITE/TERMINAL, SITE, gateway/NAME, or * for the \
             whole platform",
        ),
        (
            r#"{"id": "01010101010101010101010101010101", "reason": "x", "scope": "north"}"#
                .to_owned(),
            400,
            "missing field `name`: send a JSON object with id, name and reason",
        ),
        (
            changed("colour", "red"),
            400,
            "colour: unknown field `colour`, expected one of `id`, `name`, `reason`, `scope`",
        ),
        (
            "{".to_owned(),
            400,
            "EOF while parsing an object: send a JSON object with id, name and reason",
        ),
        (
            changed("name", &huge),
            413,
            "the body is longer than 4096 bytes",
        ),
        (
            changed("scope", "south"),
            404,
            "south is no terminal, site or payment server of this platform",
        ),
    ];
    for (body, status, line) in cases {
        let answered = platform.post(path, &body).await;
        assert_eq!(answered, (status, json!({ "error": line })), "{body}");
    }
    let release = body(1, "north");
    let released = platform.post("/api/v1/holds/release", &release);
    let not_held = json!({"error": "north is not held"});
    assert_eq!(released.await, (409, not_held));
    assert_eq!(platform.read("/api/v1/acts").await["acts"], json!([]));
    platform.end().await;
}
