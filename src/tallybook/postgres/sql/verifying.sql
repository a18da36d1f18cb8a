-- name: verify
-- Every broken promise of the wallets of a range of ids; no row means their books tie.
SELECT * FROM tallybook.verify_v3(:first, :last);

-- name: ranges
-- The last id of each range of wallets with about so many transfers, and how many it has by what wallets say, whatever that is.
SELECT max(part.wallet_id) AS last, least(sum(part.version), 9223372036854775807)::bigint AS transfers
FROM (
    SELECT w.wallet_id, w.version, div(sum(w.version::numeric + 1) OVER (ORDER BY w.wallet_id), :transfers::bigint) AS number
    FROM tallybook.wallets AS w
) AS part
GROUP BY part.number ORDER BY last;

-- name: totals
-- How much there is to verify.
SELECT
    (SELECT count(*) FROM tallybook.wallets) AS wallets,
    (SELECT count(*) FROM tallybook.transfers) AS transfers,
    (SELECT count(*) FROM tallybook.holds) AS holds;
