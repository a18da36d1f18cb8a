-- name: record
-- Write a payment down; no row when it already is.
INSERT INTO tallybook.payments (
    wallet_id, user_id, source, reference, stripe_customer_id, stripe_payment_intent_id, lookup_key, description, paid_minor,
    from_balance_minor, tax_minor, currency, credits_micro, receipt_url, paid_at, updated_at
) VALUES (
    :wallet_id, :user_id, :source, :reference, :stripe_customer_id, :stripe_payment_intent_id, :lookup_key, :description,
    :paid_minor, :from_balance_minor, :tax_minor, :currency, :credits_micro, :receipt_url, :paid_at, :now
)
ON CONFLICT (reference) DO NOTHING
RETURNING *;

-- name: record_lot
-- A lot that a payment brought.
INSERT INTO tallybook.payment_lots (payment_id, wallet_id, lot_version, credits_micro)
VALUES (:payment_id, :wallet_id, :lot_version, :credits_micro);

-- name: by_reference
-- A payment by the Stripe object that its credits were granted for.
SELECT * FROM tallybook.payments
WHERE reference = :reference;

-- name: by_payment_intent
-- A payment by its payment intent.
SELECT * FROM tallybook.payments
WHERE stripe_payment_intent_id = :stripe_payment_intent_id;

-- name: locked_by_payment_intent
-- A payment by its payment intent, locked until the transaction ends.
SELECT * FROM tallybook.payments
WHERE stripe_payment_intent_id = :stripe_payment_intent_id FOR UPDATE;

-- name: by_id
-- A payment.
SELECT * FROM tallybook.payments
WHERE payment_id = :payment_id;

-- name: newest
-- A page of payments, newest first, before a number; of one user, if one is named.
SELECT * FROM tallybook.payments
WHERE payment_id < :before AND (:user_id::bigint IS NULL OR user_id = :user_id)
ORDER BY payment_id DESC LIMIT :limit;

-- name: receipt
-- Where Stripe shows the payment to its customer.
UPDATE tallybook.payments SET receipt_url = :receipt_url
WHERE stripe_payment_intent_id = :stripe_payment_intent_id AND receipt_url IS DISTINCT FROM :receipt_url;

-- name: by_references
-- Payments by the Stripe objects that their credits were granted for.
SELECT * FROM tallybook.payments
WHERE reference = any(:stripe_ids);

-- name: by_payment_intents
-- Payments by their payment intents.
SELECT * FROM tallybook.payments
WHERE stripe_payment_intent_id = any(:payment_intents);

-- name: paid_within
-- Payments of a time, in the order they came.
SELECT * FROM tallybook.payments
WHERE paid_at >= :since AND paid_at < :until AND payment_id > :after
ORDER BY payment_id LIMIT :limit;
