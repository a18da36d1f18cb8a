-- Who may touch what. The service's role reads the ledger and executes its functions; it cannot write it.

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'tallybook_runtime') THEN
        CREATE ROLE tallybook_runtime NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'tallybook_apps') THEN
        CREATE ROLE tallybook_apps NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    RAISE NOTICE 'another migration made the roles at the same moment';
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tallybook, apps FROM public;
REVOKE ALL ON SCHEMA public FROM public;

GRANT USAGE ON SCHEMA tallybook TO tallybook_runtime;
GRANT SELECT ON ALL TABLES IN SCHEMA tallybook TO tallybook_runtime;
GRANT INSERT, UPDATE ON
tallybook.users, tallybook.organisations, tallybook.organisation_members, tallybook.apps, tallybook.api_keys,
tallybook.app_users, tallybook.sessions, tallybook.signing_keys, tallybook.stripe_account,
tallybook.stripe_customers, tallybook.catalog_links, tallybook.checkouts, tallybook.stripe_events,
tallybook.customer_fences TO tallybook_runtime;
GRANT INSERT ON tallybook.remembered_requests, tallybook.audit_log TO tallybook_runtime;
GRANT EXECUTE ON FUNCTION
tallybook.post_v1(timestamptz, boolean, jsonb),
tallybook.open_wallet_v1(timestamptz, bigint, bigint),
tallybook.claim_v1(timestamptz, boolean, text, text, bigint),
tallybook.create_app_login_v1(integer, text),
tallybook.switch_app_login_v1(integer, boolean),
tallybook.forget_secrets_v1(timestamptz),
tallybook.verify_v1()
TO tallybook_runtime;

GRANT USAGE ON SCHEMA apps TO tallybook_apps;
GRANT SELECT ON ALL TABLES IN SCHEMA apps TO tallybook_apps;
-- INSERT and no more: whoever may UPDATE or DELETE a view may also LOCK it, and its tables with it, against everybody.
GRANT INSERT ON apps.credits_transactions, apps.credit_transactions TO tallybook_apps;
GRANT EXECUTE ON FUNCTION
apps.app_id(), apps.may(text), apps.change_credits(bigint, numeric, text, text, jsonb, text)
TO tallybook_apps;
