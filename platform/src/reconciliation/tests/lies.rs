//! Payment servers that lie, are silent or never end.

use protocol::message::GatewayRefusal;

use super::*;

#[test]
fn a_statement_that_lies_is_survived_and_named() {
    use StatementKind::Payment;
    let lines = |numbers: &[u64]| numbers.iter().map(|n| line(*n, Payment, 1, 450)).collect();
    let page = |numbers: &[u64], next, more| StatementPage {
        lines: lines(numbers),
        next,
        more,
    };
    let many: Vec<u64> = (6..31).collect();
    let rows = [
        (page(&[], 4, false), Fault::CursorBack),
        (page(&[], 5, true), Fault::NoProgress),
        (page(&[5], 6, false), Fault::Disorder),
        (page(&[7, 7], 7, false), Fault::Disorder),
        (page(&[7, 6], 7, false), Fault::Disorder),
        (page(&[9], 8, false), Fault::Beyond),
        (page(&[], u64::MAX, false), Fault::Beyond),
        (page(&many, 30, false), Fault::TooManyLines),
    ];
    for (page, fault) in rows {
        let statement = lines(&[1, 5]);
        let mut bench = Bench::new(statement, vec![book(1, vec![paid(1)], vec![])]);
        bench.run();
        let before = (bench.kept.clone(), bench.lines.clone());
        (bench.completed, bench.faults) = (0, vec![]);
        assert!(bench.step());
        bench.commit();
        let (after, nonce) = bench.asked.take().unwrap();
        assert_eq!(after, 5);
        assert!(bench.answer(nonce, GatewayResult::Statement(page)));
        bench.commit();
        assert_eq!(bench.faults, [fault]);
        assert_eq!((bench.kept.clone(), bench.lines.clone()), before);
        let subject = format!("statement:mock/{}", fault.as_str());
        let task = ("statement_fault".to_owned(), subject);
        assert!(bench.open_tasks().contains(&task), "{:?}", bench.tasks);
        // The next run begins where the last honest page ended.
        bench.run();
        assert_eq!((bench.completed, &bench.faults[..]), (1, &[][..]));
    }
}

#[test]
fn silence_and_refusal_end_a_run_and_other_answers_are_not_taken() {
    let mut bench = Bench::new(vec![], vec![]);
    for _ in 0..3 {
        assert!(bench.step());
        bench.commit();
        let (_, nonce) = bench.asked.take().unwrap();
        let stranger = Nonce::from_random([99; 16]);
        assert_ne!(nonce, stranger);
        let empty = bench.page(0);
        assert!(!bench.answer(stranger, GatewayResult::Statement(empty)));
        let due = bench.machine.poll_timeout().unwrap().as_millis();
        bench.seconds = due.div_ceil(1_000);
    }
    assert!(bench.step());
    bench.commit();
    assert_eq!(
        (&bench.faults[..], bench.asked),
        (&[Fault::Silent][..], None)
    );
    assert_eq!(bench.tasks.len(), 0);

    bench.faults.clear();
    assert!(bench.step());
    bench.commit();
    let (_, nonce) = bench.asked.take().unwrap();
    assert!(bench.answer(nonce, GatewayResult::Refused(GatewayRefusal::Malformed)));
    bench.commit();
    assert_eq!(bench.faults, [Fault::Refused]);
}

#[test]
fn a_statement_without_end_gives_way_to_sales() {
    let mut bench = Bench::new(vec![], vec![book(1, vec![paid(1)], vec![])]);
    assert!(bench.step());
    bench.commit();
    for pages in 1..=PAGES_MAX {
        let (after, nonce) = bench.asked.take().unwrap();
        let page = StatementPage {
            lines: vec![line(after + 1, StatementKind::Fee, 1, -1)],
            next: after + 1,
            more: true,
        };
        assert!(bench.answer(nonce, GatewayResult::Statement(page)));
        bench.commit();
        assert_eq!(bench.asked.is_some(), pages < PAGES_MAX);
    }
    let pause = bench.now().tick + CUT_PAUSE;
    assert_eq!(bench.machine.poll_timeout(), Some(pause));
}

#[test]
fn a_run_with_too_many_differences_stops() {
    let statement = (1..=1_200_u64)
        .map(|sequence| line(sequence, StatementKind::Dispute, 200, -1))
        .collect();
    let mut bench = Bench::new(statement, vec![]);
    bench.run();
    assert_eq!(bench.faults, [Fault::TooManyDifferences]);
    let tasks = u32::try_from(bench.tasks.len()).unwrap();
    let most = DIFFERENCES_MAX + u32::from(STATEMENT_LINES_MAX) + 1;
    assert!((DIFFERENCES_MAX..=most).contains(&tasks), "{tasks}");
}
