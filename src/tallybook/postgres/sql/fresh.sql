-- name: key_holders
-- Some API keys by their hashes, each with its app.
SELECT
    k.api_key_id, k.app_id AS key_app_id, k.prefix, k.key_hash, k.label, k.created_at AS key_created_at,
    k.expires_at, k.revoked_at, k.last_used_at, a.*
FROM tallybook.api_keys AS k
INNER JOIN tallybook.apps AS a ON a.app_id = k.app_id
WHERE k.key_hash = any(:key_hashes);

-- name: sessions
-- Some sessions, each with its user and app: all that an authenticated request needs.
SELECT
    s.session_id, s.refresh_generation, s.refreshed_at, s.created_at AS session_created_at, s.expires_at,
    s.revoked_at, u.user_id, u.email, u.role, u.is_active AS user_is_active,
    u.created_at AS user_created_at, u.sessions_valid_from, a.app_id, a.public_id, a.name, a.domain,
    a.permissions, a.requires_api_key, a.is_active, a.database_role, a.created_at, a.updated_at
FROM tallybook.sessions AS s
INNER JOIN tallybook.users AS u ON u.user_id = s.user_id
INNER JOIN tallybook.apps AS a ON a.app_id = s.app_id
WHERE s.session_id = any(:session_ids);

-- name: wallets_of_users
-- Some users: whether each is active, and the default wallet as it is now, if it is open.
SELECT u.user_id, u.is_active AS owner_is_active, w.*
FROM tallybook.users AS u
LEFT JOIN tallybook.wallets AS w ON w.owner_user_id = u.user_id AND w.is_default
WHERE u.user_id = any(:user_ids);

-- name: wallets
-- Some wallets as they are now; an organisation counts as active.
SELECT w.*, coalesce(u.is_active, true) AS owner_is_active
FROM tallybook.wallets AS w
LEFT JOIN tallybook.users AS u ON u.user_id = w.owner_user_id
WHERE w.wallet_id = any(:wallet_ids);

-- name: members
-- Those of some pairs of organisation and user that are members.
SELECT m.organisation_id, m.user_id
FROM tallybook.organisation_members AS m
INNER JOIN unnest(:organisation_ids::bigint [], :user_ids::bigint []) AS asked (organisation_id, user_id)
    ON asked.organisation_id = m.organisation_id AND asked.user_id = m.user_id;

-- name: carried_holds
-- Some holds as they are now, each with the app that it belongs to: all that is asked of a hold token.
SELECT h.*, a.public_id AS app_public_id, a.is_active OR a.app_id = 0 AS app_is_open
FROM tallybook.holds AS h
INNER JOIN tallybook.apps AS a ON a.app_id = h.app_id
INNER JOIN unnest(:wallet_ids::bigint [], :versions::bigint []) AS asked (wallet_id, version)
    ON asked.wallet_id = h.wallet_id AND asked.version = h.version;

-- name: holds
-- Some holds as they are now.
SELECT h.*
FROM tallybook.holds AS h
INNER JOIN unnest(:wallet_ids::bigint [], :versions::bigint []) AS asked (wallet_id, version)
    ON asked.wallet_id = h.wallet_id AND asked.version = h.version;
