use std::path::Path;

use super::{Ruleset, ScenarioFileError, load, parse};

fn refusal(text: &str) -> String {
    match parse(text) {
        Ok(_) => panic!("taken: {text}"),
        Err((line, reason)) => {
            assert!(!reason.contains('\n'), "{reason}");
            format!("{line}: {reason}")
        }
    }
}

fn assert_refused(rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        let refusal = refusal(text);
        assert!(refusal.starts_with(expected), "{refusal} is not {expected}");
    }
}

/// A rule whose own lines begin at line 4.
fn rule(lines: &str) -> String {
    format!("seed = 7\n\n# a rule\n[[rules]]\nname = \"it\"\n{lines}\n")
}

fn names(rules: &Ruleset) -> Vec<String> {
    rules.texts().map(|rule| rule.name.clone()).collect()
}

#[test]
fn the_example_is_a_scenario_with_every_action() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/payment-mock/scenario.toml");
    let rules = load(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    for action in [
        "drop-before",
        "outage",
        "refuse",
        "outcome",
        "hide-until-scan",
        "forget-key",
        "refund-fails",
        "refund-pending",
        "refund-pending-fails",
        "refund-fails-later",
        "drop-after",
        "delay",
        "truncate",
        "double",
        "reorder",
        "stale",
        "forge",
        "dispute",
        "charge-back",
        "refund-outside",
        "fee",
        "line-missing",
        "line-duplicate",
        "line-wrong-amount",
        "line-unknown",
    ] {
        assert!(text.contains(&format!("action = \"{action}\"")), "{action}");
    }
    assert!(names(&rules).len() >= 25);
    assert_eq!(rules.seed(), 1);
}

#[test]
fn an_empty_file_is_no_rules_and_no_seed() {
    let rules = parse("").unwrap();
    assert_eq!((rules.seed(), names(&rules)), (0, vec![]));
}

#[test]
fn each_mistake_is_one_line_that_names_line_rule_field_and_fix() {
    let rows: &[(&str, &str)] = &[
        (
            "sed = 7",
            "1: unknown field `sed`, expected `seed` or `rules`",
        ),
        ("seed = 7\nrules = 3", "2: "),
        ("seed = 7\n[[rules]]\nname = ", "3: "),
        (
            &rule("action = \"explode\""),
            "6: unknown variant `explode`",
        ),
        (
            &rule("action = \"stale\"\nwhen = 1"),
            "7: unknown field `when`",
        ),
        (&rule("action = \"stale\"\npayee = \"No\""), "7: "),
        (&rule(""), "4: missing field `action`"),
    ];
    assert_refused(rows);
}

#[test]
fn each_wrong_parameter_is_one_line_that_names_rule_field_and_fix() {
    let rows: &[(&str, &str)] = &[
        (
            &rule("action = \"delay\""),
            "4: rule 'it': after_ms: 'delay' needs it",
        ),
        (
            &rule("action = \"delay\"\nafter_ms = 86_400_001"),
            "4: rule 'it': after_ms: use at most 86400000, a day",
        ),
        (
            &rule("action = \"truncate\"\nafter_ms = 5"),
            "4: rule 'it': after_ms: 'truncate' does not take it; remove it",
        ),
        (
            &rule("action = \"refuse\""),
            "4: rule 'it': refusal: 'refuse' needs it",
        ),
        (
            &rule("action = \"outcome\""),
            "4: rule 'it': outcome: 'outcome' needs it",
        ),
        (
            &rule("action = \"outcome\"\noutcome = \"bad\""),
            "7: 'bad' is no outcome",
        ),
        (
            &rule("action = \"stale\"\noperation = \"close\""),
            "4: rule 'it': operation: 'stale' can't be done to close; use query",
        ),
        (
            &rule("action = \"double\"\ncopies = 9"),
            "4: rule 'it': copies: use 2 to 8",
        ),
        (
            &rule("action = \"forge\"\nforgeries = []"),
            "4: rule 'it': forgeries: name at least one, or leave it out for all",
        ),
        (
            &rule("action = \"forge\"\nforgeries = [\"key\", \"key\", \"key\", \"key\", \"key\"]"),
            "4: rule 'it': forgeries: name each at most once",
        ),
    ];
    assert_refused(rows);
}

#[test]
fn each_wrong_number_is_one_line_that_names_rule_field_and_fix() {
    let rows: &[(&str, &str)] = &[
        (
            &rule("action = \"fee\""),
            "4: rule 'it': minor: name either it or permille",
        ),
        (
            &rule("action = \"fee\"\nminor = 0"),
            "4: rule 'it': minor: use 1 to 1000000000000",
        ),
        (
            &rule("action = \"fee\"\npermille = 1001"),
            "4: rule 'it': permille: use 1 to 1000",
        ),
        (
            &rule("action = \"stale\"\nfrom_call = 3\nto_call = 2"),
            "4: rule 'it': to_call: ends before it begins; no call would ever fit",
        ),
        (
            &rule("action = \"stale\"\nfrom_ms = 3\nbefore_ms = 3"),
            "4: rule 'it': before_ms: ends before it begins; no call would ever fit",
        ),
        (
            &rule("action = \"stale\"\nfrom_call = 0"),
            "4: rule 'it': from_call: calls count from 1",
        ),
        (
            &rule("action = \"stale\"\nfrom_request = 0"),
            "4: rule 'it': from_request: calls count from 1",
        ),
        (
            &rule("action = \"stale\"\nchance_permille = 0"),
            "4: rule 'it': chance_permille: use 1 to 1000",
        ),
        (
            &rule("action = \"stale\"\nplace = \"\""),
            "4: rule 'it': place: use 1 to 64 characters",
        ),
        (
            &rule("action = \"stale\"\n[[rules]]\nname = \"it\"\naction = \"stale\""),
            "7: rule 'it' is there twice; give each its own name",
        ),
    ];
    assert_refused(rows);
}

#[test]
fn there_are_only_so_many_rules() {
    let rules: String = (0..=64)
        .map(|n| format!("[[rules]]\nname = \"{n}\"\naction = \"stale\"\n"))
        .collect();
    assert_eq!(refusal(&rules), "193: there are more than 64 rules");
}

#[test]
fn a_file_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scenario.toml");
    let missing = load(&path).unwrap_err();
    assert!(matches!(missing, ScenarioFileError::Read { .. }));
    std::fs::write(&path, "seed = \"x\"\n").unwrap();
    let wrong = load(&path).unwrap_err().to_string();
    let start = format!("{}:1: ", path.display());
    assert!(wrong.starts_with(&start), "{wrong}");
    std::fs::write(&path, vec![b'#'; 65_537]).unwrap();
    let large = load(&path).unwrap_err();
    assert!(matches!(large, ScenarioFileError::Size { .. }));
    let folder = load(folder.path()).unwrap_err();
    assert!(matches!(folder, ScenarioFileError::Size { .. }));
}
