-- Payments that we start ourselves with a payment intent: those of the payment form, and those of auto top-up.

CREATE TABLE tallybook.payment_intents (
    number                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    intent_id                uuid NOT NULL UNIQUE,
    source                   text NOT NULL CHECK (source IN ('payment_form', 'top_up')),
    user_id                  bigint NOT NULL REFERENCES tallybook.users,
    wallet_id                bigint NOT NULL REFERENCES tallybook.wallets,
    app_id                   integer NOT NULL REFERENCES tallybook.apps,
    key                      text,
    terms                    bytea NOT NULL,
    lookup_key               text,
    quantity                 integer NOT NULL CHECK (quantity BETWEEN 1 AND 1000),
    description              text NOT NULL,
    credits_micro            bigint NOT NULL CHECK (credits_micro > 0),
    amount_minor             bigint NOT NULL CHECK (amount_minor > 0),
    currency                 text NOT NULL,
    saves_method             boolean NOT NULL,
    status                   text NOT NULL DEFAULT 'intended'
    CHECK (status IN ('intended', 'open', 'processing', 'needs_action', 'succeeded', 'failed', 'canceled')),
    attempt                  integer NOT NULL DEFAULT 1,
    stripe_id                text UNIQUE,
    stripe_customer_id       text,
    stripe_payment_method_id text,
    failure_code             text,
    granted_version          bigint,
    look_at                  timestamptz NOT NULL,
    created_at               timestamptz NOT NULL,
    updated_at               timestamptz NOT NULL,
    CHECK (stripe_id IS NULL OR stripe_customer_id IS NOT NULL),
    CHECK ((status = 'succeeded') = (granted_version IS NOT NULL))
);
COMMENT ON TABLE tallybook.payment_intents IS
'Payment intents that we started, written down before Stripe is asked; what they cost and bring is bound here.';
COMMENT ON COLUMN tallybook.payment_intents.intent_id IS
'Sent to Stripe with the attempt as the idempotency key, and in the metadata: an unknown outcome is found by it.';
COMMENT ON COLUMN tallybook.payment_intents.stripe_id IS 'The payment intent at Stripe; null until Stripe has answered.';
COMMENT ON COLUMN tallybook.payment_intents.look_at IS
'Of a top-up: until then it is somebody''s work, or need not be looked at; afterwards whoever comes takes it up.';
CREATE UNIQUE INDEX payment_intents_by_key ON tallybook.payment_intents (user_id, app_id, key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX payment_intents_one_top_up ON tallybook.payment_intents (wallet_id)
WHERE source = 'top_up' AND status IN ('intended', 'open', 'processing', 'needs_action');
COMMENT ON INDEX tallybook.payment_intents_one_top_up IS
'One top-up of a wallet at a time, until its outcome is known, whoever tries and however often.';
CREATE INDEX payment_intents_due ON tallybook.payment_intents (look_at)
WHERE source = 'top_up' AND status IN ('intended', 'open', 'processing', 'needs_action');
CREATE INDEX payment_intents_by_wallet ON tallybook.payment_intents (wallet_id, number);

CREATE TABLE tallybook.top_up_rules (
    wallet_id         bigint PRIMARY KEY REFERENCES tallybook.wallets,
    user_id           bigint NOT NULL REFERENCES tallybook.users,
    enabled           boolean NOT NULL,
    threshold_micro   bigint NOT NULL CHECK (threshold_micro > 0),
    lookup_key        text,
    quantity          integer NOT NULL CHECK (quantity BETWEEN 1 AND 1000),
    credits_micro     bigint CHECK (credits_micro > 0),
    monthly_cap_minor bigint NOT NULL CHECK (monthly_cap_minor > 0),
    currency          text NOT NULL,
    revision          integer NOT NULL DEFAULT 1,
    declines          integer NOT NULL DEFAULT 0,
    not_before        timestamptz NOT NULL,
    stopped           text CHECK (stopped IN ('no_saved_card', 'not_sold', 'card_refused', 'declined_too_often')),
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    CHECK ((lookup_key IS NULL) <> (credits_micro IS NULL))
);
COMMENT ON TABLE tallybook.top_up_rules IS 'When a customer''s saved card is charged, for how much at once and in a month.';
COMMENT ON COLUMN tallybook.top_up_rules.declines IS 'In a row; a charge that succeeds and a change of the rule or the card begin anew.';
COMMENT ON COLUMN tallybook.top_up_rules.not_before IS 'No charge before: after a decline, or when the month''s cap is reached.';
COMMENT ON COLUMN tallybook.top_up_rules.stopped IS 'Why nothing is charged until the customer changes the rule or the card.';
CREATE INDEX top_up_rules_live ON tallybook.top_up_rules (wallet_id) WHERE enabled AND stopped IS NULL;

GRANT SELECT, INSERT, UPDATE ON tallybook.payment_intents TO tallybook_runtime;
GRANT SELECT, INSERT, UPDATE, DELETE ON tallybook.top_up_rules TO tallybook_runtime;
