-- Stripe's side: which account this is, our customers and products there, checkouts, and the inbox of events.

CREATE TABLE tallybook.stripe_account (
    only_row      boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    account_id    text NOT NULL,
    livemode      boolean NOT NULL,
    deployment_id uuid NOT NULL DEFAULT gen_random_uuid(),
    recorded_at   timestamptz NOT NULL
);
COMMENT ON COLUMN tallybook.stripe_account.deployment_id IS 'Written on every object we make at Stripe: which database it belongs to.';
COMMENT ON TABLE tallybook.stripe_account IS 'One database serves one Stripe account in one mode; the first start writes both down.';

CREATE TABLE tallybook.stripe_customers (
    user_id            bigint PRIMARY KEY REFERENCES tallybook.users,
    intent_id          uuid NOT NULL UNIQUE,
    attempt            integer NOT NULL DEFAULT 1,
    stripe_customer_id text UNIQUE,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL
);
COMMENT ON COLUMN tallybook.stripe_customers.intent_id IS
'Written before Stripe is asked, and sent in the idempotency key: two racing requests make one customer.';
COMMENT ON COLUMN tallybook.stripe_customers.attempt IS
'Sent with the intent: Stripe repeats a failure under its key, so what failed for good is tried under a new one.';

CREATE TABLE tallybook.catalog_links (
    lookup_key        text PRIMARY KEY,
    stripe_product_id text NOT NULL,
    stripe_price_id   text NOT NULL,
    amount_minor      bigint NOT NULL CHECK (amount_minor >= 0),
    currency          text NOT NULL,
    pushed_at         timestamptz NOT NULL
);
COMMENT ON TABLE tallybook.catalog_links IS 'Which Stripe product and price each line of catalog.toml became.';

CREATE INDEX catalog_links_by_price ON tallybook.catalog_links (stripe_price_id);

CREATE TABLE tallybook.checkouts (
    checkout_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    intent_id         uuid NOT NULL UNIQUE,
    user_id           bigint NOT NULL REFERENCES tallybook.users,
    wallet_id         bigint NOT NULL REFERENCES tallybook.wallets,
    app_id            integer NOT NULL REFERENCES tallybook.apps,
    key               text,
    terms             bytea NOT NULL,
    mode              text NOT NULL CHECK (mode IN ('payment', 'subscription')),
    lookup_key        text NOT NULL,
    product_name      text NOT NULL,
    stripe_price_id   text NOT NULL,
    quantity          integer NOT NULL CHECK (quantity BETWEEN 1 AND 1000),
    credits_micro     bigint NOT NULL CHECK (credits_micro >= 0),
    amount_minor      bigint NOT NULL CHECK (amount_minor >= 0),
    currency          text NOT NULL,
    success_url       text NOT NULL,
    cancel_url        text NOT NULL,
    status            text NOT NULL DEFAULT 'intended'
    CHECK (status IN ('intended', 'open', 'processing', 'paid', 'failed', 'expired')),
    attempt           integer NOT NULL DEFAULT 1,
    stripe_session_id text UNIQUE,
    stripe_customer_id text,
    stripe_payment_intent_id text,
    url               text,
    paid_minor        bigint,
    payment_status    text,
    session_metadata  jsonb NOT NULL DEFAULT '{}',
    granted_version   bigint,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    expires_at        timestamptz,
    CHECK (stripe_session_id IS NULL OR stripe_customer_id IS NOT NULL),
    CHECK (status <> 'paid' OR payment_status IS NOT NULL)
);
COMMENT ON COLUMN tallybook.checkouts.stripe_customer_id IS
'Whom the session was opened for: the user''s customer may be another one since, if this one was deleted at Stripe.';
COMMENT ON COLUMN tallybook.checkouts.payment_status IS
'What Stripe said when the status last changed, as session_metadata: a paid checkout is shown without asking again.';
COMMENT ON COLUMN tallybook.checkouts.credits_micro IS 'Bound when the checkout is opened: later catalogue changes do not matter.';
COMMENT ON COLUMN tallybook.checkouts.granted_version IS 'The transfer that brought the credits to the wallet.';
CREATE UNIQUE INDEX checkouts_by_key ON tallybook.checkouts (user_id, app_id, key) WHERE key IS NOT NULL;
CREATE INDEX checkouts_by_user ON tallybook.checkouts (user_id, checkout_id);
CREATE INDEX checkouts_by_payment_intent ON tallybook.checkouts (stripe_payment_intent_id);

CREATE TABLE tallybook.stripe_events (
    event_id        text PRIMARY KEY,
    type            text NOT NULL,
    api_version     text,
    livemode        boolean NOT NULL,
    account_id      text,
    object_id       text,
    customer_id     text,
    stripe_created  timestamptz NOT NULL,
    intake_path     text NOT NULL,
    raw             bytea NOT NULL,
    received_at     timestamptz NOT NULL,
    deliveries      integer NOT NULL DEFAULT 1,
    status          text NOT NULL CHECK (status IN ('received', 'processing', 'retry', 'done', 'ignored', 'dead')),
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    lease_id        uuid,
    leased_until    timestamptz,
    last_error      text,
    outcome         text,
    settled_at      timestamptz
);
COMMENT ON TABLE tallybook.stripe_events IS 'The inbox: each event stored once, before it is answered; the worker settles it.';
COMMENT ON COLUMN tallybook.stripe_events.outcome IS 'What settling it did, in a word: granted, already_granted, not_paid, foreign ...';
CREATE INDEX stripe_events_due ON tallybook.stripe_events (next_attempt_at)
WHERE status IN ('received', 'processing', 'retry');
CREATE INDEX stripe_events_by_received ON tallybook.stripe_events (received_at, event_id);

CREATE TABLE tallybook.customer_fences (
    stripe_customer_id text PRIMARY KEY,
    fence              bigint NOT NULL,
    leased_until       timestamptz NOT NULL
);
COMMENT ON TABLE tallybook.customer_fences IS 'A lease per Stripe customer: a handler that lost its lease cannot commit.';
