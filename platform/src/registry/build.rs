//! From what owners wrote to what machines use: everything that a single field can't tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use process::config::ConfigError;
use protocol::message::{DEVICES_MAX, ITEMS_MAX, Item, Tariff};
use protocol::signed::{Keyring, PublicKey};
use protocol::topic::TerminalName;

use super::fits::check_fits;
use super::{Site, Terminal, price, visit};
use crate::site::{self, Described};

/// Shortest time to pay: a payer must open a page and confirm on it. Tests of expiry need no less.
const ORDER_LIFETIME_MIN_MS: u64 = 1_000;

/// Longest time to pay: the lane is taken for so long.
const ORDER_LIFETIME_MAX_MS: u64 = 3_600_000;

pub(super) fn build(sites: &[Described]) -> Result<BTreeMap<TerminalName, Terminal>, ConfigError> {
    let mut terminals = BTreeMap::new();
    let mut site_ids = BTreeSet::new();
    let mut keys = BTreeMap::new();
    for described in sites {
        if !site_ids.insert(&described.site.id) {
            let reason = format!("'{}' is described in another file too", described.site.id);
            return Err(field(described, "id", reason, "give each site one file"));
        }
        for terminal in site_terminals(described)? {
            own_key(described, &mut keys, &terminal)?;
            terminals.insert(terminal.name.clone(), terminal);
        }
    }
    Ok(terminals)
}

fn site_terminals(described: &Described) -> Result<Vec<Terminal>, ConfigError> {
    let site = Arc::new(resolve(described)?);
    let mut ids = BTreeSet::new();
    let mut terminals = Vec::new();
    for (index, terminal) in described.site.terminals.iter().enumerate() {
        if !ids.insert(&terminal.id) {
            let reason = format!("'{}' is listed twice", terminal.id);
            return Err(field(
                described,
                terminal_field(index, "id"),
                reason,
                "rename one",
            ));
        }
        check_devices(described, index, terminal)?;
        terminals.push(registered(&site, terminal));
    }
    match terminals.first() {
        Some(terminal) => check_fits(described, terminal)?,
        None => {
            return Err(field(
                described,
                "terminals",
                "there is none",
                "add [[terminals]]",
            ));
        }
    }
    Ok(terminals)
}

fn resolve(described: &Described) -> Result<Site, ConfigError> {
    let site = &described.site;
    let tariff = Tariff {
        currency: site.currency,
        items: items(described)?,
        visit: visit::rates(described)?,
    };
    let lifetimes = ORDER_LIFETIME_MIN_MS..=ORDER_LIFETIME_MAX_MS;
    if !lifetimes.contains(&site.order_lifetime_ms) {
        let reason = format!("{} is not within 1 s and 1 h", site.order_lifetime_ms);
        return Err(field(
            described,
            "order_lifetime_ms",
            reason,
            "120000 is usual",
        ));
    }
    if !tariff::is_time_zone(&site.time_zone) {
        let reason = format!("'{}' is no IANA time zone", site.time_zone);
        return Err(field(
            described,
            "time_zone",
            reason,
            "write for example Asia/Shanghai",
        ));
    }
    visit::check(described, &tariff)?;
    Ok(Site {
        id: site.id.clone(),
        merchant: site.merchant.clone(),
        payee: site.payee.clone(),
        time_zone: site.time_zone.clone(),
        tariff_version: tariff.version(),
        tariff,
        order_lifetime_ms: site.order_lifetime_ms,
        gateway: site.gateway.clone(),
        identity: site.identity,
        entry: site.entry,
    })
}

fn items(described: &Described) -> Result<Vec<Item>, ConfigError> {
    let site = &described.site;
    let least = usize::from(site.visit.is_none());
    if !(least..=ITEMS_MAX).contains(&site.items.len()) {
        let reason = format!("{} items are not 1 to {ITEMS_MAX}", site.items.len());
        return Err(field(
            described,
            "items",
            reason,
            "sell less kinds of things, or any",
        ));
    }
    let mut ids = BTreeSet::new();
    let mut items = Vec::new();
    for (index, item) in site.items.iter().enumerate() {
        let wrong = |name: &str, reason: String, fix| {
            Err(field(
                described,
                format!("items[{index}].{name}"),
                reason,
                fix,
            ))
        };
        if !ids.insert(&item.id) {
            return wrong("id", format!("'{}' is listed twice", item.id), "rename one");
        }
        if item.name.in_language("en").trim().is_empty() {
            return wrong(
                "name",
                "is empty".to_owned(),
                "write for example { en = \"Wash\" }",
            );
        }
        if item.quantity_max == 0 {
            return wrong(
                "quantity_max",
                "0 can't be sold".to_owned(),
                "write 1 or more",
            );
        }
        match price::parse(&item.price, site.currency) {
            Ok(price) => items.push(priced(item, price)),
            Err(reason) => return wrong("price", reason, "write for example \"4.50\""),
        }
    }
    Ok(items)
}

fn priced(item: &site::Item, price: protocol::money::Money) -> Item {
    Item {
        id: item.id.clone(),
        name: item.name.clone(),
        price,
        quantity_max: item.quantity_max,
    }
}

fn registered(site: &Arc<Site>, terminal: &site::Terminal) -> Terminal {
    Terminal {
        name: TerminalName {
            site: site.id.clone(),
            terminal: terminal.id.clone(),
        },
        place: terminal.place.clone(),
        devices: terminal.devices.clone(),
        public_key: terminal.public_key,
        keyring: Keyring::of(terminal.public_key),
        site: Arc::clone(site),
    }
}

fn check_devices(
    described: &Described,
    index: usize,
    terminal: &site::Terminal,
) -> Result<(), ConfigError> {
    let name = || terminal_field(index, "devices");
    if terminal.devices.len() > DEVICES_MAX {
        let reason = format!("{} are more than {DEVICES_MAX}", terminal.devices.len());
        return Err(field(
            described,
            name(),
            reason,
            "switch fewer devices by one sale",
        ));
    }
    let different: BTreeSet<_> = terminal.devices.iter().collect();
    if different.len() < terminal.devices.len() {
        return Err(field(
            described,
            name(),
            "one is listed twice",
            "list each device once",
        ));
    }
    Ok(())
}

/// A key that two terminals share could speak for both, so none of them could be held to its word.
fn own_key(
    described: &Described,
    keys: &mut BTreeMap<PublicKey, TerminalName>,
    terminal: &Terminal,
) -> Result<(), ConfigError> {
    match keys.insert(terminal.public_key, terminal.name.clone()) {
        None => Ok(()),
        Some(other) => {
            let reason = format!("{} and {other} have the same key", terminal.name);
            let fix = "run `keys init` on each terminal and paste what it prints";
            Err(field(described, "terminals.public_key", reason, fix))
        }
    }
}

fn terminal_field(index: usize, name: &str) -> String {
    format!("terminals[{index}].{name}")
}

pub(super) fn field(
    described: &Described,
    field: impl Into<String>,
    reason: impl Into<String>,
    fix: &'static str,
) -> ConfigError {
    ConfigError::Field {
        origin: described.origin.clone(),
        field: field.into(),
        reason: reason.into(),
        fix,
    }
}

#[cfg(test)]
mod tests {
    use process::exit::one_line;
    use protocol::id::StoreEpoch;
    use protocol::signed::SigningKey;
    use protocol::time::Utc;

    use super::super::Registry;
    use super::*;
    use crate::site::Described;

    const SITE: &str = r#"
        id = "north"
        currency = "CNY"
        time_zone = "Asia/Shanghai"
        gateway = "mock"
        merchant = { name = "North", about = { en = "Parking" }, help = "Call 1" }
        payee = { id = "north", name = "North Ltd" }
        [[items]]
        id = "stay"
        name = { en = "Short stay" }
        price = "4.50"
        [[terminals]]
        id = "gate-1"
        place = { id = "entry", name = "Entry" }
        devices = ["gate"]
        public_key = "KEY1"
        [[terminals]]
        id = "gate-2"
        place = { id = "exit", name = "Exit" }
        public_key = "KEY2"
    "#;

    fn described(text: &str) -> Result<Vec<Described>, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let key = |seed| SigningKey::from_seed([seed; 32]).public().to_string();
        let text = text.replace("KEY1", &key(1)).replace("KEY2", &key(2));
        std::fs::write(folder.path().join("north.toml"), text).unwrap();
        let mut sites = site::read(folder.path())?;
        sites
            .iter_mut()
            .for_each(|site| site.origin = "north.toml".to_owned());
        Ok(sites)
    }

    fn error(from: &str, to: &str) -> String {
        assert!(SITE.contains(from), "{from}");
        let error = described(&SITE.replace(from, to)).and_then(|sites| Registry::build(&sites));
        let line = one_line(&error.unwrap_err());
        line[line.find("north.toml").unwrap()..].to_owned()
    }

    #[test]
    fn a_site_file_becomes_its_terminals() {
        let registry = Registry::build(&described(SITE).unwrap()).unwrap();
        let names: Vec<_> = registry
            .terminals()
            .map(|found| found.name.to_string())
            .collect();
        assert_eq!(names, ["north/gate-1", "north/gate-2"]);
        let name = "north/gate-1".parse().unwrap();
        let epoch = StoreEpoch::from_random([1; 16]);
        let config = registry.site_config(&name, 7, epoch, Utc::EPOCH).unwrap();
        assert_eq!(config.tariff.items[0].price.to_string(), "4.50 CNY");
        assert_eq!(config.tariff_version, config.tariff.version());
        assert_eq!((config.order_lifetime_ms, config.serial), (120_000, 7));
        assert_eq!(config.place.name, "Entry");
        assert_eq!(config.devices, ["gate".parse().unwrap()]);
        assert_eq!(config.aud.to_string(), "terminal:north/gate-1");
        let stranger = "north/gate-3".parse().unwrap();
        assert_eq!(registry.site_config(&stranger, 7, epoch, Utc::EPOCH), None);
    }

    #[test]
    fn a_fault_is_one_line_with_file_field_and_fix() {
        let cases = [
            (
                "4.50",
                "4.505",
                "north.toml: items[0].price: 4.505 has more decimals than CNY has (2); write for example \"4.50\"",
            ),
            (
                "gate-2",
                "gate-1",
                "north.toml: terminals[1].id: 'gate-1' is listed twice; rename one",
            ),
            (
                "KEY2",
                "KEY1",
                "north.toml: terminals.public_key: north/gate-2 and north/gate-1 have the same key; run `keys init` on each terminal and paste what it prints",
            ),
            (
                "Asia/Shanghai",
                "Bei jing",
                "north.toml: time_zone: 'Bei jing' is no IANA time zone; write for example Asia/Shanghai",
            ),
            (
                "[\"gate\"]",
                "[\"gate\", \"gate\"]",
                "north.toml: terminals[0].devices: one is listed twice; list each device once",
            ),
            (
                "gateway =",
                "order_lifetime_ms = 10\ngateway =",
                "north.toml: order_lifetime_ms: 10 is not within 1 s and 1 h; 120000 is usual",
            ),
            (
                "en = \"Short stay\"",
                "",
                "north.toml: items[0].name: is empty; write for example { en = \"Wash\" }",
            ),
            (
                "price = \"4.50\"",
                "price = 4.5",
                "north.toml: items[0].price: invalid type: floating point `4.5`, expected a string; correct the value",
            ),
            (
                "time_zone =",
                "timezone =",
                "north.toml: timezone: unknown field `timezone`, expected one of `id`, `merchant`, `payee`, `currency`, `time_zone`, `gateway`, `order_lifetime_ms`, `identity`, `entry`, `items`, `visit`, `terminals`; correct its name or remove it",
            ),
        ];
        for (from, to, line) in cases {
            assert_eq!(error(from, to), line);
        }
    }

    #[test]
    fn texts_that_fit_no_message_are_found_at_the_start() {
        let line = error("Short stay", &"long ".repeat(2_000));
        assert!(
            line.starts_with("north.toml: items: a signed paylatch.site_config.v1"),
            "{line}"
        );
    }

    #[test]
    fn a_bill_that_would_have_no_receipt_is_found_at_the_start() {
        let item = |number| {
            let name = format!("{number:0>120}");
            format!("[[items]]\nid = \"i{number}\"\nname = {{ en = \"{name}\" }}\nprice = \"1\"\n")
        };
        let items: String = (0..18).map(item).collect();
        let line = error(
            "[[terminals]]\n        id = \"gate-1\"",
            &format!("{items}[[terminals]]\nid = \"gate-1\""),
        );
        assert!(
            line.starts_with("north.toml: items: a signed paylatch.receipt.v1"),
            "{line}"
        );
    }

    #[test]
    fn one_site_has_one_file() {
        let mut twice = described(SITE).unwrap();
        twice.push(twice[0].clone());
        let line = one_line(&Registry::build(&twice).unwrap_err());
        assert_eq!(
            line,
            "north.toml: id: 'north' is described in another file too; give each site one file"
        );
    }

    #[test]
    fn an_empty_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let line = one_line(&site::read(folder.path()).unwrap_err());
        assert!(line.ends_with("no site file here; add one: deploy/platform/site.example.toml"));
    }
}
