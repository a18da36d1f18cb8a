-- The reconciler: its runs, how far they came, and what they found that differs between Stripe and our books.

CREATE TABLE tallybook.reconciliations (
    reconciliation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    status            text NOT NULL CHECK (status IN ('requested', 'running', 'done', 'failed', 'interrupted')),
    applies           boolean NOT NULL,
    asked_by          text NOT NULL,
    since             timestamptz,
    until             timestamptz,
    requested_at      timestamptz NOT NULL,
    began_at          timestamptz,
    finished_at       timestamptz,
    events_fetched    bigint NOT NULL DEFAULT 0,
    events_missing    bigint NOT NULL DEFAULT 0,
    objects_compared  bigint NOT NULL DEFAULT 0,
    found             bigint NOT NULL DEFAULT 0,
    repaired          bigint NOT NULL DEFAULT 0,
    differences       bigint NOT NULL DEFAULT 0,
    notices           bigint NOT NULL DEFAULT 0,
    totals            jsonb NOT NULL DEFAULT '[]',
    error             text
);
COMMENT ON TABLE tallybook.reconciliations IS 'Each comparison of Stripe with our books; one runs at a time, under an advisory lock.';
COMMENT ON COLUMN tallybook.reconciliations.applies IS 'Whether it repaired; otherwise it only looked (a dry run).';
COMMENT ON COLUMN tallybook.reconciliations.events_missing IS 'Events that Stripe had and the inbox had not; an applying run stored them.';
COMMENT ON COLUMN tallybook.reconciliations.differences IS 'What was left open when it ended, from earlier runs too.';
CREATE INDEX reconciliations_waiting ON tallybook.reconciliations (reconciliation_id) WHERE status IN ('requested', 'running');

CREATE TABLE tallybook.reconciliation_cursor (
    only_row      boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    events_until  timestamptz,
    objects_until timestamptz
);
COMMENT ON TABLE tallybook.reconciliation_cursor IS 'Up to when all of Stripe''s events are in the inbox, and all of its objects were compared.';

CREATE TABLE tallybook.reconciliation_findings (
    finding_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code               text NOT NULL,
    kind               text NOT NULL,
    object_id          text NOT NULL,
    severity           text NOT NULL CHECK (severity IN ('difference', 'notice')),
    stripe_customer_id text,
    user_id            bigint REFERENCES tallybook.users,
    expected           text NOT NULL,
    found              text NOT NULL,
    repair             text,
    repair_object      text,
    status             text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'repaired', 'gone', 'acknowledged')),
    outcome            text,
    attempts           integer NOT NULL DEFAULT 0,
    reason             text,
    first_seen_at      timestamptz NOT NULL,
    last_seen_at       timestamptz NOT NULL,
    last_run           bigint NOT NULL REFERENCES tallybook.reconciliations,
    settled_at         timestamptz,
    UNIQUE (code, object_id)
);
COMMENT ON TABLE tallybook.reconciliation_findings IS
'What differs, once for each code and object: open until it is repaired, found gone, or acknowledged by an admin.';
COMMENT ON COLUMN tallybook.reconciliation_findings.expected IS 'What our books would say if they agreed with Stripe.';
COMMENT ON COLUMN tallybook.reconciliation_findings.repair IS 'The use case that would settle it, the same as for a webhook; null: only people can.';
CREATE INDEX reconciliation_findings_open ON tallybook.reconciliation_findings (finding_id) WHERE status = 'open';

CREATE TABLE tallybook.stripe_imports (
    terms          bytea PRIMARY KEY,
    status         text NOT NULL CHECK (status IN ('running', 'done')),
    after_customer text,
    customers      bigint NOT NULL DEFAULT 0,
    began_at       timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL
);
COMMENT ON TABLE tallybook.stripe_imports IS
'How far an import of a Stripe account came, for each way of importing: whoever goes on begins after this customer.';

COMMENT ON COLUMN tallybook.stripe_events.intake_path IS
'By which path it came: a family of webhooks, or ''fetched'' by the reconciler with our own key, without a signature.';

GRANT SELECT, INSERT, UPDATE ON
tallybook.reconciliations, tallybook.reconciliation_cursor, tallybook.reconciliation_findings, tallybook.stripe_imports
TO tallybook_runtime;
