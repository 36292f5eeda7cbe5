//! The second version: a ledger that names why each entry was made and holds what belongs to no
//! sale, statements, and the work list.

/// Entries of the first version are pairs of neighbours, the debit first: which accounts they
/// join tells why they were made.
pub(super) const SECOND: &str = "
CREATE TABLE ledger_new (
    sequence INTEGER PRIMARY KEY,
    transaction_id BLOB REFERENCES transactions (id),
    payment BLOB,
    refund BLOB,
    kind TEXT NOT NULL,
    account TEXT NOT NULL,
    debit_minor INTEGER NOT NULL CHECK (debit_minor >= 0),
    credit_minor INTEGER NOT NULL CHECK (credit_minor >= 0),
    currency TEXT NOT NULL,
    gateway TEXT,
    line INTEGER,
    at INTEGER NOT NULL,
    CHECK ((debit_minor = 0) <> (credit_minor = 0)),
    CHECK ((gateway IS NULL) = (line IS NULL)),
    CHECK (transaction_id IS NOT NULL OR line IS NOT NULL)
) STRICT;
INSERT INTO ledger_new
    SELECT l.sequence, l.transaction_id, l.payment, l.refund,
        CASE d.account || '>' || c.account || iif(l.refund IS NULL, '', '>refund')
            WHEN 'gateway_receivable>suspense' THEN 'received'
            WHEN 'suspense>merchant' THEN 'earned'
            WHEN 'suspense>gateway_receivable>refund' THEN 'refunded'
            WHEN 'gateway_receivable>suspense>refund' THEN 'refund_failed_later'
            WHEN 'suspense>gateway_receivable' THEN 'refunded_outside'
            WHEN 'loss>merchant' THEN 'lost'
            ELSE 'unknown'
        END,
        l.account, l.debit_minor, l.credit_minor, l.currency, NULL, NULL, l.at
    FROM ledger l
    LEFT JOIN ledger d ON d.sequence = l.sequence - (l.credit_minor > 0)
    LEFT JOIN ledger c ON c.sequence = l.sequence + (l.debit_minor > 0);
DROP TABLE ledger;
ALTER TABLE ledger_new RENAME TO ledger;
CREATE INDEX ledger_transaction ON ledger (transaction_id, sequence);
CREATE UNIQUE INDEX ledger_line ON ledger (gateway, line, account) WHERE line IS NOT NULL;
CREATE TRIGGER ledger_keep BEFORE UPDATE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_stay BEFORE DELETE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_balance AFTER INSERT ON ledger
    BEGIN
        INSERT INTO balances VALUES (NEW.account, NEW.currency, NEW.debit_minor, NEW.credit_minor)
        ON CONFLICT (account, currency) DO UPDATE SET
            debit_minor = debit_minor + NEW.debit_minor,
            credit_minor = credit_minor + NEW.credit_minor;
    END;

CREATE INDEX payments_received ON payments (gateway, received_at);
CREATE INDEX refunds_updated ON refunds (updated_at) WHERE status = 'succeeded';

CREATE TABLE statement_lines (
    gateway TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    kind TEXT NOT NULL,
    order_id BLOB NOT NULL CHECK (length(order_id) = 16),
    payment BLOB NOT NULL CHECK (length(payment) = 16),
    refund BLOB,
    minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    payee TEXT NOT NULL,
    booked_at INTEGER NOT NULL,
    finding TEXT NOT NULL,
    pending INTEGER NOT NULL CHECK (pending IN (0, 1)),
    PRIMARY KEY (gateway, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX statement_lines_order ON statement_lines (order_id);
CREATE INDEX statement_lines_payment ON statement_lines (payment, kind);
CREATE INDEX statement_lines_refund ON statement_lines (refund) WHERE refund IS NOT NULL;
CREATE INDEX statement_lines_pending ON statement_lines (gateway, sequence) WHERE pending = 1;

CREATE TABLE reconciliations (
    gateway TEXT PRIMARY KEY NOT NULL,
    document TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tasks (
    id TEXT PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    transaction_id BLOB,
    owner TEXT NOT NULL,
    since INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    detail TEXT NOT NULL,
    note TEXT,
    resolved_by TEXT,
    resolved_at INTEGER,
    CHECK ((resolved_at IS NULL) = (resolved_by IS NULL)),
    CHECK ((resolved_at IS NULL) = (note IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX tasks_open ON tasks (since, id) WHERE resolved_at IS NULL;
CREATE INDEX tasks_since ON tasks (since, id);
CREATE INDEX tasks_subject ON tasks (kind, subject);
";
