//! What a platform says, signed by a platform's key.

use super::*;

pub(crate) const PLATFORM_SEED: [u8; 32] = [1; 32];
pub(crate) const TERMINAL_SEED: [u8; 32] = [2; 32];

pub(crate) fn name() -> TerminalName {
    "north/gate-1".parse().unwrap()
}

pub(crate) fn ours() -> Audience {
    Audience::terminal(name())
}

pub(crate) fn yuan(minor: i64) -> Money {
    Money::new(minor, "CNY".parse().unwrap()).unwrap()
}

pub(crate) fn gate() -> DeviceId {
    "gate".parse().unwrap()
}

pub(crate) fn signed<T: Claims>(claims: &T) -> Jws<T> {
    sign(&SigningKey::from_seed(PLATFORM_SEED), claims).unwrap()
}

pub(crate) fn tariff() -> Tariff {
    let item = |id: &str, price| Item {
        id: id.parse().unwrap(),
        name: Text::english(id),
        price: yuan(price),
        quantity_max: 3,
    };
    Tariff {
        currency: "CNY".parse().unwrap(),
        items: vec![item("wash", 1_200), item("gift", 0)],
        visit: None,
    }
}

pub(crate) fn site_config(serial: u64) -> SiteConfig {
    SiteConfig {
        aud: ours(),
        merchant: Merchant {
            name: "North".to_owned(),
            about: Text::english("Washing"),
            help: "555".to_owned(),
        },
        payee: payee(),
        place: place(),
        time_zone: "Asia/Shanghai".to_owned(),
        tariff: tariff(),
        tariff_version: tariff().version(),
        devices: vec![gate()],
        order_lifetime_ms: 120_000,
        identity: IdentityPolicy::Off,
        entry: EntryPolicy::None,
        store_epoch: StoreEpoch::from_random([5; 16]),
        serial,
        issued_at: Utc::EPOCH,
    }
}

fn payee() -> Payee {
    Payee {
        id: "north-ltd".parse().unwrap(),
        name: "North Ltd".to_owned(),
    }
}

fn place() -> Place {
    Place {
        id: "north-door".parse().unwrap(),
        name: "North door".to_owned(),
    }
}

pub(crate) fn claims<T: Claims>(jws: &Jws<T>) -> T {
    let keyring = Keyring::of(SigningKey::from_seed(TERMINAL_SEED).public());
    let platform = Audience::platform(&"main".parse().unwrap());
    protocol::signed::verify(jws, &keyring, &platform)
        .unwrap()
        .into_claims()
}

pub(crate) fn quote(request: &OrderRequest) -> Quote {
    Quote {
        aud: ours(),
        transaction: request.transaction,
        session: request.session,
        nonce: request.nonce,
        lines: vec![],
        amount: request.amount,
        payee: payee(),
        place: place(),
        gateway: "mock".parse().unwrap(),
        pay_url: if request.amount.is_zero() {
            String::new()
        } else {
            "http://pay/1".to_owned()
        },
        tariff_version: tariff().version(),
        order_lifetime_ms: 120_000,
        expires_at: Utc::EPOCH,
        issued_at: Utc::EPOCH,
        status_url: Some("https://pay.example/r/".to_owned()),
    }
}

pub(crate) fn permit(request: &OrderRequest) -> Permit {
    Permit {
        aud: ours(),
        transaction: request.transaction,
        session: request.session,
        nonce: request.nonce,
        journal: request.journal,
        devices: vec![gate()],
        ground: Ground::Paid {
            gateway: "mock".parse().unwrap(),
            payment: PaymentId::from_random([8; 16]),
            amount: request.amount,
            payee: payee().id,
        },
        store_epoch: StoreEpoch::from_random([5; 16]),
        issued_at: Utc::EPOCH,
    }
}

pub(crate) fn off(request: &OrderRequest, reason: OffReason) -> Off {
    Off {
        aud: ours(),
        transaction: request.transaction,
        nonce: request.nonce,
        devices: vec![gate()],
        reason,
        issued_at: Utc::EPOCH,
    }
}
