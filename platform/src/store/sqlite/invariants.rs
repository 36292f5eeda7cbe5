//! The invariants that a store can know, as queries. Each gives the rows that break it: what it is
//! about, and what is wrong with it.
//!
//! I12 (one phone at a time) is known by a terminal alone. The chain of I8 is computed in
//! [`super::chain`], and unreadable rows are found by reading them.
//!
//! A `+` before a column keeps an index away that would read all lines of a payment server, or
//! all sales that are done. `WITHIN(column)` limits a query to the transactions under examination; `:now` is the wall clock
//! in milliseconds, for ages alone.

/// One query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Check {
    pub(super) invariant: &'static str,
    /// What is broken when it finds a row.
    pub(super) rule: &'static str,
    pub(super) query: &'static str,
    /// Whether it looks at everything however it is limited: only for a full audit.
    pub(super) is_full_only: bool,
}

const fn check(invariant: &'static str, rule: &'static str, query: &'static str) -> Check {
    Check {
        invariant,
        rule,
        query,
        is_full_only: false,
    }
}

const fn full_only(check: Check) -> Check {
    Check {
        is_full_only: true,
        ..check
    }
}

pub(super) const CHECKS: &[Check] = &[
    check("I1", "debits and credits of an entry differ", UNBALANCED),
    check("I1", "debits and credits of a currency differ", BALANCES),
    full_only(check(
        "I1",
        "a running balance is not the sum of the ledger",
        DRIFTED,
    )),
    check(
        "I2",
        "a confirmed transaction has no end and nobody who decides",
        UNENDED,
    ),
    check(
        "I2",
        "a transaction is done with nothing earned or lost",
        DONE_FOR_NOTHING,
    ),
    check("I2", "a review has no owner or no due time", ENDLESS_REVIEW),
    check("I3", "a permit has no ground", GROUNDLESS),
    check(
        "I3",
        "money of another currency was earned",
        FOREIGN_CURRENCY,
    ),
    check(
        "I4",
        "a payment belongs to several transactions",
        SHARED_PAYMENTS,
    ),
    check(
        "I4",
        "several payments of a transaction were earned",
        KEPT_TWICE,
    ),
    check(
        "I4",
        "a transaction was permitted on several grounds",
        GROUNDS,
    ),
    check(
        "I5",
        "what went back is not between nothing and what came in",
        REFUNDED_ROWS,
    ),
    check(
        "I5",
        "the ledger returned more of a payment than it received",
        OVER_REFUNDED,
    ),
    check(
        "I6",
        "suspense is not between nothing and what came in",
        SUSPENSE_RANGE,
    ),
    check(
        "I6",
        "a transaction is over with money in suspense",
        SUSPENSE_LEFT,
    ),
    check("I7", "a transaction is not over long past its limit", STUCK),
    check("I7", "a review is overdue", OVERDUE_REVIEWS),
    check("I7", "a task is overdue", OVERDUE_TASKS),
    check(
        "I9",
        "a payment's balance is not what its statement lines add up to",
        RECEIVABLE,
    ),
    check(
        "I9",
        "a line that settles money is not booked",
        UNBOOKED_LINES,
    ),
    check(
        "I10",
        "an unknown call has no answer and nobody who decides",
        UNKNOWN,
    ),
    check(
        "I10",
        "a refund was sent, and nobody waits for its answer",
        UNKNOWN_REFUNDS,
    ),
    check("I11", "a session has several open orders", OPEN_ORDERS),
    check(
        "I13",
        "a line differs from our books and is in nobody's work list",
        UNSEEN_LINES,
    ),
    check(
        "I13",
        "no line names a payment of ours, and it is in nobody's work list",
        UNSEEN_PAYMENTS,
    ),
    check("I14", "a permit follows a refund", ON_AFTER_REFUND),
    check("unreadable", "a document is no JSON", NO_JSON),
    check("unreadable", "an event is no JSON", NO_JSON_EVENT),
];

const UNBALANCED: &str = "
    SELECT coalesce(lower(hex(l.transaction_id)), l.gateway || ' line ' || l.line),
        'debits ' || sum(l.debit_minor) || ', credits ' || sum(l.credit_minor) || ' ' || l.currency
    FROM ledger l WHERE WITHIN(l.transaction_id)
    GROUP BY l.transaction_id, iif(l.transaction_id IS NULL, l.gateway || l.line, NULL), l.currency
    HAVING sum(l.debit_minor) <> sum(l.credit_minor)";

const BALANCES: &str = "
    SELECT currency, 'debits ' || sum(debit_minor) || ', credits ' || sum(credit_minor)
    FROM balances GROUP BY currency HAVING sum(debit_minor) <> sum(credit_minor)";

/// From both sides.
const DRIFTED: &str = "
    WITH sums AS (SELECT account, currency, sum(debit_minor) AS debit, sum(credit_minor) AS credit
        FROM ledger GROUP BY account, currency)
    SELECT account || ' ' || currency, 'kept is ' || debit_minor || ' / ' || credit_minor FROM (
        SELECT account, currency, debit_minor, credit_minor FROM balances
        EXCEPT SELECT account, currency, debit, credit FROM sums)
    UNION ALL
    SELECT account || ' ' || currency, 'summed is ' || debit || ' / ' || credit FROM (
        SELECT account, currency, debit, credit FROM sums
        EXCEPT SELECT account, currency, debit_minor, credit_minor FROM balances)";

/// A day: the longest order lives for an hour, and every wait after it ends within two.
const UNENDED: &str = "
    SELECT lower(hex(t.id)), 'is ' || t.state || ' after a day' FROM transactions t
    WHERE t.state IN ('confirmed', 'commanded', 'linkage_unknown')
        AND t.created_at < :now - 86400000 AND WITHIN(t.id)";

const DONE_FOR_NOTHING: &str = "
    SELECT lower(hex(t.id)), 'is done at ' || t.minor || ' ' || t.currency FROM transactions t
    WHERE +t.state = 'done' AND t.minor > 0 AND WITHIN(t.id)
        AND NOT EXISTS (SELECT 1 FROM ledger l
            WHERE l.transaction_id = t.id AND l.kind IN ('earned', 'lost'))
        AND NOT EXISTS (SELECT 1 FROM events e
            WHERE e.transaction_id = t.id AND e.kind = 'permit' AND json_valid(e.detail)
                AND json_extract(e.detail, '$.ground.kind') = 'operator')";

const ENDLESS_REVIEW: &str = "
    SELECT lower(hex(t.id)), 'waits for nobody, or for ever' FROM transactions t
    WHERE t.state = 'review' AND WITHIN(t.id) AND json_valid(t.document)
        AND NOT EXISTS (SELECT 1 FROM json_each(
                iif(json_valid(t.document), t.document, '{}'), '$.transaction.reviews') j
            WHERE json_extract(j.value, '$.owner') IS NOT NULL
                AND unixepoch(json_extract(j.value, '$.due_at')) IS NOT NULL)";

const GROUNDLESS: &str = "
    SELECT lower(hex(e.transaction_id)), 'event ' || e.sequence || ': ' || e.detail FROM events e
    WHERE e.kind = 'permit' AND WITHIN(e.transaction_id) AND json_valid(e.detail)
        AND NOT coalesce(CASE json_extract(e.detail, '$.ground.kind')
            WHEN 'paid' THEN EXISTS (SELECT 1 FROM payments p
                JOIN transactions t ON t.id = p.transaction_id
                WHERE p.transaction_id = e.transaction_id
                    AND lower(hex(p.id)) = json_extract(e.detail, '$.ground.payment')
                    AND p.minor = t.minor AND p.currency = t.currency
                    AND iif(json_valid(t.document),
                        p.payee = json_extract(t.document, '$.facts.payee.id'), 1))
            WHEN 'zero_bill' THEN EXISTS (SELECT 1 FROM transactions t
                WHERE t.id = e.transaction_id AND t.minor = 0)
            WHEN 'entry_visit' THEN json_extract(e.detail, '$.ground.visit') IS NOT NULL
            WHEN 'operator' THEN length(json_extract(e.detail, '$.ground.name')) > 0
                AND length(json_extract(e.detail, '$.ground.reason')) > 0
        END, 0)";

const FOREIGN_CURRENCY: &str = "
    SELECT DISTINCT lower(hex(t.id)), 'earned ' || l.currency || ', not ' || t.currency
    FROM ledger l JOIN transactions t ON t.id = l.transaction_id
    WHERE l.kind = 'earned' AND l.currency <> t.currency AND WITHIN(l.transaction_id)";

const SHARED_PAYMENTS: &str = "
    SELECT lower(hex(p.transaction_id)), 'payment ' || lower(hex(p.id)) || ' of ' || p.gateway
    FROM payments p WHERE WITHIN(p.transaction_id) AND EXISTS (SELECT 1 FROM payments q
        WHERE q.gateway = p.gateway AND q.id = p.id AND q.transaction_id <> p.transaction_id)";

const KEPT_TWICE: &str = "
    SELECT lower(hex(transaction_id)), count(*) || ' payments' FROM (
        SELECT l.transaction_id, l.payment FROM ledger l
        WHERE l.kind IN ('earned', 'unearned') AND WITHIN(l.transaction_id)
        GROUP BY l.transaction_id, l.payment
        HAVING sum(iif(l.kind = 'earned', l.debit_minor, -l.debit_minor)) > 0)
    GROUP BY transaction_id HAVING count(*) > 1";

const GROUNDS: &str = "
    SELECT lower(hex(e.transaction_id)),
        group_concat(DISTINCT json_extract(e.detail, '$.ground.kind'))
    FROM events e WHERE e.kind = 'permit' AND WITHIN(e.transaction_id) AND json_valid(e.detail)
    GROUP BY e.transaction_id HAVING count(DISTINCT json_extract(e.detail, '$.ground')) > 1";

const REFUNDED_ROWS: &str = "
    SELECT lower(hex(p.transaction_id)),
        'payment ' || lower(hex(p.id)) || ': ' || p.refunded_minor || ' of ' || p.minor
    FROM payments p WHERE p.refunded_minor NOT BETWEEN 0 AND p.minor AND WITHIN(p.transaction_id)";

const OVER_REFUNDED: &str = "
    SELECT lower(hex(l.transaction_id)), 'payment ' || lower(hex(l.payment)) || ': '
        || total(iif(l.kind = 'refund_failed_later', -l.debit_minor,
            iif(l.kind = 'received', 0, l.debit_minor)))
        || ' of ' || total(iif(l.kind = 'received', l.debit_minor, 0))
    FROM ledger l WHERE WITHIN(l.transaction_id) AND l.kind IN ('received', 'refunded',
        'refund_failed_later', 'refunded_outside', 'lost_outside', 'dispute_lost')
    GROUP BY l.transaction_id, l.payment, l.currency
    HAVING sum(iif(l.kind IN ('received', 'refund_failed_later'),
        l.debit_minor, -l.debit_minor)) < 0
        OR sum(iif(l.kind = 'received', 0,
            iif(l.kind = 'refund_failed_later', -l.debit_minor, l.debit_minor))) < 0";

const SUSPENSE_RANGE: &str = "
    SELECT lower(hex(l.transaction_id)), sum(l.credit_minor - l.debit_minor) || ' in suspense of '
        || sum(iif(l.kind = 'received', l.credit_minor, 0)) || ' ' || l.currency
    FROM ledger l WHERE l.account = 'suspense' AND WITHIN(l.transaction_id)
    GROUP BY l.transaction_id, l.currency
    HAVING sum(l.credit_minor - l.debit_minor) NOT BETWEEN 0
        AND sum(iif(l.kind = 'received', l.credit_minor, 0))";

const SUSPENSE_LEFT: &str = "
    SELECT lower(hex(t.id)), (SELECT sum(l.credit_minor - l.debit_minor) FROM ledger l
        WHERE l.transaction_id = t.id AND l.account = 'suspense') || ' in suspense'
    FROM transactions t WHERE t.open = 0 AND WITHIN(t.id)
        AND 0 < (SELECT sum(l.credit_minor - l.debit_minor) FROM ledger l
            WHERE l.transaction_id = t.id AND l.account = 'suspense')";

/// A day for everything but a refund on which the payment server works: seven.
const STUCK: &str = "
    SELECT lower(hex(t.id)), 'is still ' || t.state FROM transactions t
    WHERE WITHIN(t.id) AND t.open = 1 AND (
        t.state IN ('created', 'awaiting_payment', 'confirming', 'closing')
            AND t.created_at < :now - 86400000
        OR t.state = 'refund_pending' AND t.created_at < :now - 604800000)";

const OVERDUE_REVIEWS: &str = "
    SELECT lower(hex(t.id)), json_extract(j.value, '$.reason') || ' of '
        || json_extract(j.value, '$.owner') || ' was due at ' || json_extract(j.value, '$.due_at')
    FROM transactions t, json_each(iif(json_valid(t.document), t.document, '{}'),
        '$.transaction.reviews') j
    WHERE t.open = 1 AND WITHIN(t.id)
        AND unixepoch(json_extract(j.value, '$.due_at')) * 1000 < :now";

const OVERDUE_TASKS: &str = "
    SELECT id, kind || ' ' || subject || ' of ' || owner FROM tasks
    WHERE resolved_at IS NULL AND due_at < :now";

/// Only once the sale is over, all lines of the payment are final, nobody looks at it, and nothing
/// of it is younger than what the statement covers.
const RECEIVABLE: &str = "
    WITH listed AS (SELECT p.transaction_id, p.id, p.gateway,
            (SELECT sum(s.minor) FROM statement_lines s
                WHERE s.payment = p.id AND +s.gateway = p.gateway
                    AND s.kind IN ('payment', 'refund', 'dispute')) AS theirs,
            (SELECT sum(l.debit_minor - l.credit_minor) FROM ledger l
                WHERE l.transaction_id = p.transaction_id AND l.payment = p.id
                    AND l.account = 'gateway_receivable' AND l.line IS NULL) AS ours,
            (SELECT max(l.at) FROM ledger l
                WHERE l.transaction_id = p.transaction_id AND l.payment = p.id) AS moved_at
        FROM payments p JOIN transactions t ON t.id = p.transaction_id
        WHERE t.open = 0 AND WITHIN(p.transaction_id))
    SELECT lower(hex(d.transaction_id)),
        'payment ' || lower(hex(d.id)) || ': ours ' || d.ours || ', theirs ' || d.theirs
    FROM listed d JOIN reconciliations c ON c.gateway = d.gateway
    WHERE d.theirs IS NOT NULL AND d.ours IS NOT NULL AND d.theirs <> d.ours
        AND json_valid(c.document)
        AND d.moved_at < json_extract(c.document, '$.settled_until_ms')
        AND NOT EXISTS (SELECT 1 FROM statement_lines s
            WHERE s.payment = d.id AND +s.gateway = d.gateway AND s.pending = 1)
        AND NOT EXISTS (SELECT 1 FROM tasks k WHERE k.transaction_id = d.transaction_id)";

const UNBOOKED_LINES: &str = "
    SELECT s.gateway || ' line ' || s.sequence, s.kind || ' of ' || s.minor || ' ' || s.currency
    FROM statement_lines s WHERE s.kind IN ('fee', 'payout') AND s.minor <> 0
        AND WITHIN(s.order_id) AND NOT EXISTS (SELECT 1 FROM ledger l
            WHERE l.gateway = s.gateway AND l.line = s.sequence)";

const UNKNOWN: &str = "
    SELECT lower(hex(t.id)), 'the order is unknown and the sale is ' || t.state
    FROM transactions t JOIN orders o ON o.id = t.id
    WHERE o.state = 'unknown' AND t.open = 0 AND WITHIN(t.id)";

const UNKNOWN_REFUNDS: &str = "
    SELECT lower(hex(t.id)), 'refund ' || lower(hex(r.id)) || ' is ' || r.status
    FROM transactions t JOIN refunds r ON r.transaction_id = t.id
    WHERE r.status IN ('requested', 'sent', 'pending') AND t.open = 0 AND WITHIN(t.id)";

const OPEN_ORDERS: &str = "
    SELECT t.terminal || ' session ' || lower(hex(t.session)), count(*) || ' open orders'
    FROM transactions t WHERE t.open = 1 AND WITHIN(t.id)
        AND t.state IN ('created', 'awaiting_payment', 'confirming')
        AND iif(json_valid(t.document),
            json_extract(t.document, '$.transaction.ending') IS NULL, 0)
    GROUP BY t.terminal, t.session HAVING count(*) > 1";

const UNSEEN_LINES: &str = "
    SELECT s.gateway || ' line ' || s.sequence, s.kind || ' is ' || s.finding
    FROM statement_lines s WHERE WITHIN(s.order_id) AND s.pending = 0
        AND s.finding NOT IN ('matched', 'booked')
        AND NOT EXISTS (SELECT 1 FROM tasks k
            WHERE k.subject = 'line:' || s.gateway || '/' || s.sequence)";

const UNSEEN_PAYMENTS: &str = "
    SELECT lower(hex(p.transaction_id)), 'payment ' || lower(hex(p.id)) || ' of ' || p.gateway
    FROM payments p JOIN reconciliations c ON c.gateway = p.gateway
    WHERE WITHIN(p.transaction_id) AND json_valid(c.document)
        AND p.received_at < json_extract(c.document, '$.settled_until_ms')
        AND NOT EXISTS (SELECT 1 FROM statement_lines s
            WHERE s.payment = p.id AND s.kind = 'payment' AND +s.gateway = p.gateway)
        AND NOT EXISTS (SELECT 1 FROM tasks k
            WHERE k.kind = 'missing_there' AND k.subject = 'payment:' || lower(hex(p.id)))";

const ON_AFTER_REFUND: &str = "
    SELECT lower(hex(e.transaction_id)), 'event ' || e.sequence || ' follows a refund'
    FROM events e WHERE e.kind = 'permit' AND WITHIN(e.transaction_id)
        AND EXISTS (SELECT 1 FROM events r WHERE r.transaction_id = e.transaction_id
            AND r.sequence < e.sequence AND r.kind = 'refund' AND json_valid(r.detail)
            AND json_extract(r.detail, '$.to') = 'sent'
            AND json_extract(r.detail, '$.payment') = coalesce(
                json_extract(e.detail, '$.ground.payment'), json_extract(r.detail, '$.payment')))";

const NO_JSON: &str = "
    SELECT lower(hex(t.id)), 'document of ' || length(t.document) || ' characters'
    FROM transactions t WHERE NOT json_valid(t.document) AND WITHIN(t.id)";

const NO_JSON_EVENT: &str = "
    SELECT lower(hex(e.transaction_id)), 'event ' || e.sequence FROM events e
    WHERE NOT json_valid(e.detail) AND WITHIN(e.transaction_id)";
