-- name: books
-- How much there is, and what all wallets have together.
SELECT
    count(*) AS wallets,
    coalesce(max(w.wallet_id), 0) AS highest_wallet,
    coalesce(sum(w.version), 0)::bigint AS transfers,
    (SELECT count(*) FROM tallybook.refusals) AS refusals,
    coalesce(sum(w.available_micro), 0)::bigint AS available_micro,
    coalesce(sum(w.held_micro), 0)::bigint AS held_micro,
    coalesce(sum(w.debt_micro), 0)::bigint AS debt_micro
FROM tallybook.wallets AS w;

-- name: moved
-- The wallets of a range of ids that are not as they were last anchored, and anchored ones that are gone.
WITH known AS (
    SELECT *
    FROM unnest(:wallets::bigint [], :versions::bigint [], :refusals::bigint []) AS k (wallet_id, version, refusals)
),

there AS (
    SELECT
        w.wallet_id,
        w.version
    FROM tallybook.wallets AS w WHERE w.wallet_id BETWEEN :lowest AND :highest
),

refused AS (
    SELECT
        f.wallet_id,
        count(*) AS refusals
    FROM tallybook.refusals AS f WHERE f.wallet_id BETWEEN :lowest AND :highest GROUP BY f.wallet_id
),

compared AS (
    SELECT
        coalesce(t.wallet_id, k.wallet_id) AS wallet_id,
        t.version,
        coalesce(k.version, 0) AS known_version,
        coalesce(r.refusals, 0) AS refusals,
        coalesce(k.refusals, 0) AS known_refusals
    FROM there AS t
    FULL JOIN known AS k ON k.wallet_id = t.wallet_id
    LEFT JOIN refused AS r ON r.wallet_id = coalesce(t.wallet_id, k.wallet_id)
)

SELECT
    c.*,
    b.digest AS known_head
FROM compared AS c
LEFT JOIN tallybook.transfers AS b ON b.wallet_id = c.wallet_id AND b.version = c.known_version
WHERE c.version IS DISTINCT FROM c.known_version OR c.refusals <> c.known_refusals
ORDER BY c.wallet_id;

-- name: spans
-- For each span of a wallet's transfers: the beginnings of their digests one after another, and the last digest.
SELECT
    s.place,
    (
        SELECT string_agg(substr(t.digest, 1, :link_bytes::integer), ''::bytea ORDER BY t.version)
        FROM tallybook.transfers AS t
        WHERE t.wallet_id = s.wallet_id AND t.version > s.after AND t.version <= s.upto
    ) AS links,
    (SELECT t.digest FROM tallybook.transfers AS t WHERE t.wallet_id = s.wallet_id AND t.version = s.upto) AS head
FROM
    unnest(:wallets::bigint [], :afters::bigint [], :uptos::bigint [])
WITH ORDINALITY AS s (wallet_id, after, upto, place)
ORDER BY s.place;

-- name: versions
-- The digests of one span, transfer by transfer.
SELECT
    t.version,
    t.digest
FROM tallybook.transfers AS t
WHERE t.wallet_id = :wallet_id AND t.version > :after AND t.version <= :upto
ORDER BY t.version;

-- name: head
-- Where a wallet is now: a row also when the wallet is gone, with the newest transfer that is left.
SELECT
    (SELECT w.version FROM tallybook.wallets AS w WHERE w.wallet_id = :wallet_id) AS wallet_version,
    (SELECT coalesce(max(t.version), 0) FROM tallybook.transfers AS t WHERE t.wallet_id = :wallet_id) AS newest;

-- name: refused_since
-- Refusals newer than the last anchored one; where counts show that times were not in order, all of the wallet's.
WITH counted AS (
    SELECT
        k.wallet_id,
        k.until,
        count(*) AS total,
        max(g.created_at) AS latest,
        count(*) <> k.known + count(*) FILTER (WHERE g.created_at > k.until) AS anew
    FROM unnest(:wallets::bigint [], :untils::timestamptz [], :known::bigint []) AS k (wallet_id, until, known)
    INNER JOIN tallybook.refusals AS g ON g.wallet_id = k.wallet_id
    GROUP BY k.wallet_id, k.until, k.known
)

SELECT
    f.wallet_id,
    f.app_id,
    f.wallet_version,
    sha256(convert_to(jsonb_build_array(f.app_id, f.key)::text, 'UTF8')) AS key_digest,
    f.digest,
    c.total,
    c.latest
FROM counted AS c
INNER JOIN tallybook.refusals AS f ON f.wallet_id = c.wallet_id AND (f.created_at > c.until OR c.anew)
ORDER BY f.wallet_id, f.created_at, f.app_id, f.key;

-- name: refusals_gone
-- Which of these refusals are not there as they were anchored.
WITH found AS (
    SELECT
        f.wallet_id,
        substr(f.digest, 1, :digest_bytes::integer) AS digest
    FROM tallybook.refusals AS f WHERE f.wallet_id = any(:wallets::bigint [])
)

SELECT asked.place
FROM
    unnest(:wallets::bigint [], :digests::bytea [])
WITH ORDINALITY AS asked (wallet_id, digest, place)
LEFT JOIN found ON found.wallet_id = asked.wallet_id AND found.digest = asked.digest
WHERE found.wallet_id IS NULL
ORDER BY asked.place;

-- name: refusal_by_key
-- The refusal that is there now under a key of which only the digest is known.
SELECT
    f.key,
    f.app_id
FROM tallybook.refusals AS f
WHERE
    f.wallet_id = :wallet_id AND f.app_id = :app_id
    AND substr(sha256(convert_to(jsonb_build_array(f.app_id, f.key)::text, 'UTF8')), 1, :key_bytes::integer)
    = :key_digest::bytea;
