-- name: project_refund
-- A refund as Stripe has it now.
INSERT INTO tallybook.refunds (
    stripe_refund_id, stripe_payment_intent_id, amount_minor, currency, status, reason, failure_reason, created_at, updated_at
) VALUES (
    :stripe_refund_id, :stripe_payment_intent_id, :amount_minor, :currency, :status, :reason, :failure_reason, :created_at, :now
)
ON CONFLICT (stripe_refund_id) DO UPDATE SET
    amount_minor = excluded.amount_minor, status = excluded.status, reason = excluded.reason,
    failure_reason = excluded.failure_reason, updated_at = excluded.updated_at
WHERE (refunds.amount_minor, refunds.status, refunds.reason, refunds.failure_reason)
    IS DISTINCT FROM (excluded.amount_minor, excluded.status, excluded.reason, excluded.failure_reason);

-- name: project_dispute
-- A dispute as Stripe has it now.
INSERT INTO tallybook.disputes (
    stripe_dispute_id, stripe_payment_intent_id, amount_minor, currency, status, reason, withdrawn, created_at, updated_at
) VALUES (
    :stripe_dispute_id, :stripe_payment_intent_id, :amount_minor, :currency, :status, :reason, :withdrawn, :created_at, :now
)
ON CONFLICT (stripe_dispute_id) DO UPDATE SET
    amount_minor = excluded.amount_minor, status = excluded.status, reason = excluded.reason,
    withdrawn = excluded.withdrawn, updated_at = excluded.updated_at
WHERE (disputes.amount_minor, disputes.status, disputes.reason, disputes.withdrawn)
    IS DISTINCT FROM (excluded.amount_minor, excluded.status, excluded.reason, excluded.withdrawn);

-- name: found_refund
-- A refund that we asked for was made, whether or not we heard Stripe's answer.
UPDATE tallybook.refund_intents SET status = 'made', stripe_refund_id = :stripe_refund_id, updated_at = :now
WHERE refund_intent_id = :refund_intent_id AND status <> 'made';

-- name: refunds
-- All refunds of a payment intent, oldest first.
SELECT * FROM tallybook.refunds
WHERE stripe_payment_intent_id = :stripe_payment_intent_id ORDER BY created_at, stripe_refund_id;

-- name: disputes
-- All disputes of a payment intent, oldest first.
SELECT * FROM tallybook.disputes
WHERE stripe_payment_intent_id = :stripe_payment_intent_id ORDER BY created_at, stripe_dispute_id;

-- name: lots
-- The lots that a payment brought, what is left of each, and when something was last taken for it.
SELECT
    p.lot_version, p.credits_micro, l.priority, l.expires_at, l.reference, l.available_micro, l.held_micro,
    taken.refunded_at, taken.disputed_at
FROM tallybook.payment_lots AS p
INNER JOIN tallybook.lots_now AS l ON l.wallet_id = p.wallet_id AND l.version = p.lot_version
LEFT JOIN LATERAL (
    SELECT
        max(s.created_at) FILTER (WHERE s.house = 'refunded') AS refunded_at,
        max(s.created_at) FILTER (WHERE s.house = 'disputed') AS disputed_at
    FROM tallybook.payment_steps AS s
    WHERE s.payment_id = p.payment_id AND s.lot_version = p.lot_version AND s.amount_micro > 0
) AS taken ON true
WHERE p.payment_id = :payment_id
ORDER BY p.lot_version;

-- name: record_step
-- Credits moved for money that went back or came again.
INSERT INTO tallybook.payment_steps (
    payment_id, step, wallet_id, lot_version, house, amount_micro, transfer_version, created_at
) VALUES (
    :payment_id, :step, :wallet_id, :lot_version, :house, :amount_micro, :transfer_version, :now
);

-- name: follow
-- What went back of a payment, and what was taken for it.
UPDATE tallybook.payments SET
    refunded_minor = :refunded_minor, disputed_minor = :disputed_minor,
    refunded_micro = :refunded_micro, disputed_micro = :disputed_micro, steps = :steps, updated_at = :now
WHERE payment_id = :payment_id;

-- name: freeze
-- Freeze a wallet for a cause, or end that cause.
SELECT tallybook.freeze_wallet_v1(:now, :wallet_id, :cause, :frozen) AS changed;

-- name: freezes
-- Why a wallet is frozen.
SELECT cause, since FROM tallybook.wallet_freezes
WHERE wallet_id = :wallet_id ORDER BY since, cause;
