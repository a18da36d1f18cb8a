-- name: revision
-- The schema revision that the database is at.
SELECT version_num FROM tallybook.alembic_version;

-- name: condition
-- What doctor wants to know of the server and of our rights in it.
SELECT
    current_setting('server_version') AS server_version,
    current_setting('server_version_num')::integer AS server_version_num,
    current_setting('fsync') = 'on' AS fsync,
    current_setting('synchronous_commit') <> 'off' AS synchronous_commit,
    current_setting('full_page_writes') = 'on' AS full_page_writes,
    has_table_privilege('tallybook.transfers', 'INSERT, UPDATE, DELETE') AS may_write_ledger,
    (SELECT count(*) FROM tallybook.users AS u WHERE u.role = 'admin' AND u.is_active) AS admins,
    (SELECT count(*) FROM tallybook.stripe_events AS e WHERE e.status = 'dead' AND e.outcome IS DISTINCT FROM 'given_up') AS dead_events,
    (SELECT array_agg(l.lookup_key) FROM tallybook.catalog_links AS l) AS linked,
    (SELECT s.account_id FROM tallybook.stripe_account AS s) AS account_id,
    (SELECT s.livemode FROM tallybook.stripe_account AS s) AS livemode;
