-- name: intend
-- Write a checkout down before Stripe is asked; no row when its key was used before.
INSERT INTO tallybook.checkouts (
    intent_id, user_id, wallet_id, app_id, key, terms, mode, lookup_key, product_name, stripe_price_id,
    quantity, credits_micro, amount_minor, currency, success_url, cancel_url, created_at, updated_at
) VALUES (
    gen_random_uuid(), :user_id, :wallet_id, :app_id, :key, :terms, :mode, :lookup_key, :product_name,
    :stripe_price_id, :quantity, :credits_micro, :amount_minor, :currency, :success_url, :cancel_url,
    :now, :now
)
ON CONFLICT (user_id, app_id, key) WHERE key IS NOT NULL DO NOTHING
RETURNING checkout_id;

-- name: by_id
-- A checkout by its number.
SELECT * FROM tallybook.checkouts
WHERE checkout_id = :checkout_id;

-- name: by_key
-- A checkout by the key it was asked for with.
SELECT * FROM tallybook.checkouts
WHERE user_id = :user_id AND app_id = :app_id AND key = :key;

-- name: by_session
-- The checkout that opened a Stripe session.
SELECT * FROM tallybook.checkouts
WHERE stripe_session_id = :stripe_session_id;

-- name: lock_by_session
-- The checkout that opened a Stripe session, locked until the transaction ends.
SELECT * FROM tallybook.checkouts
WHERE stripe_session_id = :stripe_session_id FOR UPDATE;

-- name: opened
-- Keep the Stripe session that the intent became, unless another request already did.
UPDATE tallybook.checkouts SET
    stripe_session_id = :stripe_session_id, stripe_customer_id = :stripe_customer_id,
    url = :url, expires_at = :expires_at, status = 'open', updated_at = :now
WHERE checkout_id = :checkout_id AND stripe_session_id IS NULL;

-- name: next_attempt
-- The attempt ended for good without a session: the next one gets a key of its own.
UPDATE tallybook.checkouts SET attempt = attempt + 1, updated_at = :now
WHERE checkout_id = :checkout_id AND attempt = :attempt AND stripe_session_id IS NULL;

-- name: followed
-- Write down what Stripe reported; paid is final.
UPDATE tallybook.checkouts SET
    status = :status,
    stripe_payment_intent_id = coalesce(:payment_intent_id, stripe_payment_intent_id),
    payment_status = :payment_status,
    session_metadata = :session_metadata,
    paid_minor = coalesce(:paid_minor, paid_minor),
    granted_version = coalesce(:granted_version, granted_version),
    updated_at = :now
WHERE checkout_id = :checkout_id AND status <> 'paid';

-- name: by_sessions
-- The checkouts that opened some Stripe sessions.
SELECT * FROM tallybook.checkouts
WHERE stripe_session_id = any(:stripe_session_ids);

-- name: unsettled
-- The sessions of checkouts that wait for their customer or their payment, made before a moment.
SELECT stripe_session_id FROM tallybook.checkouts
WHERE status IN ('open', 'processing') AND stripe_session_id IS NOT NULL AND created_at < :before
ORDER BY checkout_id;
