//! What the four programs tell Prometheus, judged by its own checker.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use process::clock::Clock;
use tests::phone::Phone;
use tests::stand::{Bus, Plan, Role, Stand};
use tests::tool;
use tests::visit::{Press, Visit};

const END_TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn metrics_of_all_programs_are_clean_after_a_payment() {
    let Some(promtool) = tool::find("promtool").unwrap() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let mut plan = Plan::new(folder.path());
    plan.bus = Bus::Alone;
    let stand = Stand::start(plan).await.unwrap();
    let mut visit = Visit::new(&stand.page(), &clock);
    let end = visit.run(Press::Pay, END_TIMEOUT).await.unwrap();
    assert_eq!(end.state(), "done");
    let phone = Phone::new(clock);
    let mut complaints = Vec::new();
    for role in Role::ALL {
        let page = phone
            .open(&stand.health_url(role, "/metrics"))
            .await
            .unwrap();
        assert_eq!(page.status, 200, "{role:?}");
        let prefix = prefix_of(role);
        let own = page.body.lines().filter(|line| line.starts_with(prefix));
        assert!(
            own.count() > 0,
            "{role:?} tells nothing of its own:\n{}",
            page.body
        );
        complaints.extend(complaints_of(&promtool, role, &page.body));
    }
    assert_eq!(complaints, Vec::<String>::new());
    stand.stop().await.unwrap();
}

const fn prefix_of(role: Role) -> &'static str {
    match role {
        Role::Broker => "paylatch_broker_",
        Role::Platform => "paylatch_platform_",
        Role::Mock => "paylatch_mock_",
        Role::Terminal => "paylatch_agent_",
    }
}

/// Every line that `promtool check metrics` prints, and its exit code if it is not 0.
fn complaints_of(promtool: &Path, role: Role, metrics: &str) -> Vec<String> {
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(metrics.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    let mut lines: Vec<_> = printed
        .lines()
        .map(|line| format!("{role:?}: {line}"))
        .collect();
    if !output.status.success() {
        lines.push(format!("{role:?}: {}", output.status));
    }
    lines
}
