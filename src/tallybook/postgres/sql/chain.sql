-- name: transfers
-- Every transfer in the order of its wallet's chain, with what the wallet's row says, if there is one.
SELECT
    t.*, w.wallet_id AS wallet_there, w.owner_user_id, w.owner_organisation_id, w.version AS wallet_version,
    w.digest AS wallet_digest
FROM tallybook.transfers AS t
LEFT JOIN tallybook.wallets AS w ON w.wallet_id = t.wallet_id
ORDER BY t.wallet_id, t.version;

-- name: empty_wallets
-- The wallets that have no transfer.
SELECT w.wallet_id, w.owner_user_id, w.owner_organisation_id, w.version, w.digest
FROM tallybook.wallets AS w
WHERE NOT EXISTS (SELECT 1 FROM tallybook.transfers AS t WHERE t.wallet_id = w.wallet_id);
