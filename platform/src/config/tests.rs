//! The examples that we ship, and the faults that newcomers make.

use std::path::{Path, PathBuf};

use process::exit::{code_of, one_line};
use tempfile::TempDir;

use super::*;

/// `deploy/platform` in a folder of its own.
struct Deployed(TempDir);

impl Deployed {
    fn new() -> Self {
        let deployed = Self(tempfile::tempdir().unwrap());
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/platform");
        for name in ["platform.toml", "site.example.toml"] {
            std::fs::copy(from.join(name), deployed.path(name)).unwrap();
        }
        deployed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path("platform.toml")).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(self.path("platform.toml"), text.replace(from, to)).unwrap();
    }

    fn load(&self, overrides: &Overrides) -> anyhow::Result<Settings> {
        Ok(Settings::load(&self.path("platform.toml"), overrides)?)
    }

    /// The error line of `check-config` with the folder's name cut out; always exit code 78.
    fn fault(&self, overrides: &Overrides) -> String {
        let error = self
            .load(overrides)
            .and_then(|settings| settings.check())
            .unwrap_err();
        assert_eq!(code_of(error.as_ref()).as_u8(), 78, "{error:?}");
        one_line(error.as_ref()).replace(&format!("{}/", self.0.path().display()), "")
    }
}

#[test]
fn the_example_needs_its_secrets_and_nothing_else() {
    let deployed = Deployed::new();
    let settings = deployed.load(&Overrides::default()).unwrap();
    let line = deployed.fault(&Overrides::default());
    assert!(
        line.starts_with("data/mock.password: can't read the secret"),
        "{line}"
    );

    let public = settings.init_keys().unwrap();
    settings.check().unwrap();
    let key = process::keys::load(&settings.signing_file()).unwrap();
    assert_eq!(key.public(), public);
    let again = settings.init_keys().unwrap_err();
    assert!(one_line(again.as_ref()).contains("there is a key already"));

    let config = settings.config().unwrap();
    assert_eq!(config.data, deployed.path("data"));
    assert_eq!(config.timeouts, Timeouts::default());
    let Broker::Embedded(embedded) = &config.broker else {
        panic!("{config:?}");
    };
    assert_eq!((embedded.users.len(), embedded.listen.len()), (3, 1));
    assert_eq!(config.gateways[0].capabilities, Capabilities::default());
}

#[test]
fn what_is_commented_out_is_the_default() {
    let uncommented = Deployed::new();
    let text = std::fs::read_to_string(uncommented.path("platform.toml")).unwrap();
    let is_field = |line: &str| {
        let name = line.split([' ', '=']).next().unwrap_or_default();
        let word = |name: &str| {
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        line.starts_with('[') || (line.contains(" = ") && !name.is_empty() && word(name))
    };
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        // The other broker is a choice, not a default; it has a test of its own.
        Some(field) if is_field(field) && !field.contains("tls = ") => field,
        _ => line,
    });
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    let (before, rest) = text.split_once("[broker.external]").unwrap();
    let (_, after) = rest.split_once("# The read API.").unwrap();
    let text =
        format!("{before}#{after}").replace("signing_file = \"data/", "signing_file = \"./data/");
    std::fs::write(uncommented.path("platform.toml"), &text).unwrap();

    let said = uncommented.load(&Overrides::default()).unwrap();
    let shipped = Deployed::new().load(&Overrides::default()).unwrap();
    assert!(text.contains("\nquery_interval_ms = "), "{text}");
    assert_eq!(said.timeouts, shipped.timeouts);
    assert_eq!(
        said.gateways[0].capabilities,
        shipped.gateways[0].capabilities
    );
    assert_eq!(said.api.listen, shipped.api.listen);
    assert_eq!(
        (said.log.format, &said.log.level),
        (shipped.log.format, &shipped.log.level)
    );
    assert_eq!(
        (said.allow_plaintext, said.uncertain),
        (false, shipped.uncertain)
    );
}

#[test]
fn the_command_line_prevails() {
    let deployed = Deployed::new();
    let overrides = Overrides {
        data_folder: Some("/elsewhere".into()),
        broker: Some("127.0.0.1:1884".to_owned()),
        allow_plaintext: true,
    };
    let settings = deployed.load(&overrides).unwrap();
    assert_eq!(settings.data_folder, Path::new("/elsewhere"));
    assert_eq!(
        settings.signing_file(),
        Path::new("/elsewhere/platform.key")
    );
    assert!(settings.allow_plaintext);
    assert_eq!(settings.password_files().count(), 0);
    let line = one_line(settings.config().unwrap_err().as_ref());
    assert!(
        line.starts_with("/elsewhere/broker.password: can't read the secret"),
        "{line}"
    );
}

#[test]
fn an_external_broker_elsewhere_needs_encryption_or_a_word() {
    let deployed = Deployed::new();
    deployed
        .load(&Overrides::default())
        .unwrap()
        .init_keys()
        .unwrap();
    std::fs::copy(
        deployed.path("data/mock.password"),
        deployed.path("data/broker.password"),
    )
    .unwrap();
    let at = |address: &str, allow_plaintext| Overrides {
        broker: Some(address.to_owned()),
        allow_plaintext,
        ..Overrides::default()
    };
    assert_eq!(
        deployed.fault(&at("10.0.0.7:1883", false)),
        "broker: external.address: the password would go to 10.0.0.7:1883 without encryption; set \
         broker.external.ca_file, or pass --allow-plaintext"
    );
    assert_eq!(
        deployed.fault(&at("nowhere", false)),
        "broker.external.address: 'nowhere' is no broker address: write host:port, for example \
         127.0.0.1:1883"
    );
    for good in [
        at("10.0.0.7:1883", true),
        at("localhost:1883", false),
        at("[::1]:1883", false),
    ] {
        deployed.load(&good).unwrap().check().unwrap();
    }
}

#[test]
fn a_fault_is_one_line_with_file_field_and_fix() {
    let cases = [
        (
            "id = \"mock\"",
            "id = \"other\"",
            "site.example.toml: gateway: the platform knows no payment server 'mock'; add it to \
             [[gateways]] of the platform, or correct the name",
        ),
        (
            "platform = \"main\"",
            "platform = \"Main\"",
            "platform.toml: platform: 'Main' is no PlatformId: use 1 to 32 of a-z 0-9 - _, \
             starting with a letter or digit; correct the value",
        ),
        (
            "sites = \"site.example.toml\"",
            "sites = \"nowhere\"",
            "nowhere: No such file",
        ),
        (
            "[[broker.embedded.listen]]",
            "[[broker.internal.listen]]",
            "platform.toml: broker.internal: unknown field",
        ),
        (
            "# [api]",
            "[broker.external]\naddress = \"localhost:1\"",
            "broker: has [broker.embedded] and [broker.external]; remove one",
        ),
        (
            "# [timeouts]",
            "[timeouts]\nquery_ms = 1",
            "platform.toml: timeouts.query_ms: unknown",
        ),
    ];
    for (from, to, line) in cases {
        let deployed = Deployed::new();
        deployed.edit(from, to);
        let found = deployed.fault(&Overrides::default());
        assert!(found.starts_with(line), "{found}");
    }
}

#[test]
fn an_identity_is_forgotten_once() {
    let deployed = Deployed::new();
    let settings = deployed.load(&Overrides::default()).unwrap();
    settings.init_keys().unwrap();
    let pseudonym = protocol::id::Pseudonym::from_random([1; 16]);
    assert!(!settings.erase_identity(pseudonym).unwrap());
}
