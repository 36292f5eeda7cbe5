//! The page that checks receipts, from a disk, without any server, against the vectors that the
//! program is held to as well.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::find;
use super::window::{Scripts, Tools, Window, with_window};

const GOOD: &str = "#result[data-state=\"good\"]";
const BAD: &str = "#result[data-state=\"bad\"] [data-line]";

struct Files {
    folder: tempfile::TempDir,
    vectors: Value,
}

impl Files {
    fn new() -> Self {
        let vectors = std::fs::read_to_string(root().join("protocol/vectors/receipts.json"));
        Self {
            folder: tempfile::tempdir().unwrap(),
            vectors: serde_json::from_str(&vectors.unwrap()).unwrap(),
        }
    }

    fn of(&self, name: &str) -> PathBuf {
        self.write(name, &self.vectors[name].to_string())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(format!("{name}.json"));
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// No terminal is needed here, so nothing but the browser.
fn browser() -> Option<Tools> {
    Some(Tools {
        chromium: find("chromium")?,
        chromedriver: find("chromedriver")?,
        python: PathBuf::new(),
    })
}

fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap().to_owned()
}

/// Opens the page anew and gives it these files, the receipt last.
async fn gives(window: &Window, keys: &Path, previous: Option<&Path>, receipt: &Path) {
    let page = root().join("deploy/verify/index.html");
    window.open(&format!("file://{}", page.display())).await;
    window.choose("#keys", keys).await;
    if let Some(previous) = previous {
        window.press("summary").await;
        window.choose("#previous", previous).await;
    }
    window.choose("#receipt", receipt).await;
}

async fn is_refused(window: &Window, line: &str) {
    let told = window.find(BAD).await.attr("data-line").await.unwrap();
    assert_eq!(told.as_deref(), Some(line));
}

#[tokio::test(flavor = "multi_thread")]
async fn browser_checks_receipts_from_a_disk() {
    let Some(tools) = browser() else { return };
    let files = Files::new();
    with_window(&tools, "verifier", Scripts::Run, move |window| async move {
        let (keys, good) = (files.of("keys"), files.of("good"));
        gives(&window, &keys, Some(&files.of("previous")), &good).await;
        window.find(GOOD).await;
        window.picture("1-good").await;
        let text = window.text().await;
        for told in [
            "34.50 CNY",
            "North Parking Co., Ltd.",
            "(shown, fits)",
            "north/gate-1",
        ] {
            assert!(text.contains(told), "{told} is not in:\n{text}");
        }
        for forgery in files.vectors["forgeries"].as_array().unwrap() {
            let forged = files.write("forged", &forgery["file"].to_string());
            gives(&window, &keys, None, &forged).await;
            is_refused(&window, forgery["line"].as_str().unwrap()).await;
        }
        window.picture("2-bad").await;
        let signed = files.vectors["good"]["signed"].as_str().unwrap();
        let cut = files.write("cut", &signed[..900]);
        gives(&window, &keys, None, &cut).await;
        let framing =
            "the platform's signature: not three canonical base64url parts within the length limit";
        is_refused(&window, framing).await;
        let (first, last) = signed.split_at(signed.len() - 2);
        let other = if last.starts_with('A') { "B" } else { "A" };
        let changed = files.write("changed", &format!("{first}{other}{}", &last[1..]));
        gives(&window, &keys, None, &changed).await;
        is_refused(
            &window,
            "the platform's signature: the signature does not fit",
        )
        .await;
        let mut others = files.vectors["keys"].clone();
        others["keys"].as_array_mut().unwrap().remove(0);
        let others = files.write("others", &others.to_string());
        gives(&window, &others, None, &good).await;
        is_refused(
            &window,
            "the platform's signature: signed by a key that is not this author's",
        )
        .await;
    })
    .await;
}
