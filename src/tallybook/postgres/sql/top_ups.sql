-- name: keep
-- Keep a wallet's rule; a changed one begins anew.
INSERT INTO tallybook.top_up_rules (
    wallet_id, user_id, enabled, threshold_micro, lookup_key, quantity, credits_micro, monthly_cap_minor, currency,
    not_before, created_at, updated_at
) VALUES (
    :wallet_id, :user_id, :enabled, :threshold_micro, :lookup_key, :quantity, :credits_micro, :monthly_cap_minor,
    :currency, :now, :now, :now
)
ON CONFLICT (wallet_id) DO UPDATE SET
    enabled = excluded.enabled, threshold_micro = excluded.threshold_micro, lookup_key = excluded.lookup_key,
    quantity = excluded.quantity, credits_micro = excluded.credits_micro,
    monthly_cap_minor = excluded.monthly_cap_minor, currency = excluded.currency,
    revision = top_up_rules.revision + 1, declines = 0, not_before = excluded.not_before, stopped = NULL,
    updated_at = excluded.updated_at
RETURNING *;

-- name: rule
-- A wallet's rule.
SELECT * FROM tallybook.top_up_rules WHERE wallet_id = :wallet_id;

-- name: locked
-- A wallet's rule, locked until the transaction ends.
SELECT * FROM tallybook.top_up_rules WHERE wallet_id = :wallet_id FOR UPDATE;

-- name: remove
-- Forget a wallet's rule.
DELETE FROM tallybook.top_up_rules WHERE wallet_id = :wallet_id;

-- name: due
-- The next wallets below their threshold whose card may be charged, in the order of their numbers.
SELECT r.wallet_id
FROM tallybook.top_up_rules AS r
INNER JOIN tallybook.wallets AS w ON w.wallet_id = r.wallet_id
WHERE r.enabled AND r.stopped IS NULL AND r.not_before <= :now AND r.wallet_id > :after
    AND w.available_micro - w.debt_micro < r.threshold_micro
    AND NOT EXISTS (
        SELECT 1 FROM tallybook.payment_intents AS p
        WHERE p.wallet_id = r.wallet_id AND p.source = 'top_up'
            AND p.status IN ('intended', 'open', 'processing', 'needs_action')
    )
ORDER BY r.wallet_id LIMIT :limit;

-- name: succeeded
-- A charge went through: the next decline is the first.
UPDATE tallybook.top_up_rules SET declines = 0, not_before = :now, stopped = NULL, updated_at = :now
WHERE wallet_id = :wallet_id;

-- name: set_back
-- A charge failed, or cannot be made now.
UPDATE tallybook.top_up_rules SET
    declines = :declines, not_before = :not_before, stopped = :stopped, updated_at = :now
WHERE wallet_id = :wallet_id;

-- name: resume
-- The customer's card is another one: what was stopped goes on.
UPDATE tallybook.top_up_rules SET declines = 0, not_before = :now, stopped = NULL, updated_at = :now
WHERE user_id = :user_id AND (stopped IS NOT NULL OR declines > 0)
RETURNING wallet_id;

-- name: announce
-- Have it heard, once for each key.
INSERT INTO tallybook.announcements (kind, wallet_id, app_id, key, facts, happened_at, created_at)
VALUES (:kind, :wallet_id, 0, :key, :facts, :now, :now)
ON CONFLICT (key) DO NOTHING;

-- name: tell
-- Wake whoever delivers announcements.
SELECT pg_notify('tallybook_announcements', '');
