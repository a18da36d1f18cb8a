-- Money that comes back: what Stripe says of refunds and disputes, what was taken for them, and frozen wallets.

ALTER TABLE tallybook.wallets ADD COLUMN is_frozen boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN tallybook.wallets.is_frozen IS
'Whether it may neither spend nor place holds; then it has no front lot, so that the swift road leaves it alone.';

CREATE TABLE tallybook.wallet_freezes (
    wallet_id bigint NOT NULL REFERENCES tallybook.wallets,
    cause     text NOT NULL CHECK (length(cause) BETWEEN 1 AND 300),
    since     timestamptz NOT NULL,
    PRIMARY KEY (wallet_id, cause)
);
COMMENT ON TABLE tallybook.wallet_freezes IS 'Why a wallet is frozen: an admin, or an open dispute; it thaws when no cause is left.';

ALTER TABLE tallybook.apps
DROP CONSTRAINT apps_permissions_check,
ADD CONSTRAINT apps_permissions_check CHECK (permissions <@ ARRAY[
    'read_user_info', 'read_credits', 'consume_credits', 'purchase_credits', 'grant_credits', 'exceed_holds', 'refund_payments'
]::text []);

ALTER TABLE tallybook.lots
DROP CONSTRAINT lots_source_check,
ADD CONSTRAINT lots_source_check CHECK (source IN (
    'purchase', 'subscription', 'promotion', 'adjustment', 'usage_refund', 'dispute_won', 'refund_failed'
));

-- What ran out of a lot is neither taken back nor owed.
CREATE INDEX transfers_by_expired_lot ON tallybook.transfers (wallet_id, lot_version) WHERE kind = 'expire';

COMMENT ON COLUMN tallybook.payments.refunded_micro IS 'The credits of what was refunded, also those of them that had expired.';
COMMENT ON COLUMN tallybook.payments.disputed_micro IS 'The credits of what disputes keep, also those of them that had expired.';
ALTER TABLE tallybook.payments ADD COLUMN receipt_url text;
COMMENT ON COLUMN tallybook.payments.receipt_url IS 'Stripe''s page about the payment, as it was named last.';

CREATE TABLE tallybook.refunds (
    stripe_refund_id         text PRIMARY KEY,
    stripe_payment_intent_id text NOT NULL,
    amount_minor             bigint NOT NULL CHECK (amount_minor >= 0),
    currency                 text NOT NULL,
    status                   text NOT NULL,
    reason                   text,
    failure_reason           text,
    created_at               timestamptz NOT NULL,
    updated_at               timestamptz NOT NULL
);
COMMENT ON TABLE tallybook.refunds IS
'Refunds as Stripe had them when it was last asked, also of payments that are not ours or not granted yet.';
CREATE INDEX refunds_by_payment_intent ON tallybook.refunds (stripe_payment_intent_id);

CREATE TABLE tallybook.disputes (
    stripe_dispute_id        text PRIMARY KEY,
    stripe_payment_intent_id text NOT NULL,
    amount_minor             bigint NOT NULL CHECK (amount_minor >= 0),
    currency                 text NOT NULL,
    status                   text NOT NULL,
    reason                   text NOT NULL,
    withdrawn                boolean NOT NULL,
    created_at               timestamptz NOT NULL,
    updated_at               timestamptz NOT NULL
);
COMMENT ON TABLE tallybook.disputes IS 'Disputes as Stripe had them when it was last asked.';
CREATE INDEX disputes_by_payment_intent ON tallybook.disputes (stripe_payment_intent_id);

CREATE TABLE tallybook.payment_steps (
    payment_id       bigint NOT NULL REFERENCES tallybook.payments,
    step             integer NOT NULL CHECK (step > 0),
    wallet_id        bigint NOT NULL,
    lot_version      bigint NOT NULL,
    house            tallybook.account NOT NULL CHECK (house IN ('refunded', 'disputed')),
    amount_micro     bigint NOT NULL CHECK (amount_micro <> 0),
    transfer_version bigint NOT NULL,
    created_at       timestamptz NOT NULL,
    PRIMARY KEY (payment_id, step)
);
COMMENT ON TABLE tallybook.payment_steps IS
'Each time credits moved for money that went back: taken for a lot of the payment, or (a negative amount) restored.';

CREATE TABLE tallybook.refund_intents (
    refund_intent_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    payment_id       bigint NOT NULL REFERENCES tallybook.payments,
    key              text NOT NULL,
    amount_minor     bigint NOT NULL CHECK (amount_minor > 0),
    asked_minor      bigint,
    reason           text,
    attempt          integer NOT NULL DEFAULT 1,
    status           text NOT NULL DEFAULT 'intended' CHECK (status IN ('intended', 'made', 'refused')),
    stripe_refund_id text UNIQUE,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    UNIQUE (payment_id, key),
    CHECK ((status = 'made') = (stripe_refund_id IS NOT NULL))
);
COMMENT ON TABLE tallybook.refund_intents IS
'Refunds that we ask for, written before Stripe is; the row''s id and the attempt are Stripe''s idempotency key.';
COMMENT ON COLUMN tallybook.refund_intents.amount_minor IS 'Bound when it is asked for: a retry gives back no more.';
COMMENT ON COLUMN tallybook.refund_intents.asked_minor IS 'What was asked for by number; null: all that was left.';
