use super::*;
use crate::desk::DeskError;
use crate::machine::view::NotConfirmedReason;

#[test]
#[expect(
    clippy::too_many_lines,
    clippy::cognitive_complexity,
    reason = "one sale, step by step, is read in one piece"
)]
fn one_sale_from_accept_to_receipt() {
    let mut world = World::ready();
    let token = world.accept();
    assert!(matches!(
        world.view(token),
        View::Choose {
            seconds_left: 45,
            ..
        }
    ));
    assert_eq!(
        world.choose(token, "wash").unwrap(),
        [
            "write order order_request",
            "note OrderRequested",
            "send order_request"
        ]
    );
    assert_eq!(world.view(token), View::Quoting);

    let request = world.last_request();
    assert_eq!(request.amount, yuan(1_200));
    assert_eq!(request.nonce_lifetime_ms, 180_000);
    let return_url = format!("http://10.0.0.1/return/{}/", request.transaction);
    assert!(request.return_url.starts_with(&return_url));
    assert_eq!(
        world.reply(PaymentReply::Quote(signed(&quote(&request)))),
        ["write taken", "ack"]
    );
    assert!(matches!(
        world.view(token),
        View::Bill {
            seconds_left: 120,
            ..
        }
    ));
    assert_eq!(
        world.go_paying(token),
        ["sync paying", "answer http://pay/1"]
    );
    assert!(matches!(
        world.view(token),
        View::Paying {
            declined: false,
            ..
        }
    ));
    assert_eq!(world.returned(&request), ["write notice", "send notice"]);
    assert!(matches!(
        world.view(token),
        View::Verifying { seconds: 0, .. }
    ));
    assert_eq!(
        world.permit(&permit(&request)),
        [
            "seal taken intent",
            "note PermitAccepted",
            "ack",
            "switch gate"
        ]
    );
    assert_eq!(world.view(token), View::Actuating);
    assert_eq!(
        world.switched(request.transaction, &[("gate", DeviceOutcome::Done)]),
        [
            "sync done result",
            "note Decided outcome: Done",
            "note SessionClosed state: \"done\"",
            "send result"
        ]
    );
    assert!(matches!(
        world.view(token),
        View::Done { receipt: None, .. }
    ));
    let result = world.results().pop().unwrap();
    assert_eq!(
        (result.outcome, result.nonce, result.previous),
        (LinkageOutcome::Done, request.nonce, None)
    );
    let receipt = receipt(&world, &request);
    assert_eq!(
        world.reply(PaymentReply::Receipt(receipt)),
        ["write receipt taken", "ack"]
    );
    assert!(matches!(
        world.view(token),
        View::Done {
            receipt: Some(_),
            ..
        }
    ));
    let settled = Settled {
        transaction: request.transaction,
    };
    assert_eq!(
        world.reply(PaymentReply::Settled(settled)),
        ["write settled", "ack"]
    );
    assert!(matches!(
        world.view(token),
        View::Done {
            receipt: Some(_),
            ..
        }
    ));
    assert!(world.try_accept().is_ok(), "the next phone is served");
}

fn receipt(world: &World, request: &OrderRequest) -> Jws<Receipt> {
    let result = world.sent.iter().rev().find_map(|body| match body {
        Body::Linkage(LinkageMessage::Result(jws)) => Some(jws.clone()),
        _ => None,
    });
    let quote = quote(request);
    signed(&Receipt {
        aud: ours(),
        terminal: name(),
        transaction: request.transaction,
        session: request.session,
        merchant: "North".to_owned(),
        payee: quote.payee,
        place: quote.place,
        lines: vec![],
        amount: quote.amount,
        ground: permit(request).ground,
        payment: None,
        result: result.unwrap(),
        devices: vec![gate()],
        tariff_version: None,
        time_zone: None,
        previous: None,
        issued_at: Utc::EPOCH,
    })
}

#[test]
fn a_bill_of_nothing_needs_no_payment_server() {
    let mut world = World::ready();
    let sale = world.quoted("gift");
    let words = world.go_paying(sale.token);
    let page = format!("answer http://10.0.0.1/s/{}", sale.token);
    assert_eq!(words, ["sync paying", "write notice", &page, "send notice"]);
    let mut permit = permit(&sale.request);
    permit.ground = Ground::ZeroBill {
        tariff_version: tariff().version(),
    };
    world.permit(&permit);
    assert_eq!(world.switched, [sale.request.transaction]);
}

#[test]
fn a_choice_that_cannot_be_billed_leaves_the_payer_choosing() {
    let mut world = World::ready();
    let token = world.accept();
    let refused = world.choose(token, "unknown");
    assert!(matches!(refused, Err(DeskError::Choice { .. })));
    assert!(matches!(world.view(token), View::Choose { .. }));
    assert!(world.choose(token, "wash").is_ok());
    assert_eq!(world.choose(token, "wash"), Err(DeskError::Conflict));
}

#[test]
fn a_declined_payer_may_try_again_on_the_same_order() {
    let mut world = World::ready();
    let sale = world.paying();
    world.returned(&sale.request);
    let standing = PaymentStanding {
        transaction: sale.request.transaction,
        standing: Standing::Declined,
    };
    assert_eq!(world.reply(PaymentReply::Standing(standing)), ["ack"]);
    assert!(matches!(
        world.view(sale.token),
        View::Verifying { declined: true, .. }
    ));
    assert_eq!(world.go_paying(sale.token), ["answer http://pay/1"]);
    assert!(matches!(
        world.view(sale.token),
        View::Paying { declined: true, .. }
    ));
}

#[test]
fn an_order_that_the_platform_refuses_is_said_plainly() {
    let mut world = World::ready();
    let token = world.accept();
    world.choose(token, "wash").unwrap();
    let refused = OrderRefused {
        transaction: world.last_request().transaction,
        reason: OrderRefusal::TariffVersion,
    };
    assert_eq!(
        world.reply(PaymentReply::Refused(refused)),
        [
            "note OrderRefused reason: TariffVersion",
            "write over taken",
            "note SessionClosed state: \"unavailable\"",
            "ack",
        ]
    );
    assert!(matches!(world.view(token), View::Unavailable { .. }));
    assert!(world.try_accept().is_ok());
}

#[test]
fn quotes_that_nobody_asked_for_are_refused() {
    let mut world = World::ready();
    let token = world.accept();
    world.choose(token, "wash").unwrap();
    let request = world.last_request();
    let mut other = quote(&request);
    other.nonce = Nonce::from_random([0; 16]);
    let mut foreign = quote(&request);
    foreign.transaction = TransactionId::from_random([0; 16]);
    for quote in [other, foreign] {
        assert_eq!(
            world.reply(PaymentReply::Quote(signed(&quote))),
            [
                "note MessageRefused kind: \"quote\" reason: \"not_asked\"",
                "ack"
            ]
        );
    }
    let forged = sign(&SigningKey::from_seed([9; 32]), &quote(&request)).unwrap();
    assert_eq!(
        world.reply(PaymentReply::Quote(forged)),
        [
            "note MessageRefused kind: \"quote\" reason: \"unknown_key\"",
            "ack"
        ]
    );
    assert_eq!(world.view(token), View::Quoting);
}

#[test]
fn off_withdraws_the_request_and_switches_idle_devices_off() {
    let mut world = World::ready();
    let sale = world.paying();
    assert_eq!(
        world.off(&off(&sale.request, OffReason::Declined)),
        [
            "sync done result",
            "note Decided outcome: Refused reason: Withdrawn",
            "note Withdrawn",
            "note SessionClosed state: \"not_confirmed\"",
            "off gate",
            "ack",
            "send result",
        ]
    );
    assert_eq!(
        world.view(sale.token),
        View::NotConfirmed {
            reason: NotConfirmedReason::Off(OffReason::Declined),
            refund: None
        }
    );
    assert_eq!(
        world.permit(&permit(&sale.request)),
        [
            "note PermitRefused reason: AlreadyDecided",
            "ack",
            "send result"
        ]
    );
    assert_eq!(world.switched, []);
}

#[test]
fn off_never_cuts_the_run_of_another_customer() {
    let mut world = World::ready();
    let first = world.paying();
    world.permit(&permit(&first.request));
    world.switched(first.request.transaction, &[("gate", DeviceOutcome::Done)]);
    world.pass(Duration::from_secs(30));
    world.probe(DeviceState::On);
    let second = world.paying();
    let words = world.off(&off(&second.request, OffReason::Expired));
    assert!(!words.contains(&"off gate".to_owned()), "{words:?}");
    assert_eq!(words.last().unwrap(), "send result");
}

#[test]
fn off_for_another_nonce_or_a_finished_sale_changes_nothing() {
    let mut world = World::ready();
    let sale = world.paying();
    let mut other = off(&sale.request, OffReason::Expired);
    other.nonce = Nonce::from_random([0; 16]);
    assert_eq!(
        world.off(&other),
        ["note MessageRefused kind: \"off\" reason: \"nonce\"", "ack"]
    );
    world.permit(&permit(&sale.request));
    assert_eq!(world.off(&off(&sale.request, OffReason::Expired)), ["ack"]);
    world.switched(sale.request.transaction, &[("gate", DeviceOutcome::Done)]);
    assert_eq!(
        world.off(&off(&sale.request, OffReason::Expired)),
        ["ack", "send result"]
    );
    assert_eq!(world.outcomes(), [LinkageOutcome::Done; 2]);
}

#[test]
fn the_first_device_decides_and_service_in_part_is_uncertain() {
    use DeviceOutcome::{Done, Failed, Skipped, Uncertain};
    let partial = LinkageOutcome::Uncertain {
        reason: UncertainReason::Partial,
    };
    let silent = LinkageOutcome::Uncertain {
        reason: UncertainReason::NoFeedback,
    };
    let rows = [
        (vec![("gate", Done), ("light", Done)], LinkageOutcome::Done),
        (vec![("gate", Done), ("light", Failed)], partial),
        (
            vec![("gate", Failed), ("light", Skipped)],
            LinkageOutcome::Failed,
        ),
        (vec![("gate", Failed), ("light", Done)], partial),
        (vec![("gate", Uncertain), ("light", Skipped)], silent),
        (vec![], LinkageOutcome::Done),
    ];
    for (results, expected) in rows {
        let mut world = World::ready();
        let sale = world.paying();
        world.permit(&permit(&sale.request));
        world.switched(sale.request.transaction, &results);
        assert_eq!(world.outcomes(), [expected], "{results:?}");
    }
}

#[test]
fn devices_that_never_answer_leave_an_uncertain_result() {
    let mut world = World::ready();
    let sale = world.paying();
    world.permit(&permit(&sale.request));
    world.pass(Duration::from_secs(61));
    let reason = UncertainReason::WriteInterrupted;
    assert_eq!(world.outcomes()[0], LinkageOutcome::Uncertain { reason });
    let late = world.switched(sale.request.transaction, &[("gate", DeviceOutcome::Done)]);
    assert_eq!(late, Vec::<String>::new());
}
