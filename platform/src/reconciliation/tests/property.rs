//! However it is disturbed, the result is that of one fresh comparison.

use proptest::prelude::*;

use super::*;

/// A statement and books that agree and differ in every way.
fn world() -> impl Strategy<Value = (Vec<StatementLine>, Vec<OrderBook>)> {
    let kinds = prop::sample::select(vec![
        StatementKind::Payment,
        StatementKind::Refund,
        StatementKind::Dispute,
        StatementKind::Fee,
        StatementKind::Payout,
    ]);
    let minors = prop::sample::select(vec![450, -450, 449, -5]);
    let lines = prop::collection::vec((kinds, 1..6_u8, minors, any::<bool>()), 0..40);
    let status = prop::sample::select(vec!["succeeded", "failed", "sent"]);
    let books = prop::collection::vec((any::<bool>(), prop::option::of(status)), 5);
    (lines, books).prop_map(|(lines, books)| {
        let lines = lines.into_iter().zip(1_u64..);
        let lines = lines.map(|((kind, number, minor, is_young), sequence)| {
            let line = line(sequence, kind, number, minor);
            if is_young { young(line) } else { line }
        });
        let books = books.into_iter().zip(1_u8..);
        let books = books.map(|((is_paid, status), number)| {
            let payments = if is_paid { vec![paid(number)] } else { vec![] };
            let refunds = status.map(|status| returned(number, status));
            book(number, payments, refunds.into_iter().collect())
        });
        (lines.collect(), books.collect())
    })
}

proptest! {
    /// However the statement is cut into pages, whenever the process is killed, and however often
    /// an answer comes: lines, tasks and postings are those of one undisturbed comparison.
    #[test]
    fn whatever_happens_the_result_is_that_of_a_fresh_comparison(
        (statement, books) in world(),
        page_sizes in prop::collection::vec(1..25_usize, 1..40),
        restarts in prop::collection::vec(prop::bool::weighted(0.2), 120),
    ) {
        let mut fresh = Bench::new(statement.clone(), books.clone());
        fresh.run();
        fresh.run();

        let mut bench = Bench::new(statement, books);
        let mut sizes = page_sizes.into_iter().cycle();
        for is_killed in restarts {
            bench.page_size = sizes.next().unwrap_or(24);
            let asked = bench.asked;
            bench.step();
            if is_killed {
                // Nothing of the step was committed.
                bench.restart();
                continue;
            }
            bench.commit();
            if let Some((_, nonce)) = asked {
                let again = bench.page(0);
                prop_assert!(!bench.answer(nonce, GatewayResult::Statement(again)));
            }
        }
        bench.run();
        bench.run();
        let findings = |bench: &Bench| {
            let of = |row: &LineRow| (row.line.sequence, row.finding.clone(), row.is_pending);
            bench.lines.values().map(of).collect::<Vec<_>>()
        };
        prop_assert_eq!(findings(&bench), findings(&fresh));
        prop_assert_eq!(bench.open_tasks(), fresh.open_tasks());
        prop_assert_eq!(bench.postings, fresh.postings);
    }
}
