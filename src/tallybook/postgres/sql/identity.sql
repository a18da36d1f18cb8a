-- name: add_user
-- Add a user; no row when the e-mail is taken.
INSERT INTO tallybook.users (
    email, email_key, password_hash, role, sessions_valid_from, created_at, updated_at
)
VALUES (:email, :email_key, :password_hash, :role, :now, :now, :now)
ON CONFLICT (email_key) DO NOTHING
RETURNING user_id, email, role, is_active, created_at;

-- name: user_by_id
-- One user.
SELECT user_id, email, role, is_active, created_at FROM tallybook.users WHERE user_id = :user_id;

-- name: user_by_email
-- One user by the folded e-mail.
SELECT user_id, email, role, is_active, created_at
FROM tallybook.users WHERE email_key = :email_key;

-- name: users_after
-- A page of users in the order they came.
SELECT user_id, email, role, is_active, created_at
FROM tallybook.users WHERE user_id > :after ORDER BY user_id LIMIT :limit;

-- name: login_by_email
-- What a sign-in is checked against.
SELECT user_id, email, role, is_active, created_at, password_hash, sessions_valid_from
FROM tallybook.users WHERE email_key = :email_key;

-- name: login_by_id
-- What a user's own password is checked against.
SELECT user_id, email, role, is_active, created_at, password_hash, sessions_valid_from
FROM tallybook.users WHERE user_id = :user_id;

-- name: lock_user
-- Keep a user as it is until the transaction ends, and see from when its sessions count.
SELECT is_active, sessions_valid_from FROM tallybook.users WHERE user_id = :user_id FOR SHARE;

-- name: lock_user_for_change
-- One user, changed by nobody else until the transaction ends.
SELECT user_id, email, role, is_active, created_at
FROM tallybook.users WHERE user_id = :user_id FOR NO KEY UPDATE;

-- name: set_active
-- Switch a user on or off.
UPDATE tallybook.users SET is_active = :is_active, updated_at = :now WHERE user_id = :user_id
RETURNING user_id, email, role, is_active, created_at;

-- name: replace_password
-- A new password: sessions that began before it end.
UPDATE tallybook.users
SET password_hash = :password_hash, sessions_valid_from = :now, updated_at = :now
WHERE user_id = :user_id AND password_hash = :old_hash
RETURNING user_id;

-- name: rehash_password
-- The same password under today's cost, unless it changed meanwhile.
UPDATE tallybook.users SET password_hash = :password_hash
WHERE user_id = :user_id AND password_hash = :old_hash;

-- name: available_of_user
-- What a user can spend now, in micro-credits; no row when no wallet is open.
SELECT available_micro FROM tallybook.wallets WHERE owner_user_id = :user_id AND is_default;

-- name: add_app
-- Register an app.
INSERT INTO tallybook.apps (
    public_id, name, domain, permissions, requires_api_key, created_at, updated_at
)
VALUES (:public_id, :name, :domain, :permissions, :requires_api_key, :now, :now)
RETURNING *;

-- name: apps_after
-- A page of apps in the order they came; the house is not one of them.
SELECT * FROM tallybook.apps WHERE app_id > :after ORDER BY app_id LIMIT :limit;

-- name: app_by_id
-- One app by its inner number; 0 is the house.
SELECT * FROM tallybook.apps WHERE app_id = :app_id;

-- name: app_by_public_id
-- One app by its App ID; the house cannot be named.
SELECT * FROM tallybook.apps WHERE public_id = :public_id AND app_id > 0;

-- name: lock_app_for_change
-- One app, changed by nobody else until the transaction ends.
SELECT * FROM tallybook.apps WHERE public_id = :public_id AND app_id > 0 FOR NO KEY UPDATE;

-- name: change_app
-- Change what an app is called and may do.
UPDATE tallybook.apps
SET
    name = :name,
    domain = :domain,
    permissions = :permissions,
    requires_api_key = :requires_api_key,
    is_active = :is_active,
    updated_at = :now
WHERE app_id = :app_id
RETURNING *;

-- name: note_app_user
-- What an app calls a user and told us about them; what it does not say now stays.
INSERT INTO tallybook.app_users (app_id, user_id, app_user_id, metadata, created_at, updated_at)
VALUES (:app_id, :user_id, :app_user_id, coalesce(:metadata::jsonb, '{}'), :now, :now)
ON CONFLICT (app_id, user_id) DO UPDATE SET
    app_user_id = coalesce(excluded.app_user_id, app_users.app_user_id),
    metadata = coalesce(:metadata::jsonb, app_users.metadata),
    updated_at = excluded.updated_at;

-- name: app_user
-- What an app calls a user.
SELECT app_user_id, metadata FROM tallybook.app_users
WHERE app_id = :app_id AND user_id = :user_id;

-- name: create_app_login
-- The login role of an app for direct SQL, made or given a new password.
SELECT
    tallybook.create_app_login_v1(:app_id, :scram_verifier) AS role,
    current_database() AS database,
    coalesce(host(inet_server_addr()), 'localhost') AS host,
    coalesce(inet_server_port(), current_setting('port')::integer) AS port;

-- name: switch_app_login
-- Let the login role of an app in, or no longer.
SELECT tallybook.switch_app_login_v1(:app_id, :enabled);

-- name: add_api_key
-- Add a key; only its hash is kept.
INSERT INTO tallybook.api_keys (app_id, prefix, key_hash, label, created_at, expires_at)
VALUES (:app_id, :prefix, :key_hash, :label, :now, :expires_at)
RETURNING api_key_id, app_id, prefix, label, created_at, expires_at, revoked_at, last_used_at;

-- name: api_keys_of_app
-- The keys of an app, oldest first.
SELECT api_key_id, app_id, prefix, label, created_at, expires_at, revoked_at, last_used_at
FROM tallybook.api_keys WHERE app_id = :app_id ORDER BY api_key_id;

-- name: api_key
-- One key of an app.
SELECT api_key_id, app_id, prefix, label, created_at, expires_at, revoked_at, last_used_at
FROM tallybook.api_keys WHERE app_id = :app_id AND api_key_id = :api_key_id;

-- name: revoke_api_key
-- End a key at once.
UPDATE tallybook.api_keys SET revoked_at = :now WHERE api_key_id = :api_key_id
RETURNING api_key_id, app_id, prefix, label, created_at, expires_at, revoked_at, last_used_at;

-- name: end_api_key
-- Let a key expire, never later than it would.
UPDATE tallybook.api_keys SET expires_at = least(expires_at, :ends_at)
WHERE api_key_id = :api_key_id;

-- name: note_api_key_use
-- Write down that a key is in use, unless somebody else is writing just that.
UPDATE tallybook.api_keys SET last_used_at = :now
WHERE api_key_id IN (
    SELECT k.api_key_id FROM tallybook.api_keys AS k
    WHERE k.api_key_id = :api_key_id FOR NO KEY UPDATE SKIP LOCKED
);

-- name: add_session
-- Open a session.
INSERT INTO tallybook.sessions (
    session_id, user_id, app_id, refreshed_at, created_at, expires_at
)
VALUES (:session_id, :user_id, :app_id, :now, :now, :expires_at);

-- name: session
-- A session with its user and app: all that an authenticated request needs, in one look.
SELECT
    s.session_id, s.refresh_generation, s.refreshed_at, s.created_at AS session_created_at, s.expires_at,
    s.revoked_at, u.user_id, u.email, u.role, u.is_active AS user_is_active,
    u.created_at AS user_created_at, u.sessions_valid_from, a.app_id, a.public_id, a.name, a.domain,
    a.permissions, a.requires_api_key, a.is_active, a.database_role, a.created_at, a.updated_at
FROM tallybook.sessions AS s
INNER JOIN tallybook.users AS u ON u.user_id = s.user_id
INNER JOIN tallybook.apps AS a ON a.app_id = s.app_id
WHERE s.session_id = :session_id;

-- name: rotate_session
-- Move a session to its next refresh token, if this one is current and the session alive.
UPDATE tallybook.sessions SET refresh_generation = refresh_generation + 1, refreshed_at = :now
WHERE
    session_id = :session_id AND refresh_generation = :generation
    AND revoked_at IS NULL AND expires_at > :now
RETURNING refresh_generation;

-- name: revoke_session
-- End a session; an ended one keeps its first reason.
UPDATE tallybook.sessions SET revoked_at = :now, revoked_reason = :reason
WHERE session_id = :session_id AND revoked_at IS NULL;

-- name: revoke_sessions_of_user
-- End all sessions of a user.
UPDATE tallybook.sessions SET revoked_at = :now, revoked_reason = :reason
WHERE user_id = :user_id AND revoked_at IS NULL;

-- name: lock_signing_keys
-- Only one process at a time makes or retires signing keys.
SELECT pg_advisory_xact_lock(7426357);

-- name: signing_keys
-- All signing keys, oldest first.
SELECT key_id, algorithm, public_jwk, private_key_sealed, created_at, retired_at
FROM tallybook.signing_keys ORDER BY created_at, key_id;

-- name: add_signing_key
-- Add a signing key; its private part comes sealed.
INSERT INTO tallybook.signing_keys (
    key_id, algorithm, public_jwk, private_key_sealed, created_at
)
VALUES (:key_id, :algorithm, :public_jwk, :private_key_sealed, :created_at);

-- name: retire_signing_keys
-- Sign no more with any key but this one.
UPDATE tallybook.signing_keys SET retired_at = :now
WHERE retired_at IS NULL AND key_id <> :key_id;
