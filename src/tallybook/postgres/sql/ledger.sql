-- name: post
-- Post a batch of requests to the ledger.
SELECT * FROM tallybook.post_v2(
    :now, :wait, :ops, :wallets, :apps, :amounts, :keys, :holds, :rests
) ORDER BY ord;

-- name: post_all
-- Post all of a batch or nothing of it.
SELECT * FROM tallybook.post_all_v2(:now, :ops, :wallets, :apps, :amounts, :keys, :holds, :rests) ORDER BY ord;

-- name: places
-- Where the credits of users are, of many at once.
SELECT u.user_id, u.is_active, w.wallet_id
FROM tallybook.users AS u
LEFT JOIN tallybook.wallets AS w ON w.owner_user_id = u.user_id AND w.is_default
WHERE u.user_id = any(:user_ids);

-- name: owners
-- Whether wallets are there and their owners active, of many at once; an organisation counts as active.
SELECT w.wallet_id, coalesce(u.is_active, true) AS is_active
FROM tallybook.wallets AS w
LEFT JOIN tallybook.users AS u ON u.user_id = w.owner_user_id
WHERE w.wallet_id = any(:wallet_ids);

-- name: extend_hold
-- Let an open hold live longer.
SELECT code, facts FROM tallybook.extend_hold_v2(:now, :wallet_id, :version, :lifetime_seconds);

-- name: settle_due
-- Settle holds and lots that are due, of a few wallets.
SELECT wallets, settled FROM tallybook.settle_due_v2(:now, :limit);

-- name: open_wallet
-- The default wallet of a user or an organisation, opened if there is none.
SELECT tallybook.open_wallet_v1(:now, :user_id, :organisation_id) AS wallet_id;

-- name: claim
-- Claim a Stripe object for a wallet; gives back who holds it.
SELECT tallybook.claim_v1(:now, :livemode, :object_kind, :object_id, :wallet_id) AS wallet_id;

-- name: wallet
-- A wallet as it is now; an organisation counts as active.
SELECT w.*, coalesce(u.is_active, true) AS owner_is_active
FROM tallybook.wallets AS w
LEFT JOIN tallybook.users AS u ON u.user_id = w.owner_user_id
WHERE w.wallet_id = :wallet_id;

-- name: transfers_before
-- A page of a wallet's history, newest first, before a version.
SELECT t.*, n.description, n.service, n.metadata
FROM tallybook.transfers AS t
LEFT JOIN tallybook.notes AS n ON n.wallet_id = t.wallet_id AND n.version = t.version
WHERE t.wallet_id = :wallet_id AND t.version < :before
ORDER BY t.version DESC LIMIT :limit;

-- name: transfer
-- One transfer.
SELECT t.*, n.description, n.service, n.metadata
FROM tallybook.transfers AS t
LEFT JOIN tallybook.notes AS n ON n.wallet_id = t.wallet_id AND n.version = t.version
WHERE t.wallet_id = :wallet_id AND t.version = :version;

-- name: hold
-- One hold as it is now.
SELECT * FROM tallybook.holds WHERE wallet_id = :wallet_id AND version = :version;

-- name: holds
-- A page of a wallet's holds, newest first, before a version; of one app, and of one user's sessions, if they are named.
SELECT * FROM tallybook.holds
WHERE wallet_id = :wallet_id AND version < :before
AND (:app_id::integer IS NULL OR app_id = :app_id)
AND (:session_user_id::bigint IS NULL OR session_user_id = :session_user_id)
AND CASE :status::text
    WHEN 'open' THEN settled_at IS NULL
    WHEN 'settled' THEN settled_at IS NOT NULL
    WHEN 'left_behind' THEN settled_by = 'expiry'
    ELSE true END
ORDER BY version DESC LIMIT :limit;

-- name: lots
-- The lots of a wallet that still have credits, in burn order.
SELECT * FROM tallybook.lots_now
WHERE wallet_id = :wallet_id AND available_micro + held_micro > 0
ORDER BY priority, expires_at, version;
