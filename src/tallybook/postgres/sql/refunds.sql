-- name: intend
-- Write down that so much of a payment is to be given back; no row when its key was used before.
INSERT INTO tallybook.refund_intents (payment_id, key, amount_minor, asked_minor, reason, created_at, updated_at)
VALUES (:payment_id, :key, :amount_minor, :asked_minor, :reason, :now, :now)
ON CONFLICT (payment_id, key) DO NOTHING
RETURNING *;

-- name: by_key
-- What was asked for under a key.
SELECT * FROM tallybook.refund_intents
WHERE payment_id = :payment_id AND key = :key;

-- name: refused
-- Stripe will never make it under this attempt's key: whoever asks again gets a new one.
UPDATE tallybook.refund_intents SET status = 'refused', attempt = attempt + 1, updated_at = :now
WHERE refund_intent_id = :refund_intent_id AND attempt = :attempt AND status <> 'made';
