-- Direct SQL for apps: the tables of document 000 as views, in a schema of their own.
-- A SELECT shows what the app's permissions allow; an INSERT is a request to the ledger.

CREATE SCHEMA apps;

CREATE FUNCTION apps.app_id() RETURNS integer LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    SELECT apps.app_id FROM apps WHERE apps.database_role = session_user AND apps.is_active
$$;
COMMENT ON FUNCTION apps.app_id() IS 'The app whose login role this connection uses; null for others and for disabled apps.';

CREATE FUNCTION apps.may(p_permission text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    SELECT coalesce((
        SELECT p_permission = ANY (apps.permissions) FROM apps
        WHERE apps.database_role = session_user AND apps.is_active
    ), false)
$$;
COMMENT ON FUNCTION apps.may(text) IS 'Whether the app of this connection holds a permission.';

CREATE VIEW apps.users WITH (security_barrier) AS
SELECT
    u.user_id AS id,
    CASE WHEN apps.may('read_user_info') THEN u.email END AS email,
    CASE WHEN apps.may('read_credits') THEN (coalesce(w.available_micro, 0) / 1000000.0)::numeric(20, 6) END AS credits,
    u.role AS user_type,
    u.is_active,
    u.created_at
FROM tallybook.users AS u
LEFT JOIN tallybook.wallets AS w ON w.owner_user_id = u.user_id AND w.is_default
WHERE apps.may('read_user_info') OR apps.may('read_credits');

CREATE VIEW apps.credits_transactions WITH (security_barrier) AS
SELECT
    t.wallet_id * 1000000000 + t.version AS id,
    w.owner_user_id AS user_id,
    (CASE WHEN t.credit = 'available' THEN t.amount_micro ELSE -t.amount_micro END / 1000000.0)::numeric(20, 6)
    AS amount,
    CASE WHEN t.app_id IN (0, apps.app_id()) THEN n.description END AS description,
    CASE t.kind
        WHEN 'spend' THEN 'service'
        WHEN 'grant' THEN CASE t.debit WHEN 'purchases' THEN 'purchase'
            WHEN 'subscriptions' THEN 'subscription' ELSE 'credit_addition' END
        WHEN 'hold' THEN 'hold' WHEN 'release' THEN 'hold_release'
        WHEN 'clawback' THEN 'refund' WHEN 'repay' THEN 'debt_repayment' ELSE t.kind
    END AS transaction_type,
    CASE WHEN t.app_id IN (0, apps.app_id()) THEN n.metadata END AS metadata,
    CASE WHEN t.app_id = apps.app_id() THEN regexp_replace(t.key, '^.*' || chr(31), '') END AS idempotency_key,
    t.created_at
FROM tallybook.transfers AS t
INNER JOIN tallybook.wallets AS w ON w.wallet_id = t.wallet_id AND w.is_default
LEFT JOIN tallybook.notes AS n ON n.wallet_id = t.wallet_id AND n.version = t.version
WHERE 'available' IN (t.debit, t.credit) AND w.owner_user_id IS NOT NULL AND apps.may('read_credits');
COMMENT ON VIEW apps.credits_transactions IS
'One row per change of what a user can spend: their sum is the balance. What other apps wrote about theirs is not shown.';

CREATE VIEW apps.credit_transactions AS SELECT * FROM apps.credits_transactions;

CREATE VIEW apps.app_integrations WITH (security_barrier) AS
SELECT a.app_id AS id, a.public_id AS app_id, a.name AS app_name, a.domain AS app_domain,
    a.permissions, a.is_active, a.created_at
FROM tallybook.apps AS a WHERE a.app_id = apps.app_id();

CREATE VIEW apps.stripe_customers WITH (security_barrier) AS
SELECT c.user_id AS id, c.user_id, c.stripe_customer_id, c.created_at
FROM tallybook.stripe_customers AS c
WHERE c.stripe_customer_id IS NOT NULL AND apps.may('read_user_info');

CREATE FUNCTION apps.change_credits(
    user_id bigint, amount numeric, description text DEFAULT NULL, transaction_type text DEFAULT NULL,
    metadata jsonb DEFAULT NULL, idempotency_key text DEFAULT NULL,
    OUT code text, OUT facts jsonb, OUT id bigint, OUT created_at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p_user_id  bigint := $1;
    v_micro    numeric := $2 * 1000000;
    v_metadata jsonb := $5;
    v_app      integer := apps.app_id();
    v_wallet   bigint;
    v_answer   posting_answer;
BEGIN
    IF v_app IS NULL OR NOT apps.may(CASE WHEN v_micro < 0 THEN 'consume_credits' ELSE 'grant_credits' END)
    THEN
        RAISE EXCEPTION 'permission_denied: % may not % credits', session_user,
            CASE WHEN v_micro < 0 THEN 'consume' ELSE 'grant' END
        USING ERRCODE = 'TB403', HINT = 'Ask an admin for the permission consume_credits (grant_credits to add).';
    END IF;
    IF v_micro IS NULL OR v_micro = 0 OR v_micro <> trunc(v_micro) OR abs(v_micro) > 1000000000000000 THEN
        RAISE EXCEPTION 'amount_out_of_range: % credits', coalesce(($2)::text, 'null')
        USING ERRCODE = 'TB422', HINT = 'An amount is not zero, has at most six decimals and is below a billion.';
    END IF;
    -- The limits of the HTTP API: what is written here is read back there, and nobody can take it away again.
    IF octet_length(v_metadata::text) > 16384 OR v_metadata::text ~ '[0-9]{250}'
        OR jsonb_path_exists(v_metadata, 'lax $.**{32}')
        OR length($3) > 1000 OR length($4) > 200
        OR length($6) NOT BETWEEN 1 AND 255 OR $6 ~ '[[:cntrl:]]'
    THEN
        RAISE EXCEPTION 'invalid_request: a text, the metadata or the key is not acceptable'
        USING ERRCODE = 'TB422', HINT = 'description: 1000 characters; transaction_type: 200; metadata: 16 KiB,'
            ' 32 levels; idempotency_key: 1 to 255 printable characters.';
    END IF;
    IF NOT EXISTS (SELECT 1 FROM users WHERE users.user_id = p_user_id) THEN
        RAISE EXCEPTION 'user_not_found: %', coalesce(p_user_id::text, 'null') USING ERRCODE = 'TB404';
    END IF;
    IF EXISTS (SELECT 1 FROM users WHERE users.user_id = p_user_id AND NOT users.is_active) THEN
        RAISE EXCEPTION 'user_inactive: %', p_user_id USING ERRCODE = 'TB403';
    END IF;
    v_wallet := open_wallet_v1(clock_timestamp(), p_user_id, NULL);
    SELECT p.* INTO STRICT v_answer FROM post_v1(clock_timestamp(), true, jsonb_build_array(
        jsonb_strip_nulls(jsonb_build_object(
            'ord', 1, 'op', CASE WHEN v_micro < 0 THEN 'spend' ELSE 'grant' END,
            'wallet_id', v_wallet, 'app_id', v_app, 'amount_micro', abs(v_micro)::bigint,
            'house', CASE WHEN v_micro < 0 THEN 'usage' ELSE 'adjustments' END,
            'source', CASE WHEN v_micro > 0 THEN 'adjustment' END,
            'key', $6, 'description', $3, 'service', $4
        )) || CASE WHEN v_metadata IS NULL THEN '{}' ELSE jsonb_build_object('metadata', v_metadata) END
    )) AS p;
    IF v_micro > 0 AND v_answer.code = 'ok' AND NOT v_answer.replayed THEN
        INSERT INTO audit_log (at, actor_kind, actor_id, action, subject_kind, subject_id, after)
        SELECT v_answer.created_at, 'app', a.public_id, 'credits.granted', 'wallet', v_wallet::text,
            jsonb_build_object(
                'transfer', format('trf_%s_%s', v_wallet, v_answer.version), 'amount_micro', v_answer.amount_micro
            )
        FROM apps AS a WHERE a.app_id = v_app;
    END IF;
    code := v_answer.code;
    facts := v_answer.facts;
    id := CASE WHEN v_answer.code = 'ok' THEN v_answer.wallet_id * 1000000000 + v_answer.version END;
    created_at := v_answer.created_at;
END $$;
COMMENT ON FUNCTION apps.change_credits(bigint, numeric, text, text, jsonb, text) IS
'Spend (a negative amount) or grant (a positive one). Unlike an INSERT, a refusal comes back as a code and is stored under the key.';

CREATE FUNCTION apps.insert_transaction() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_done record;
BEGIN
    v_done := apps.change_credits(
        new.user_id, new.amount, new.description, new.transaction_type, new.metadata, new.idempotency_key
    );
    IF v_done.code <> 'ok' THEN
        RAISE EXCEPTION '%: %', v_done.code, v_done.facts
        USING ERRCODE = CASE v_done.code
            WHEN 'insufficient_credits' THEN 'TB402' WHEN 'idempotency_key_reused' THEN 'TB422' ELSE 'TB409' END,
            DETAIL = coalesce(v_done.facts, '{}')::text;
    END IF;
    new.id := v_done.id;
    new.transaction_type := coalesce(new.transaction_type, 'service');
    new.created_at := v_done.created_at;
    RETURN new;
END $$;
COMMENT ON FUNCTION apps.insert_transaction() IS
'An INSERT through the views is a spend or a grant of the ledger, under its lock: it cannot overspend.';

CREATE TRIGGER insert_is_a_request INSTEAD OF INSERT ON apps.credits_transactions
FOR EACH ROW EXECUTE FUNCTION apps.insert_transaction();
CREATE TRIGGER insert_is_a_request INSTEAD OF INSERT ON apps.credit_transactions
FOR EACH ROW EXECUTE FUNCTION apps.insert_transaction();
CREATE FUNCTION tallybook.create_app_login_v1(p_app_id integer, p_scram_verifier text)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_role text := format('%s_app_%s', current_database(), p_app_id);
BEGIN
    IF p_app_id < 1 OR p_scram_verifier NOT LIKE 'SCRAM-SHA-256$%' THEN
        RAISE EXCEPTION 'an app and a SCRAM verifier are needed' USING ERRCODE = 'TB422';
    END IF;
    IF EXISTS (SELECT 1 FROM pg_roles WHERE pg_roles.rolname = v_role) THEN
        EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L', v_role, p_scram_verifier);
    ELSE
        EXECUTE format('CREATE ROLE %I LOGIN PASSWORD %L CONNECTION LIMIT 20 IN ROLE tallybook_apps', v_role, p_scram_verifier);
        EXECUTE format('ALTER ROLE %I SET search_path = apps', v_role);
        EXECUTE format('ALTER ROLE %I SET lock_timeout = %L', v_role, '5s');
        EXECUTE format('ALTER ROLE %I SET statement_timeout = %L', v_role, '15s');
        EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = %L', v_role, '10s');
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), v_role);
    UPDATE apps SET database_role = v_role WHERE apps.app_id = p_app_id;
    RETURN v_role;
END $$;
CREATE FUNCTION tallybook.switch_app_login_v1(p_app_id integer, p_enabled boolean)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_role text := format('%s_app_%s', current_database(), p_app_id);
BEGIN
    IF EXISTS (SELECT 1 FROM apps WHERE apps.app_id = p_app_id AND apps.database_role = v_role) THEN
        EXECUTE format('ALTER ROLE %I %s', v_role, CASE WHEN p_enabled THEN 'LOGIN' ELSE 'NOLOGIN' END);
    END IF;
END $$;
COMMENT ON FUNCTION tallybook.switch_app_login_v1(integer, boolean) IS
'Let the login role of an app in, or no longer; its open connections see nothing once the app is off.';

COMMENT ON FUNCTION tallybook.create_app_login_v1(integer, text) IS
'The login role of an app for direct SQL, made or given a new password; it sees the views and nothing else.';
