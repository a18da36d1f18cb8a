-- name: intend
-- Write the intention to subscribe down and take the family's place; no row when the place or the key is taken.
INSERT INTO tallybook.subscriptions (
    intent_id, user_id, wallet_id, app_id, key, terms, checkout_id, plan_family, holds_family, status, stripe_price_id,
    lookup_key, product_name, quantity, amount_minor, currency, trial_days, stripe_promotion_code_id, created_at, updated_at
) VALUES (
    gen_random_uuid(), :user_id, :wallet_id, :app_id, :key, :terms, :checkout_id, :plan_family, true, 'intended',
    :stripe_price_id, :lookup_key, :product_name, :quantity, :amount_minor, :currency, :trial_days,
    :stripe_promotion_code_id, :now, :now
)
ON CONFLICT DO NOTHING
RETURNING subscription_id;

-- name: adopt
-- Write a subscription down that began elsewhere; it takes the family's place if nothing has it. No row if it is known.
INSERT INTO tallybook.subscriptions (
    intent_id, user_id, wallet_id, app_id, plan_family, holds_family, status, stripe_customer_id, stripe_subscription_id,
    stripe_price_id, lookup_key, product_name, quantity, amount_minor, currency, created_at, updated_at
) VALUES (
    gen_random_uuid(), :user_id, :wallet_id, 0, :plan_family::text, NOT EXISTS (
        SELECT 1 FROM tallybook.subscriptions AS s
        WHERE s.user_id = :user_id AND s.plan_family = :plan_family::text AND s.holds_family
    ), 'incomplete', :stripe_customer_id, :stripe_subscription_id, :stripe_price_id, :lookup_key, :product_name,
    :quantity, :amount_minor, :currency, :now, :now
)
ON CONFLICT (stripe_subscription_id) DO NOTHING
RETURNING subscription_id;

-- name: by_id
-- A subscription by its number.
SELECT * FROM tallybook.subscriptions WHERE subscription_id = :subscription_id;

-- name: lock_by_id
-- A subscription by its number, locked until the transaction ends.
SELECT * FROM tallybook.subscriptions WHERE subscription_id = :subscription_id FOR UPDATE;

-- name: by_stripe_id
-- A subscription by Stripe's id.
SELECT * FROM tallybook.subscriptions WHERE stripe_subscription_id = :stripe_subscription_id;

-- name: by_key
-- A subscription by the key it was asked for with.
SELECT * FROM tallybook.subscriptions WHERE user_id = :user_id AND app_id = :app_id AND key = :key;

-- name: by_checkout
-- The intention that a checkout is for.
SELECT * FROM tallybook.subscriptions WHERE checkout_id = :checkout_id;

-- name: by_session
-- The intention whose checkout opened a session.
SELECT s.* FROM tallybook.subscriptions AS s
INNER JOIN tallybook.checkouts AS c ON c.checkout_id = s.checkout_id
WHERE c.stripe_session_id = :stripe_session_id;

-- name: holder
-- What holds the place of a user's family: an attempt or a subscription that lives.
SELECT * FROM tallybook.subscriptions
WHERE user_id = :user_id AND plan_family = :plan_family AND holds_family;

-- name: of_user
-- The subscriptions of a user that ever were at Stripe, newest first.
SELECT * FROM tallybook.subscriptions
WHERE user_id = :user_id AND stripe_subscription_id IS NOT NULL
ORDER BY subscription_id DESC;

-- name: newest
-- The newest subscriptions of everybody.
SELECT * FROM tallybook.subscriptions
WHERE stripe_subscription_id IS NOT NULL AND (:status::text IS NULL OR status = :status::text)
ORDER BY subscription_id DESC LIMIT :limit;

-- name: user_of_customer
-- Whose Stripe customer this is, with their wallet.
SELECT c.user_id FROM tallybook.stripe_customers AS c WHERE c.stripe_customer_id = :stripe_customer_id;

-- name: opened
-- The attempt's checkout is open at Stripe; no row when the attempt was given up meanwhile.
UPDATE tallybook.subscriptions SET status = 'open', stripe_customer_id = :stripe_customer_id, updated_at = :now
WHERE subscription_id = :subscription_id AND status = 'intended'
RETURNING subscription_id;

-- name: began
-- The attempt became a subscription at Stripe; no row when it was given up meanwhile.
UPDATE tallybook.subscriptions SET
    stripe_subscription_id = :stripe_subscription_id, stripe_customer_id = :stripe_customer_id, status = 'incomplete',
    updated_at = :now
WHERE subscription_id = :subscription_id AND status IN ('intended', 'open') AND stripe_subscription_id IS NULL
RETURNING subscription_id;

-- name: abandon
-- Give an attempt up that never became a subscription, so that another one may take its place; one that was seen unopened
-- only if it still is: else what it opened meanwhile would stay open at Stripe.
UPDATE tallybook.subscriptions SET status = 'abandoned', holds_family = false, updated_at = :now
WHERE
    subscription_id = :subscription_id AND status IN ('intended', 'open') AND stripe_subscription_id IS NULL
    AND (status = 'intended' OR NOT :unopened::boolean);

-- name: next_attempt
-- The call ended for good without a subscription: the next one gets a key of its own.
UPDATE tallybook.subscriptions SET attempt = attempt + 1, updated_at = :now
WHERE subscription_id = :subscription_id AND attempt = :attempt;

-- name: follow
-- Write down what Stripe says; a subscription that has ended never lives again.
UPDATE tallybook.subscriptions SET
    status = :status, holds_family = holds_family AND :lives, stripe_item_id = :stripe_item_id,
    stripe_price_id = :stripe_price_id, lookup_key = :lookup_key, product_name = :product_name, quantity = :quantity,
    amount_minor = :amount_minor, currency = :currency, current_period_start = :current_period_start,
    current_period_end = :current_period_end, trial_end = :trial_end, cancel_at_period_end = :cancel_at_period_end,
    cancel_at = :cancel_at, canceled_at = :canceled_at, ended_at = :ended_at, collection_paused = :collection_paused,
    resumes_at = :resumes_at, latest_invoice_id = :latest_invoice_id, stripe_schedule_id = :stripe_schedule_id,
    next_lookup_key = :next_lookup_key, next_price_id = :next_price_id, next_quantity = :next_quantity,
    next_amount_minor = :next_amount_minor, updated_at = :now, followed_at = :now
WHERE subscription_id = :subscription_id AND status NOT IN ('canceled', 'incomplete_expired');

-- name: paid
-- Write down what the newest period was paid for.
UPDATE tallybook.subscriptions SET
    paid_lookup_key = :lookup_key, paid_price_id = :price_id, paid_quantity = :quantity, paid_from = :paid_from, updated_at = :now
WHERE subscription_id = :subscription_id AND (paid_from IS NULL OR paid_from <= :paid_from);

-- name: had_trial
-- Whether a user has had their trial of a family.
SELECT 1 FROM tallybook.subscription_trials WHERE user_id = :user_id AND plan_family = :plan_family;

-- name: used_code
-- Whether a subscription of a user began with a promotion code.
SELECT EXISTS (
    SELECT 1 FROM tallybook.subscriptions
    WHERE user_id = :user_id AND stripe_promotion_code_id = :promotion_code_id AND stripe_subscription_id IS NOT NULL
) AS used;

-- name: begin_trial
-- Write down that a user has had their trial of a family; no row when they had it before.
INSERT INTO tallybook.subscription_trials (user_id, plan_family, subscription_id, began_at)
VALUES (:user_id, :plan_family, :subscription_id, :now)
ON CONFLICT DO NOTHING
RETURNING subscription_id;

-- name: trial_of
-- Whether a user's trial of a family is the one of this subscription.
SELECT 1 FROM tallybook.subscription_trials
WHERE user_id = :user_id AND plan_family = :plan_family AND subscription_id = :subscription_id;

-- name: by_stripe_ids
-- Subscriptions by Stripe's ids.
SELECT * FROM tallybook.subscriptions WHERE stripe_subscription_id = any(:stripe_subscription_ids);

-- name: living
-- Stripe's ids of the subscriptions that have not ended in our books.
SELECT stripe_subscription_id FROM tallybook.subscriptions
WHERE stripe_subscription_id IS NOT NULL AND status NOT IN ('canceled', 'incomplete_expired', 'abandoned')
ORDER BY subscription_id;
