-- name: record
-- Write a payment down; no row when it already is.
INSERT INTO tallybook.payments (
    wallet_id, user_id, source, reference, stripe_customer_id, stripe_payment_intent_id, lookup_key, description, paid_minor,
    currency, credits_micro, paid_at, updated_at
) VALUES (
    :wallet_id, :user_id, :source, :reference, :stripe_customer_id, :stripe_payment_intent_id, :lookup_key, :description,
    :paid_minor, :currency, :credits_micro, :now, :now
)
ON CONFLICT (reference) DO NOTHING
RETURNING payment_id;

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
