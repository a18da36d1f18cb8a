-- The ledger: wallets, their transfers, and what follows from them (holds, lots, lot moves).
-- Every hot key leads with wallet_id, so that the tables can be distributed by it.

CREATE TYPE tallybook.account AS ENUM (
    'available', 'held', 'debt',
    'purchases', 'subscriptions', 'promotions', 'adjustments', 'usage',
    'refunded', 'disputed', 'expired'
);
COMMENT ON TYPE tallybook.account IS
'The three accounts of a wallet (available and held: what we owe the customer; debt: what they owe us), then the house accounts.';

CREATE TABLE tallybook.wallets (
    wallet_id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner_user_id         bigint REFERENCES tallybook.users,
    owner_organisation_id bigint REFERENCES tallybook.organisations,
    is_default            boolean NOT NULL DEFAULT true,
    available_micro       bigint NOT NULL DEFAULT 0 CHECK (available_micro >= 0),
    held_micro            bigint NOT NULL DEFAULT 0 CHECK (held_micro >= 0),
    debt_micro            bigint NOT NULL DEFAULT 0 CHECK (debt_micro >= 0),
    version               bigint NOT NULL DEFAULT 0,
    digest                bytea NOT NULL,
    created_at            timestamptz NOT NULL,
    updated_at            timestamptz NOT NULL,
    CHECK (num_nonnulls(owner_user_id, owner_organisation_id) = 1),
    CHECK (debt_micro = 0 OR available_micro = 0)
) WITH (fillfactor = 70);
COMMENT ON COLUMN tallybook.wallets.available_micro IS 'What can be spent now, in micro-credits.';
COMMENT ON COLUMN tallybook.wallets.version IS 'How many transfers this wallet has; the number of the newest.';
COMMENT ON COLUMN tallybook.wallets.digest IS 'The head of the wallet''s hash chain, which begins with whose it is.';
CREATE UNIQUE INDEX wallets_default_of_user ON tallybook.wallets (owner_user_id) WHERE is_default;
CREATE UNIQUE INDEX wallets_default_of_organisation
ON tallybook.wallets (owner_organisation_id) WHERE is_default;

CREATE TABLE tallybook.transfers (
    wallet_id       bigint NOT NULL,
    version         bigint NOT NULL CHECK (version > 0),
    kind            text NOT NULL,
    debit           tallybook.account NOT NULL,
    credit          tallybook.account NOT NULL,
    amount_micro    bigint NOT NULL CHECK (amount_micro > 0),
    available_after bigint NOT NULL CHECK (available_after >= 0),
    held_after      bigint NOT NULL CHECK (held_after >= 0),
    debt_after      bigint NOT NULL CHECK (debt_after >= 0),
    app_id          integer NOT NULL,
    key             text CHECK (length(key) BETWEEN 1 AND 320),
    terms           bytea,
    part_of         bigint,
    hold_version    bigint,
    lot_version     bigint,
    note_digest     bytea,
    detail_digest   bytea,
    created_at      timestamptz NOT NULL,
    digest          bytea NOT NULL,
    PRIMARY KEY (wallet_id, version),
    CHECK (debit <> credit),
    CHECK ((kind, debit, credit) IN (
        ('grant', 'purchases', 'available'), ('grant', 'subscriptions', 'available'),
        ('grant', 'promotions', 'available'), ('grant', 'adjustments', 'available'),
        ('grant', 'usage', 'available'), ('grant', 'refunded', 'available'),
        ('grant', 'disputed', 'available'),
        ('spend', 'available', 'usage'), ('spend', 'available', 'adjustments'),
        ('hold', 'available', 'held'), ('capture', 'held', 'usage'),
        ('release', 'held', 'available'),
        ('clawback', 'available', 'refunded'), ('clawback', 'available', 'disputed'),
        ('clawback', 'debt', 'refunded'), ('clawback', 'debt', 'disputed'),
        ('repay', 'available', 'debt'), ('expire', 'available', 'expired')
    ))
);
COMMENT ON TABLE tallybook.transfers IS 'One immutable record: one debit, one credit, one positive amount, of one wallet.';
COMMENT ON COLUMN tallybook.transfers.version IS 'Its number within the wallet, from 1, without gaps.';
COMMENT ON COLUMN tallybook.transfers.part_of IS 'The first transfer of the same request, when a request makes several.';
COMMENT ON COLUMN tallybook.transfers.hold_version IS 'The transfer that placed the hold this one belongs to.';
COMMENT ON COLUMN tallybook.transfers.lot_version IS 'The lot to burn first (money that comes back), if one is named.';
COMMENT ON COLUMN tallybook.transfers.key IS
'The caller''s idempotency key, with who it belongs to in front where that is not the app itself.';
COMMENT ON COLUMN tallybook.transfers.terms IS 'A digest of what was asked under the key: another digest is a misuse of the key.';
COMMENT ON COLUMN tallybook.transfers.detail_digest IS
'SHA-256 over the terms of the hold or the lot that it made: what those rows say can be checked too.';
COMMENT ON COLUMN tallybook.transfers.digest IS 'SHA-256 over the digest before it and this row: the chain.';
CREATE UNIQUE INDEX transfers_by_key ON tallybook.transfers (wallet_id, app_id, key) WHERE key IS NOT NULL;

CREATE TABLE tallybook.refusals (
    wallet_id      bigint NOT NULL,
    app_id         integer NOT NULL,
    key            text NOT NULL CHECK (length(key) BETWEEN 1 AND 320),
    terms          bytea NOT NULL,
    code           text NOT NULL,
    facts          jsonb NOT NULL,
    wallet_version bigint NOT NULL,
    created_at     timestamptz NOT NULL,
    digest         bytea NOT NULL,
    PRIMARY KEY (wallet_id, app_id, key)
);
COMMENT ON TABLE tallybook.refusals IS 'A refusal is an answer too: a retry of it is refused again, whatever was bought since.';

CREATE TABLE tallybook.notes (
    wallet_id   bigint NOT NULL,
    version     bigint NOT NULL,
    salt        uuid NOT NULL,
    description text,
    service     text,
    metadata    jsonb,
    PRIMARY KEY (wallet_id, version),
    FOREIGN KEY (wallet_id, version) REFERENCES tallybook.transfers
);
COMMENT ON TABLE tallybook.notes IS 'What people wrote about a transfer. Erasable: the chain covers a salted digest of it only.';

CREATE TABLE tallybook.holds (
    wallet_id       bigint NOT NULL,
    version         bigint NOT NULL,
    app_id          integer NOT NULL,
    session_user_id bigint,
    placed_micro    bigint NOT NULL CHECK (placed_micro > 0),
    captured_micro  bigint NOT NULL DEFAULT 0 CHECK (captured_micro >= 0),
    released_micro  bigint NOT NULL DEFAULT 0 CHECK (released_micro >= 0),
    remaining_micro bigint GENERATED ALWAYS AS (placed_micro - captured_micro - released_micro) STORED,
    estimate_micro  bigint CHECK (estimate_micro BETWEEN 0 AND placed_micro),
    on_expiry       text NOT NULL DEFAULT 'release'
    CHECK (on_expiry IN ('release', 'capture_estimate', 'capture_maximum')),
    expires_at      timestamptz NOT NULL,
    placed_at       timestamptz NOT NULL,
    settled_at      timestamptz,
    lot_versions    bigint[] NOT NULL DEFAULT '{}',
    lot_micros      bigint[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (wallet_id, version),
    FOREIGN KEY (wallet_id, version) REFERENCES tallybook.transfers,
    CHECK (captured_micro + released_micro <= placed_micro),
    CHECK ((settled_at IS NULL) = (captured_micro + released_micro < placed_micro))
) WITH (fillfactor = 70);
COMMENT ON COLUMN tallybook.holds.session_user_id IS
'The user whose session placed it; null when the app itself did, so that the customer cannot settle the app''s hold.';
COMMENT ON COLUMN tallybook.holds.lot_versions IS 'The lots that the hold has pinned, in burn order; lot_micros says how much of each is left.';
CREATE INDEX holds_open_by_expiry ON tallybook.holds (expires_at) WHERE settled_at IS NULL;
CREATE INDEX holds_open_by_wallet ON tallybook.holds (wallet_id) WHERE settled_at IS NULL;

CREATE TABLE tallybook.lots (
    wallet_id       bigint NOT NULL,
    version         bigint NOT NULL,
    source          text NOT NULL
    CHECK (source IN ('purchase', 'subscription', 'promotion', 'adjustment', 'usage_refund', 'dispute_won')),
    amount_micro    bigint NOT NULL CHECK (amount_micro > 0),
    available_micro bigint NOT NULL CHECK (available_micro >= 0),
    held_micro      bigint NOT NULL DEFAULT 0 CHECK (held_micro >= 0),
    price_minor     bigint CHECK (price_minor >= 0),
    currency        text,
    priority        smallint NOT NULL DEFAULT 50 CHECK (priority BETWEEN 0 AND 100),
    expires_at      timestamptz,
    reference       text,
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (wallet_id, version),
    FOREIGN KEY (wallet_id, version) REFERENCES tallybook.transfers,
    CHECK (available_micro + held_micro <= amount_micro)
) WITH (fillfactor = 70);
COMMENT ON TABLE tallybook.lots IS 'Credits that arrived together, numbered by the transfer that brought them.';
COMMENT ON COLUMN tallybook.lots.price_minor IS 'What was paid for the whole lot, in minor units of currency.';
COMMENT ON COLUMN tallybook.lots.reference IS 'The business object that it came from, such as a checkout session.';
CREATE INDEX lots_in_burn_order ON tallybook.lots (wallet_id, priority, expires_at, version)
WHERE available_micro > 0;

CREATE TABLE tallybook.lot_moves (
    wallet_id    bigint NOT NULL,
    version      bigint NOT NULL,
    lot_version  bigint NOT NULL,
    amount_micro bigint NOT NULL CHECK (amount_micro > 0),
    PRIMARY KEY (wallet_id, version, lot_version)
);
COMMENT ON TABLE tallybook.lot_moves IS 'How much of a transfer fell on which lot; the transfer says from where to where.';

CREATE TABLE tallybook.claims (
    livemode    boolean NOT NULL,
    object_kind text NOT NULL,
    object_id   text NOT NULL,
    wallet_id   bigint NOT NULL REFERENCES tallybook.wallets,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (livemode, object_kind, object_id)
);
COMMENT ON TABLE tallybook.claims IS 'A Stripe object counts for one wallet only: the one thing that is unique across wallets.';

CREATE TRIGGER transfers_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tallybook.transfers
FOR EACH STATEMENT EXECUTE FUNCTION tallybook.refuse_change();
CREATE TRIGGER refusals_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tallybook.refusals
FOR EACH STATEMENT EXECUTE FUNCTION tallybook.refuse_change();
CREATE TRIGGER lot_moves_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tallybook.lot_moves
FOR EACH STATEMENT EXECUTE FUNCTION tallybook.refuse_change();
CREATE TRIGGER claims_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tallybook.claims
FOR EACH STATEMENT EXECUTE FUNCTION tallybook.refuse_change();
