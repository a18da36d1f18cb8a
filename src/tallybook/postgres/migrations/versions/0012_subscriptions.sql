-- Plans: every price that one was ever sold at, who subscribes to what, and the invoices that brought credits.

CREATE TABLE tallybook.plan_prices (
    stripe_price_id text PRIMARY KEY,
    lookup_key      text NOT NULL,
    amount_minor    bigint NOT NULL CHECK (amount_minor >= 0),
    currency        text NOT NULL,
    first_seen_at   timestamptz NOT NULL
);
COMMENT ON TABLE tallybook.plan_prices IS
'Every Stripe price that a product was ever sold at: a subscriber stays on an old one after the catalogue changed.';

INSERT INTO tallybook.plan_prices (stripe_price_id, lookup_key, amount_minor, currency, first_seen_at)
SELECT l.stripe_price_id, l.lookup_key, l.amount_minor, l.currency, l.pushed_at FROM tallybook.catalog_links AS l
ON CONFLICT DO NOTHING;

CREATE TABLE tallybook.subscriptions (
    subscription_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    intent_id              uuid NOT NULL UNIQUE,
    user_id                bigint NOT NULL REFERENCES tallybook.users,
    wallet_id              bigint NOT NULL REFERENCES tallybook.wallets,
    app_id                 integer NOT NULL REFERENCES tallybook.apps,
    key                    text,
    terms                  bytea,
    checkout_id            bigint UNIQUE REFERENCES tallybook.checkouts,
    plan_family            text NOT NULL,
    holds_family           boolean NOT NULL,
    status                 text NOT NULL CHECK (status IN (
        'intended', 'open', 'abandoned', 'incomplete', 'incomplete_expired', 'trialing', 'active', 'past_due', 'unpaid',
        'paused', 'canceled'
    )),
    attempt                integer NOT NULL DEFAULT 1,
    stripe_customer_id     text,
    stripe_subscription_id text UNIQUE,
    stripe_item_id         text,
    stripe_price_id        text NOT NULL,
    lookup_key             text NOT NULL,
    product_name           text NOT NULL,
    quantity               integer NOT NULL CHECK (quantity >= 1),
    amount_minor           bigint NOT NULL CHECK (amount_minor >= 0),
    currency               text NOT NULL,
    trial_days             integer CHECK (trial_days > 0),
    paid_lookup_key        text,
    paid_price_id          text,
    paid_quantity          integer,
    paid_from              timestamptz,
    current_period_start   timestamptz,
    current_period_end     timestamptz,
    trial_end              timestamptz,
    cancel_at_period_end   boolean NOT NULL DEFAULT false,
    cancel_at              timestamptz,
    canceled_at            timestamptz,
    ended_at               timestamptz,
    collection_paused      boolean NOT NULL DEFAULT false,
    resumes_at             timestamptz,
    latest_invoice_id      text,
    created_at             timestamptz NOT NULL,
    updated_at             timestamptz NOT NULL,
    followed_at            timestamptz,
    CHECK (NOT holds_family OR status NOT IN ('abandoned', 'incomplete_expired', 'canceled')),
    CHECK (stripe_subscription_id IS NULL OR stripe_customer_id IS NOT NULL)
);
COMMENT ON TABLE tallybook.subscriptions IS
'Each intention to subscribe, and what became of it at Stripe: the rows of the second kind say what Stripe said last.';
COMMENT ON COLUMN tallybook.subscriptions.holds_family IS
'Whether it keeps its user from beginning another one of the same family: an open attempt or a subscription that lives.';
COMMENT ON COLUMN tallybook.subscriptions.amount_minor IS 'What one costs for each period.';
COMMENT ON COLUMN tallybook.subscriptions.paid_lookup_key IS
'The plan that the running period was paid for: after a downgrade it differs from lookup_key until the period is over.';
COMMENT ON COLUMN tallybook.subscriptions.followed_at IS 'When Stripe was last asked.';
CREATE UNIQUE INDEX subscriptions_one_of_a_family ON tallybook.subscriptions (user_id, plan_family) WHERE holds_family;
CREATE UNIQUE INDEX subscriptions_by_key ON tallybook.subscriptions (user_id, app_id, key) WHERE key IS NOT NULL;
CREATE INDEX subscriptions_by_user ON tallybook.subscriptions (user_id, subscription_id);
CREATE INDEX subscriptions_by_status ON tallybook.subscriptions (status, subscription_id);

CREATE TABLE tallybook.subscription_trials (
    user_id         bigint NOT NULL REFERENCES tallybook.users,
    plan_family     text NOT NULL,
    subscription_id bigint NOT NULL REFERENCES tallybook.subscriptions,
    began_at        timestamptz NOT NULL,
    PRIMARY KEY (user_id, plan_family)
);
COMMENT ON TABLE tallybook.subscription_trials IS 'The one trial that a user ever has of a family of plans.';

CREATE TABLE tallybook.subscription_invoices (
    stripe_invoice_id        text PRIMARY KEY,
    subscription_id          bigint NOT NULL REFERENCES tallybook.subscriptions,
    number                   text,
    status                   text NOT NULL,
    billing_reason           text,
    currency                 text NOT NULL,
    total_minor              bigint NOT NULL,
    amount_due_minor         bigint NOT NULL,
    amount_paid_minor        bigint NOT NULL,
    hosted_invoice_url       text,
    attempt_count            integer NOT NULL,
    next_payment_attempt_at  timestamptz,
    stripe_created           timestamptz NOT NULL,
    outcome                  text NOT NULL,
    granted_micro            bigint NOT NULL DEFAULT 0 CHECK (granted_micro >= 0),
    taken_back_micro         bigint NOT NULL DEFAULT 0 CHECK (taken_back_micro >= 0),
    posted_at                timestamptz,
    created_at               timestamptz NOT NULL,
    updated_at               timestamptz NOT NULL
);
COMMENT ON TABLE tallybook.subscription_invoices IS 'The invoices of our subscriptions as Stripe has them, and what each did to credits.';
COMMENT ON COLUMN tallybook.subscription_invoices.posted_at IS 'When its credits moved: they do once, whatever comes later.';
CREATE INDEX subscription_invoices_by_subscription ON tallybook.subscription_invoices (subscription_id, stripe_created);

CREATE TABLE tallybook.subscription_changes (
    change_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    intent_id       uuid NOT NULL UNIQUE,
    subscription_id bigint NOT NULL REFERENCES tallybook.subscriptions,
    app_id          integer NOT NULL REFERENCES tallybook.apps,
    key             text,
    terms           bytea NOT NULL,
    action          text NOT NULL,
    attempt         integer NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL,
    done_at         timestamptz
);
COMMENT ON TABLE tallybook.subscription_changes IS
'What was asked to become of a subscription, written before Stripe is asked: a retry asks under the same key.';
CREATE UNIQUE INDEX subscription_changes_by_key ON tallybook.subscription_changes (subscription_id, app_id, key)
WHERE key IS NOT NULL;

ALTER TABLE tallybook.payment_lots ADD COLUMN returned_micro bigint NOT NULL DEFAULT 0
CHECK (returned_micro BETWEEN 0 AND credits_micro);
COMMENT ON COLUMN tallybook.payment_lots.returned_micro IS
'What was taken back of it because a plan was changed to a smaller one and the money went to the customer''s balance.';

CREATE VIEW apps.stripe_subscriptions WITH (security_barrier) AS
SELECT
    s.subscription_id AS id, s.user_id, s.stripe_subscription_id, s.stripe_customer_id, s.stripe_price_id, s.status,
    s.lookup_key AS plan, s.quantity, s.current_period_start, s.current_period_end, s.cancel_at_period_end, s.canceled_at,
    s.created_at, s.updated_at
FROM tallybook.subscriptions AS s
WHERE s.stripe_subscription_id IS NOT NULL AND apps.may('read_user_info');
COMMENT ON VIEW apps.stripe_subscriptions IS 'Subscriptions as Stripe said last; to change one, use the API.';

GRANT SELECT, INSERT ON tallybook.plan_prices, tallybook.subscription_trials TO tallybook_runtime;
GRANT SELECT, INSERT, UPDATE ON tallybook.subscriptions, tallybook.subscription_invoices, tallybook.subscription_changes
TO tallybook_runtime;
GRANT UPDATE (returned_micro) ON tallybook.payment_lots TO tallybook_runtime;
GRANT SELECT ON apps.stripe_subscriptions TO tallybook_apps;
