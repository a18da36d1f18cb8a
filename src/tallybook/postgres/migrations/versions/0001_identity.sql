-- Who may do what: users, organisations, apps, API keys, sessions, signing keys, and the audit log.

CREATE TABLE tallybook.users (
    user_id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email               text NOT NULL CHECK (length(email) BETWEEN 3 AND 320),
    email_key           text NOT NULL UNIQUE,
    password_hash       text NOT NULL,
    role                text NOT NULL DEFAULT 'customer' CHECK (role IN ('customer', 'admin')),
    is_active           boolean NOT NULL DEFAULT true,
    sessions_valid_from timestamptz NOT NULL,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL
);
COMMENT ON COLUMN tallybook.users.email_key IS 'The e-mail folded to lower case: what makes an account unique.';
COMMENT ON COLUMN tallybook.users.sessions_valid_from IS 'Sessions begun before this moment are refused.';

CREATE TABLE tallybook.organisations (
    organisation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    created_at      timestamptz NOT NULL
);

CREATE TABLE tallybook.organisation_members (
    organisation_id bigint NOT NULL REFERENCES tallybook.organisations,
    user_id         bigint NOT NULL REFERENCES tallybook.users,
    role            text NOT NULL CHECK (role IN ('owner', 'member')),
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, user_id)
);
CREATE INDEX organisation_members_by_user ON tallybook.organisation_members (user_id);

CREATE TABLE tallybook.apps (
    app_id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    public_id        text NOT NULL UNIQUE,
    name             text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    domain           text NOT NULL DEFAULT '',
    permissions      text[] NOT NULL DEFAULT '{}',
    requires_api_key boolean NOT NULL DEFAULT false,
    is_active        boolean NOT NULL DEFAULT true,
    database_role    text UNIQUE,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    CHECK (permissions <@ ARRAY[
        'read_user_info', 'read_credits', 'consume_credits', 'purchase_credits', 'grant_credits'
    ])
);
COMMENT ON COLUMN tallybook.apps.public_id IS 'The App ID that the app is given (app_...).';
COMMENT ON COLUMN tallybook.apps.database_role IS 'The login role for direct SQL, where the app has one.';

-- App 0 is the house: Stripe fulfilment, the command line and the service itself post under it.
INSERT INTO tallybook.apps (app_id, public_id, name, permissions, is_active, created_at, updated_at)
OVERRIDING SYSTEM VALUE
VALUES (0, 'app_house', 'Tallybook', '{}', false, 'epoch', 'epoch');

CREATE TABLE tallybook.api_keys (
    api_key_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app_id       integer NOT NULL REFERENCES tallybook.apps,
    prefix       text NOT NULL,
    key_hash     bytea NOT NULL UNIQUE CHECK (octet_length(key_hash) = 32),
    label        text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);
COMMENT ON COLUMN tallybook.api_keys.prefix IS 'The first characters, for display; the key itself is never stored.';
CREATE INDEX api_keys_by_app ON tallybook.api_keys (app_id);

CREATE TABLE tallybook.app_users (
    app_id       integer NOT NULL REFERENCES tallybook.apps,
    user_id      bigint NOT NULL REFERENCES tallybook.users,
    app_user_id  text,
    metadata     jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (app_id, user_id)
);
COMMENT ON TABLE tallybook.app_users IS 'What an app calls a user of ours, and what it told us about them.';

CREATE TABLE tallybook.sessions (
    session_id         uuid PRIMARY KEY,
    user_id            bigint NOT NULL REFERENCES tallybook.users,
    app_id             integer NOT NULL REFERENCES tallybook.apps,
    refresh_generation integer NOT NULL DEFAULT 0,
    refreshed_at       timestamptz NOT NULL,
    created_at         timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL,
    revoked_at         timestamptz,
    revoked_reason     text
);
COMMENT ON COLUMN tallybook.sessions.app_id IS 'The app it was opened for; 0 is Tallybook''s own pages and native API.';
COMMENT ON COLUMN tallybook.sessions.refresh_generation IS 'The refresh token that is current; an older one is a replay.';
CREATE INDEX sessions_by_user ON tallybook.sessions (user_id);

CREATE TABLE tallybook.signing_keys (
    key_id             text PRIMARY KEY,
    algorithm          text NOT NULL,
    public_jwk         jsonb NOT NULL,
    private_key_sealed bytea NOT NULL,
    created_at         timestamptz NOT NULL,
    retired_at         timestamptz
);
COMMENT ON COLUMN tallybook.signing_keys.private_key_sealed IS 'Encrypted under the secret of the settings.';
COMMENT ON COLUMN tallybook.signing_keys.retired_at IS 'Signs nothing from then on; still verifies until its last token ends.';

CREATE TABLE tallybook.remembered_requests (
    scope       text NOT NULL,
    key         text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    terms       bytea NOT NULL,
    answer      bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (scope, key)
);
COMMENT ON TABLE tallybook.remembered_requests IS
'Answers to retried POSTs outside the ledger, written in the transaction of their effect and sealed, since some hold a secret.';

CREATE FUNCTION tallybook.forget_secrets_v1(p_before timestamptz)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_count bigint;
BEGIN
    DELETE FROM remembered_requests
    WHERE remembered_requests.created_at < p_before AND split_part(remembered_requests.scope, '.', 1)
        IN ('apps', 'api_keys', 'sessions');
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;
COMMENT ON FUNCTION tallybook.forget_secrets_v1(timestamptz) IS
'Forget remembered answers that hold a key or a token: they are kept for retries, not for ever.';

CREATE TABLE tallybook.audit_log (
    audit_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at           timestamptz NOT NULL,
    actor_kind   text NOT NULL CHECK (actor_kind IN ('user', 'admin', 'app', 'operator', 'system')),
    actor_id     text NOT NULL,
    action       text NOT NULL,
    subject_kind text NOT NULL,
    subject_id   text NOT NULL,
    before       jsonb,
    after        jsonb,
    request_id   text
);
COMMENT ON TABLE tallybook.audit_log IS 'Who did what to whom: every admin act and every act on money. Append only.';
CREATE INDEX audit_log_by_subject ON tallybook.audit_log (subject_kind, subject_id, audit_id);

CREATE FUNCTION tallybook.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only: % refused', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'TB001', HINT = 'Post a new transfer that corrects the old one.';
END $$;
COMMENT ON FUNCTION tallybook.refuse_change() IS 'The second guard after the missing rights: history is never edited.';

CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tallybook.audit_log
FOR EACH STATEMENT EXECUTE FUNCTION tallybook.refuse_change();
