-- Whoever remembers who may call is told of each change at its commit; what only notes a use says nothing.

CREATE FUNCTION tallybook.tell_of_callers() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('tallybook_callers', TG_TABLE_NAME);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION tallybook.tell_of_callers() IS
'Tell those who remember callers that any of them may have changed.';

CREATE FUNCTION tallybook.tell_of_session() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('tallybook_callers', 'session ' || OLD.session_id);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION tallybook.tell_of_session() IS
'Tell those who remember callers that this session may have ended.';

REVOKE ALL ON FUNCTION tallybook.tell_of_callers(), tallybook.tell_of_session() FROM public;

CREATE TRIGGER apps_tell AFTER UPDATE OR DELETE OR TRUNCATE ON tallybook.apps
FOR EACH STATEMENT EXECUTE FUNCTION tallybook.tell_of_callers();

CREATE TRIGGER api_keys_tell AFTER UPDATE OF app_id, key_hash, expires_at, revoked_at OR DELETE OR TRUNCATE
ON tallybook.api_keys FOR EACH STATEMENT EXECUTE FUNCTION tallybook.tell_of_callers();

CREATE TRIGGER users_tell AFTER UPDATE OF email, role, is_active, sessions_valid_from OR DELETE OR TRUNCATE
ON tallybook.users FOR EACH STATEMENT EXECUTE FUNCTION tallybook.tell_of_callers();

CREATE TRIGGER organisation_members_tell AFTER UPDATE OR DELETE OR TRUNCATE ON tallybook.organisation_members
FOR EACH STATEMENT EXECUTE FUNCTION tallybook.tell_of_callers();

CREATE TRIGGER sessions_tell AFTER UPDATE OF user_id, app_id, created_at, expires_at, revoked_at OR DELETE
ON tallybook.sessions FOR EACH ROW EXECUTE FUNCTION tallybook.tell_of_session();

CREATE TRIGGER sessions_tell_all AFTER TRUNCATE ON tallybook.sessions
FOR EACH STATEMENT EXECUTE FUNCTION tallybook.tell_of_callers();
