use super::*;
use crate::desk::DeskError;
use crate::machine::view::LandingState;

fn is_unavailable(world: &World) -> bool {
    let landing = world.terminal.landing(world.now);
    matches!(landing.state, LandingState::Unavailable { .. })
}

#[test]
fn a_failed_sync_moves_nothing_promises_nothing_and_sells_nothing_more() {
    let mut world = World::ready();
    let sale = world.paying();
    world.file.fail_sync(0);
    let words = world.permit(&permit(&sale.request));
    assert_eq!(words, ["seal intent", "note PermitAccepted", "send health"]);
    assert_eq!((world.switched.len(), world.outcomes()), (0, vec![]));
    assert!(matches!(world.try_accept(), Err(DeskError::Busy)));
    assert_eq!(
        world.inquire(TransactionId::from_random([0; 16]), world.journal_id),
        None
    );
    let mut world = world.reboot(|_| false);
    let finding = world.inquire(sale.request.transaction, world.journal_id);
    assert_eq!(finding, Some(Finding::Tombstone));
}

#[test]
fn a_terminal_whose_journal_failed_answers_no_inquiry() {
    let mut world = World::ready();
    let sale = world.paying();
    let transaction = sale.request.transaction;
    world.permit(&permit(&sale.request));
    world.file.fail_write(0);
    world.switched(transaction, &[("gate", DeviceOutcome::Done)]);
    assert_eq!(world.inquire(transaction, world.journal_id), None);
}

#[test]
fn no_sync_that_fails_lets_a_device_move_twice() {
    for n in 0..4 {
        let mut world = World::ready();
        let sale = world.quoted("wash");
        world.file.fail_sync(n);
        world.go_paying(sale.token);
        world.permit(&permit(&sale.request));
        if !world.switched.is_empty() {
            world.switched(sale.request.transaction, &[("gate", DeviceOutcome::Done)]);
        }
        let mut world = world.reboot(|index| index % 2 == 0);
        world.permit(&permit(&sale.request));
        assert!(world.switched.len() <= 1, "sync {n}");
        let finding = world.inquire(sale.request.transaction, world.journal_id);
        assert!(finding.is_some(), "sync {n}");
        let was_switched = !world.switched.is_empty();
        assert!(
            finding != Some(Finding::Tombstone) || !was_switched,
            "sync {n}"
        );
    }
}

#[test]
fn a_payer_is_not_sent_to_pay_unless_the_order_is_on_the_disk() {
    let mut world = World::ready();
    let sale = world.quoted("wash");
    world.file.fail_sync(0);
    assert_eq!(world.go_paying(sale.token), ["sync paying", "send health"]);
    assert!(is_unavailable(&world) || world.try_accept() == Err(DeskError::Busy));
}

/// A quote and a receipt as long as a signed message may be, the longest choice, all notices, a
/// start in between, and a permit that comes twice.
#[test]
fn what_the_largest_sale_writes_was_reserved() {
    use crate::machine::limits::{NOTICES_MAX, SALE_BYTES, UNDECIDED_BYTES};
    let mut world = World::ready();
    let mut config = site_config(2);
    let item = |number: usize| Item {
        id: format!("{}{number:02}", "i".repeat(30)).parse().unwrap(),
        name: Text::english("x"),
        price: yuan(100),
        quantity_max: 9,
    };
    config.tariff.items = (0..LINES_MAX).map(item).collect();
    config.tariff_version = config.tariff.version();
    let lines = config.tariff.items.iter().map(|item| ItemLine {
        item: item.id.clone(),
        quantity: 9,
    });
    let lines: Vec<_> = lines.collect();
    world.deliver(Down::Config, signed(&config));
    let token = world.accept();
    let before = world.written;
    let chosen = world
        .terminal
        .handle_choose((token, lines), world.now, &mut world.entropy);
    assert_eq!(chosen, Ok(()));
    world.drain();
    let request = world.last_request();
    let mut quote = quote(&request);
    quote.pay_url = "https://pay.example/".to_owned() + &"p".repeat(4_500);
    world.reply(PaymentReply::Quote(signed(&quote)));
    world.go_paying(token);
    let paying = world.written;
    let (switched, mut world) = (paying - before, world.reboot(|_| true));
    for _ in 0..NOTICES_MAX + 5 {
        world.view(token);
        world.stall(Duration::from_secs(3));
    }
    let asked = world.sent.iter().find_map(|body| match body {
        Body::Payment(PaymentMessage::PermitRequest(jws)) => Some(claims(jws).nonce),
        _ => None,
    });
    let mut permit = permit(&request);
    permit.nonce = asked.unwrap();
    permit.devices = vec![gate(), "light".parse().unwrap()];
    world.permit(&permit);
    let results = [
        ("gate", DeviceOutcome::Done),
        ("light", DeviceOutcome::Done),
    ];
    world.switched(request.transaction, &results);
    world.permit(&permit);
    let receipt = Record::Receipt {
        transaction: request.transaction,
        receipt: "r"
            .repeat(protocol::signed::JWS_LENGTH_MAX)
            .parse()
            .unwrap(),
    };
    let undecided = world.written + frame_size(receipt.encode().len());
    assert!(
        undecided > 10_000 && undecided <= UNDECIDED_BYTES,
        "{undecided}"
    );
    let whole = switched + undecided;
    assert!(whole > 20_000 && whole <= SALE_BYTES, "{whole}");
}

#[test]
fn a_full_journal_sells_nothing_until_sales_are_settled_and_still_serves_the_open_one() {
    let mut world = World::ready();
    let mut served = Vec::new();
    while !is_unavailable(&world) {
        let sale = world.paying();
        world.permit(&permit(&sale.request));
        let transaction = sale.request.transaction;
        world.switched(transaction, &[("gate", DeviceOutcome::Done)]);
        served.push(transaction);
        assert!(served.len() < 1_000, "the journal has an end");
        if served.len() % 8 == 0 {
            world.pass(Duration::from_secs(4));
            world.probe(DeviceState::Off);
        }
    }
    assert_eq!(world.switched, served, "every open sale found its room");
    let refused = world.try_accept();
    assert!(matches!(refused, Err(DeskError::Unavailable { .. })));
    for transaction in served {
        world.reply(PaymentReply::Settled(Settled { transaction }));
    }
    assert!(!is_unavailable(&world));
}

#[test]
fn a_damaged_journal_answers_uncertain_and_takes_no_permit() {
    let mut world = World::ready();
    let sale = world.paying();
    world.permit(&permit(&sale.request));
    world.switched(sale.request.transaction, &[("gate", DeviceOutcome::Done)]);
    let mut bytes = world.file.bytes();
    let intent = bytes.windows(8).position(|window| window == b"\"intent\"");
    bytes[intent.unwrap()] ^= 1;
    world.file = MemoryFile::of(bytes);
    let mut world = world.reboot(|_| true);
    assert!(is_unavailable(&world));
    let lost = Some(Finding::Uncertain(UncertainReason::JournalLost));
    let finding = world.inquire(sale.request.transaction, world.journal_id);
    assert_eq!(finding, lost);
    let unseen = TransactionId::from_random([0; 16]);
    assert_eq!(world.inquire(unseen, world.journal_id), lost);
    let words = world.permit(&permit(&sale.request));
    assert_eq!(words.last().unwrap(), "ack");
    assert_eq!(world.switched.len(), 1);
}
