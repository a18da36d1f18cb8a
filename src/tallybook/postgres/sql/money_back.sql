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
-- The lots that a payment brought, each with those in which its credits were restored, and what became of them. What a change
-- of plans returned is not its credits any more: the money for it stayed with the merchant for other credits.
WITH family AS (
    SELECT
        p.wallet_id, p.lot_version AS root, p.lot_version AS member, p.credits_micro - p.returned_micro AS brought
    FROM tallybook.payment_lots AS p
    WHERE p.payment_id = :payment_id
    UNION ALL
    SELECT s.wallet_id, s.lot_version, s.transfer_version, -s.amount_micro AS brought
    FROM tallybook.payment_steps AS s
    WHERE s.payment_id = :payment_id AND s.amount_micro < 0
),

present AS (
    SELECT
        f.root, sum(f.brought)::bigint AS brought_micro, sum(l.available_micro)::bigint AS available_micro,
        sum(l.held_micro)::bigint AS held_micro, coalesce(sum(gone.micro), 0)::bigint AS expired_micro
    FROM family AS f
    INNER JOIN tallybook.lots_now AS l ON l.wallet_id = f.wallet_id AND l.version = f.member
    LEFT JOIN LATERAL (
        SELECT sum(t.amount_micro) AS micro FROM tallybook.transfers AS t
        WHERE t.wallet_id = f.wallet_id AND t.lot_version = f.member AND t.kind = 'expire'
    ) AS gone ON true
    GROUP BY f.root
),

taken AS (
    SELECT f.root, sum(m.amount_micro)::bigint AS taken_micro
    FROM tallybook.payment_steps AS s
    INNER JOIN tallybook.lot_moves AS m ON m.wallet_id = s.wallet_id AND m.version = s.transfer_version
    INNER JOIN family AS f ON f.member = m.lot_version
    WHERE s.payment_id = :payment_id AND s.amount_micro > 0
    GROUP BY f.root
),

posted AS (
    SELECT
        s.lot_version AS root,
        sum(s.amount_micro) FILTER (WHERE s.house = 'refunded')::bigint AS refunded_micro,
        sum(s.amount_micro) FILTER (WHERE s.house = 'disputed')::bigint AS disputed_micro,
        max(s.created_at) FILTER (WHERE s.house = 'refunded' AND s.amount_micro > 0) AS refunded_at,
        max(s.created_at) FILTER (WHERE s.house = 'disputed' AND s.amount_micro > 0) AS disputed_at
    FROM tallybook.payment_steps AS s
    WHERE s.payment_id = :payment_id
    GROUP BY s.lot_version
)

SELECT
    p.lot_version, p.credits_micro - p.returned_micro AS credits_micro, l.priority, l.expires_at, l.reference,
    n.brought_micro, n.available_micro, n.held_micro, n.expired_micro,
    coalesce(t.taken_micro, 0) AS taken_micro,
    coalesce(d.refunded_micro, 0) AS refunded_micro, coalesce(d.disputed_micro, 0) AS disputed_micro,
    d.refunded_at, d.disputed_at
FROM tallybook.payment_lots AS p
INNER JOIN tallybook.lots AS l ON l.wallet_id = p.wallet_id AND l.version = p.lot_version
INNER JOIN present AS n ON n.root = p.lot_version
LEFT JOIN taken AS t ON t.root = p.lot_version
LEFT JOIN posted AS d ON d.root = p.lot_version
WHERE p.payment_id = :payment_id
ORDER BY p.lot_version;

-- name: record_step
-- Credits moved for money that went back or came again.
INSERT INTO tallybook.payment_steps (
    payment_id, step, wallet_id, lot_version, house, amount_micro, transfer_version, created_at
) VALUES (
    :payment_id, :step, :wallet_id, :lot_version, :house, :amount_micro, :transfer_version, :now
);

-- name: transfers_since
-- The transfers of a payment's steps after one, oldest first.
SELECT wallet_id, transfer_version FROM tallybook.payment_steps
WHERE payment_id = :payment_id AND step > :step ORDER BY step;

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

-- name: refunds_of
-- All refunds of some payment intents.
SELECT * FROM tallybook.refunds WHERE stripe_payment_intent_id = any(:payment_intents);

-- name: disputes_of
-- All disputes of some payment intents.
SELECT * FROM tallybook.disputes WHERE stripe_payment_intent_id = any(:payment_intents);

-- name: undecided
-- The payment intents of which a refund is on its way or a dispute open, as far as we know.
SELECT stripe_payment_intent_id FROM tallybook.refunds WHERE status IN ('pending', 'requires_action')
UNION
SELECT stripe_payment_intent_id FROM tallybook.disputes WHERE status NOT IN ('won', 'lost', 'warning_closed', 'prevented')
ORDER BY stripe_payment_intent_id;
