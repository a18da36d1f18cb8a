-- name: intend
-- Write a payment intent down before Stripe is asked; no row when its key was used, or a top-up is in flight.
INSERT INTO tallybook.payment_intents (
    intent_id, source, user_id, wallet_id, app_id, key, terms, lookup_key, quantity, description, credits_micro,
    amount_minor, currency, saves_method, look_at, created_at, updated_at
) VALUES (
    gen_random_uuid(), :source, :user_id, :wallet_id, :app_id, :key, :terms, :lookup_key, :quantity, :description,
    :credits_micro, :amount_minor, :currency, :saves_method, :look_at, :now, :now
)
ON CONFLICT DO NOTHING
RETURNING *;

-- name: by_number
-- A payment intent by our number.
SELECT * FROM tallybook.payment_intents WHERE number = :number;

-- name: by_key
-- A payment intent by the key it was asked for with.
SELECT * FROM tallybook.payment_intents
WHERE user_id = :user_id AND app_id = :app_id AND key = :key;

-- name: by_stripe_id
-- A payment intent by Stripe's id.
SELECT * FROM tallybook.payment_intents WHERE stripe_id = :stripe_id;

-- name: lock_by_stripe_id
-- A payment intent by Stripe's id, locked until the transaction ends.
SELECT * FROM tallybook.payment_intents WHERE stripe_id = :stripe_id FOR UPDATE;

-- name: lock_by_number
-- A payment intent by our number, locked until the transaction ends.
SELECT * FROM tallybook.payment_intents WHERE number = :number FOR UPDATE;

-- name: bind
-- Keep whom and what a top-up charges, unless another try did: a retry asks Stripe for the very same.
UPDATE tallybook.payment_intents SET
    stripe_customer_id = :stripe_customer_id, stripe_payment_method_id = :stripe_payment_method_id, updated_at = :now
WHERE number = :number AND stripe_customer_id IS NULL;

-- name: opened
-- Keep the payment intent that Stripe made of it, unless another try did.
UPDATE tallybook.payment_intents SET
    stripe_id = :stripe_id, stripe_customer_id = :stripe_customer_id, updated_at = :now,
    status = CASE WHEN status = 'intended' THEN 'open' ELSE status END
WHERE number = :number AND stripe_id IS NULL;

-- name: next_attempt
-- The attempt ended for good without a payment intent: the next one gets a key of its own.
UPDATE tallybook.payment_intents SET attempt = attempt + 1, updated_at = :now
WHERE number = :number AND attempt = :attempt AND stripe_id IS NULL;

-- name: followed
-- Write down what Stripe reported; succeeded is final.
UPDATE tallybook.payment_intents SET
    status = :status,
    failure_code = :failure_code,
    granted_version = coalesce(:granted_version, granted_version),
    look_at = :look_at,
    updated_at = :now
WHERE number = :number AND status <> 'succeeded';

-- name: take_up
-- The top-ups whose outcome is not known and that nobody works on: ours until then.
UPDATE tallybook.payment_intents SET look_at = :until
WHERE number IN (
    SELECT p.number FROM tallybook.payment_intents AS p
    WHERE p.source = 'top_up' AND p.status IN ('intended', 'open', 'processing', 'needs_action') AND p.look_at <= :now
    ORDER BY p.look_at LIMIT :limit FOR UPDATE SKIP LOCKED
)
RETURNING *;

-- name: charged_since
-- What top-ups of a wallet have charged, or may still charge, since a time.
SELECT coalesce(sum(amount_minor), 0)::bigint AS amount_minor FROM tallybook.payment_intents
WHERE wallet_id = :wallet_id AND source = 'top_up' AND currency = :currency AND created_at >= :since
    AND status IN ('intended', 'open', 'processing', 'needs_action', 'succeeded');

-- name: page
-- A page of the payment intents of a wallet, newest first.
SELECT * FROM tallybook.payment_intents
WHERE wallet_id = :wallet_id AND number < :before AND (:source::text IS NULL OR source = :source)
ORDER BY number DESC LIMIT :limit;
