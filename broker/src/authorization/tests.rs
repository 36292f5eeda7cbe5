use proptest::prelude::*;
use protocol::topic::{Down, TerminalName, filter_matches};

use super::*;

fn terminal(name: &str) -> Identity {
    Identity::Terminal(name.parse().unwrap())
}

/// Few names, so that strangers and namesakes are both frequent.
fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["north", "south", "gate-1", "main", "mock"])
}

fn name() -> impl Strategy<Value = TerminalName> {
    (word(), word()).prop_map(|(site, terminal)| format!("{site}/{terminal}").parse().unwrap())
}

fn identity() -> impl Strategy<Value = Identity> {
    prop_oneof![
        name().prop_map(Identity::Terminal),
        word().prop_map(|text| Identity::Platform(text.parse().unwrap())),
        word().prop_map(|text| Identity::Gateway(text.parse().unwrap())),
        Just(Identity::Monitor),
    ]
}

fn topic() -> impl Strategy<Value = Topic> {
    prop_oneof![
        (name(), prop::sample::select(Up::ALL)).prop_map(|(name, kind)| Topic::Up(name, kind)),
        (name(), prop::sample::select(Down::ALL)).prop_map(|(name, kind)| Topic::Down(name, kind)),
        (word(), prop::sample::select(Gateway::ALL), word()).prop_map(
            |(gateway, kind, platform)| {
                Topic::Gateway(gateway.parse().unwrap(), kind, platform.parse().unwrap())
            }
        ),
    ]
}

/// A topic with some levels replaced by wildcards, or cut by `#`.
fn filter() -> impl Strategy<Value = String> {
    let mask = prop::collection::vec(any::<bool>(), 6);
    (topic(), mask, prop::option::of(0..7_usize)).prop_map(|(topic, mask, hash)| {
        let text = topic.to_string();
        let levels = text.split('/').zip(mask);
        let mut levels: Vec<_> = levels
            .map(|(level, is_wild)| if is_wild { "+" } else { level })
            .collect();
        if let Some(depth) = hash {
            levels.truncate(depth);
            levels.push("#");
        }
        levels.join("/")
    })
}

/// What each party is there to read, said in another way than by filters.
fn may_hear(identity: &Identity, topic: &Topic) -> bool {
    match (identity, topic) {
        (Identity::Terminal(own), Topic::Down(name, _)) => own == name,
        (Identity::Platform(_) | Identity::Monitor, Topic::Up(..)) => true,
        (Identity::Platform(own), Topic::Gateway(_, kind, platform)) => {
            *kind != Gateway::Request && own == platform
        }
        (Identity::Gateway(own), Topic::Gateway(gateway, Gateway::Request, _)) => own == gateway,
        _ => false,
    }
}

#[test]
fn presence_is_for_wills_alone() {
    let gate = terminal("north/gate-1");
    let presence = "paylatch/v1/north/gate-1/up/presence";
    assert!(!is_authorized(&gate, Action::Publish, presence));
    assert!(is_authorized(&gate, Action::Will, presence));
    assert!(!is_authorized(
        &terminal("north/gate-2"),
        Action::Will,
        presence
    ));
    assert!(!is_authorized(&Identity::Monitor, Action::Will, presence));
}

#[test]
fn the_open_policy_permits_everything_and_the_contract_does_not() {
    let deed = (&Identity::Monitor, Action::Publish, "anything");
    assert!(Policy::Open.permits(deed.0, deed.1, deed.2));
    assert!(!Policy::Contract.permits(deed.0, deed.1, deed.2));
    assert_eq!(Policy::default(), Policy::Contract);
}

#[test]
fn filters_of_another_depth_or_alphabet_are_nobodys() {
    let platform = Identity::Platform("main".parse().unwrap());
    for filter in [
        "#",
        "+",
        "+/+/+/+/+/+",
        "paylatch/#",
        "paylatch/v1/+/+/up",
        "$share/g/a",
        "",
    ] {
        assert!(
            !is_authorized(&platform, Action::Subscribe, filter),
            "{filter}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nobody_but_a_platform_publishes_down(identity in identity(), name in name(), kind in prop::sample::select(Down::ALL)) {
        let topic = Topic::Down(name, kind).to_string();
        let is_platform = matches!(identity, Identity::Platform(_));
        prop_assert_eq!(is_authorized(&identity, Action::Publish, &topic), is_platform);
        prop_assert_eq!(is_authorized(&identity, Action::Will, &topic), is_platform);
    }

    #[test]
    fn a_terminal_never_publishes_outside_its_own_prefix(own in name(), topic in topic()) {
        let text = topic.to_string();
        let prefix = format!("paylatch/v1/{own}/up/");
        let identity = Identity::Terminal(own);
        for action in [Action::Publish, Action::Will] {
            prop_assert!(!is_authorized(&identity, action, &text) || text.starts_with(&prefix));
        }
    }

    #[test]
    fn a_monitor_publishes_nothing(text in "[ -~]{0,60}", topic in topic()) {
        for text in [text, topic.to_string()] {
            prop_assert!(!is_authorized(&Identity::Monitor, Action::Publish, &text));
            prop_assert!(!is_authorized(&Identity::Monitor, Action::Will, &text));
        }
    }

    #[test]
    fn answers_and_events_come_from_their_own_payment_server(identity in identity(), topic in topic()) {
        if let Topic::Gateway(gateway, kind, platform) = &topic {
            let expected = match kind {
                Gateway::Request => identity == Identity::Platform(platform.clone()),
                Gateway::Response | Gateway::Event => identity == Identity::Gateway(gateway.clone()),
            };
            prop_assert_eq!(is_authorized(&identity, Action::Publish, &topic.to_string()), expected);
        }
    }

    #[test]
    fn nobody_subscribes_to_more_than_is_theirs(identity in identity(), filter in filter(), topic in topic()) {
        let text = topic.to_string();
        if is_authorized(&identity, Action::Subscribe, &filter) && filter_matches(&filter, &text) {
            prop_assert!(may_hear(&identity, &topic), "{} heard {} by {}", identity.kind(), text, filter);
        }
    }

    #[test]
    fn everybody_can_subscribe_to_each_topic_that_is_theirs(identity in identity(), topic in topic()) {
        let granted = is_authorized(&identity, Action::Subscribe, &topic.to_string());
        prop_assert_eq!(granted, may_hear(&identity, &topic));
    }

    #[test]
    fn nothing_outside_the_contract_is_anybodys(identity in identity(), text in "[ -~]{0,80}") {
        if text.parse::<Topic>().is_err() {
            prop_assert!(!is_authorized(&identity, Action::Publish, &text));
            prop_assert!(!is_authorized(&identity, Action::Will, &text));
        }
    }
}
