-- What was paid, and which lots it brought: money that comes back finds its credits here.

CREATE TABLE tallybook.payments (
    payment_id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    wallet_id                bigint NOT NULL REFERENCES tallybook.wallets,
    user_id                  bigint REFERENCES tallybook.users,
    source                   text NOT NULL CHECK (source IN ('checkout', 'invoice', 'top_up', 'payment_form', 'import')),
    reference                text NOT NULL UNIQUE,
    stripe_customer_id       text,
    stripe_payment_intent_id text UNIQUE,
    lookup_key               text,
    description              text NOT NULL,
    paid_minor               bigint NOT NULL CHECK (paid_minor >= 0),
    currency                 text NOT NULL,
    credits_micro            bigint NOT NULL CHECK (credits_micro >= 0),
    refunded_minor           bigint NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
    disputed_minor           bigint NOT NULL DEFAULT 0 CHECK (disputed_minor >= 0),
    refunded_micro           bigint NOT NULL DEFAULT 0 CHECK (refunded_micro >= 0),
    disputed_micro           bigint NOT NULL DEFAULT 0 CHECK (disputed_micro >= 0),
    steps                    integer NOT NULL DEFAULT 0,
    paid_at                  timestamptz NOT NULL,
    updated_at               timestamptz NOT NULL,
    CHECK (refunded_micro + disputed_micro <= credits_micro)
);
COMMENT ON TABLE tallybook.payments IS 'Each payment that brought credits, once, and how much of it went back.';
COMMENT ON COLUMN tallybook.payments.reference IS
'What it is at Stripe and what its credits were granted for: a checkout session, an invoice or a payment intent.';
COMMENT ON COLUMN tallybook.payments.refunded_minor IS 'What refunds have given back so far, of the money.';
COMMENT ON COLUMN tallybook.payments.disputed_minor IS 'What open and lost disputes keep back, of the money.';
COMMENT ON COLUMN tallybook.payments.refunded_micro IS 'What was taken back of the credits for it, so far.';
COMMENT ON COLUMN tallybook.payments.steps IS 'How often credits moved for money that came or went back: a part of their keys.';
CREATE INDEX payments_by_wallet ON tallybook.payments (wallet_id, payment_id);
CREATE INDEX payments_by_user ON tallybook.payments (user_id, payment_id);
CREATE INDEX payments_by_paid ON tallybook.payments (paid_at, payment_id);

CREATE TABLE tallybook.payment_lots (
    payment_id    bigint NOT NULL REFERENCES tallybook.payments,
    wallet_id     bigint NOT NULL,
    lot_version   bigint NOT NULL,
    credits_micro bigint NOT NULL CHECK (credits_micro > 0),
    PRIMARY KEY (payment_id, lot_version)
);
COMMENT ON TABLE tallybook.payment_lots IS 'The lots that a payment brought to its wallet.';
CREATE INDEX payment_lots_by_lot ON tallybook.payment_lots (wallet_id, lot_version);

INSERT INTO tallybook.payments (
    wallet_id, user_id, source, reference, stripe_customer_id, stripe_payment_intent_id, lookup_key, description, paid_minor,
    currency, credits_micro, paid_at, updated_at
)
SELECT
    c.wallet_id, c.user_id, 'checkout' AS source, c.stripe_session_id, c.stripe_customer_id, c.stripe_payment_intent_id,
    c.lookup_key, c.product_name || ' x ' || c.quantity AS description, c.paid_minor, c.currency, c.credits_micro,
    c.updated_at AS paid_at, c.updated_at
FROM tallybook.checkouts AS c
WHERE c.granted_version IS NOT NULL AND c.paid_minor IS NOT NULL;

INSERT INTO tallybook.payment_lots (payment_id, wallet_id, lot_version, credits_micro)
SELECT p.payment_id, p.wallet_id, c.granted_version, c.credits_micro
FROM tallybook.payments AS p
INNER JOIN tallybook.checkouts AS c ON c.stripe_session_id = p.reference
WHERE c.credits_micro > 0;

GRANT SELECT, INSERT, UPDATE ON tallybook.payments TO tallybook_runtime;
GRANT SELECT, INSERT ON tallybook.payment_lots TO tallybook_runtime;
