-- name: alone
-- Whether nobody else reconciles; then nobody can until this session ends.
SELECT pg_try_advisory_lock(hashtextextended('tallybook.reconciling', 0)) AS alone;

-- name: request
-- Ask for a reconciliation.
INSERT INTO tallybook.reconciliations (status, applies, asked_by, since, until, requested_at)
VALUES ('requested', :applies, :asked_by, :since, :until, :now)
RETURNING *;

-- name: abandon_others
-- What says that it runs while we have the lock was killed.
UPDATE tallybook.reconciliations SET status = 'interrupted', finished_at = :now
WHERE status = 'running' AND reconciliation_id <> :reconciliation_id;

-- name: begin
-- A reconciliation begins.
UPDATE tallybook.reconciliations SET status = 'running', began_at = :now, since = :since, until = :until
WHERE reconciliation_id = :reconciliation_id
RETURNING *;

-- name: end
-- A reconciliation is over; what it left open is counted.
UPDATE tallybook.reconciliations SET
    status = :status, finished_at = :now, events_fetched = :events_fetched, events_missing = :events_missing,
    objects_compared = :objects_compared, found = :found, repaired = :repaired, totals = :totals, error = :error,
    differences = (
        SELECT count(*) FROM tallybook.reconciliation_findings AS f
        WHERE f.status = 'open' AND f.severity = 'difference'
    ),
    notices = (
        SELECT count(*) FROM tallybook.reconciliation_findings AS f
        WHERE f.status = 'open' AND f.severity = 'notice'
    )
WHERE reconciliation_id = :reconciliation_id
RETURNING *;

-- name: one
-- A reconciliation.
SELECT * FROM tallybook.reconciliations WHERE reconciliation_id = :reconciliation_id;

-- name: newest
-- The newest reconciliations.
SELECT * FROM tallybook.reconciliations
WHERE reconciliation_id < :before ORDER BY reconciliation_id DESC LIMIT :limit;

-- name: next_requested
-- What was asked for first and not begun yet.
SELECT * FROM tallybook.reconciliations WHERE status = 'requested' ORDER BY reconciliation_id LIMIT 1;

-- name: last_begun
-- When the worker's own reconciliation last began, or this installation did.
SELECT greatest(
    (SELECT max(r.requested_at) FROM tallybook.reconciliations AS r WHERE r.applies),
    (SELECT a.recorded_at FROM tallybook.stripe_account AS a)
) AS at;

-- name: cursor
-- Up to when all events are here and all objects were compared.
SELECT events_until, objects_until FROM tallybook.reconciliation_cursor;

-- name: advance
-- Move the cursor forward; what is null stays.
INSERT INTO tallybook.reconciliation_cursor AS c (events_until, objects_until)
VALUES (:events_until, :objects_until)
ON CONFLICT (only_row) DO UPDATE SET
    events_until = greatest(c.events_until, excluded.events_until),
    objects_until = greatest(c.objects_until, excluded.objects_until);

-- name: note
-- Write a finding down; one that was acknowledged stays so while it says the same.
INSERT INTO tallybook.reconciliation_findings AS f (
    code, kind, object_id, severity, stripe_customer_id, user_id, expected, found, repair, repair_object, first_seen_at,
    last_seen_at, last_run
) VALUES (
    :code, :kind, :object_id, :severity, :stripe_customer_id, :user_id, :expected, :found, :repair, :repair_object, :now,
    :now, :reconciliation_id
)
ON CONFLICT (code, object_id) DO UPDATE SET
    severity = excluded.severity, stripe_customer_id = excluded.stripe_customer_id, user_id = excluded.user_id,
    expected = excluded.expected, found = excluded.found, repair = excluded.repair, repair_object = excluded.repair_object,
    last_seen_at = excluded.last_seen_at, last_run = excluded.last_run,
    attempts = CASE WHEN f.status = 'open' THEN f.attempts ELSE 0 END,
    outcome = CASE WHEN f.status = 'open' THEN f.outcome END,
    settled_at = CASE
        WHEN f.status = 'acknowledged' AND (f.expected, f.found) = (excluded.expected, excluded.found) THEN f.settled_at
    END,
    status = CASE
        WHEN f.status = 'acknowledged' AND (f.expected, f.found) = (excluded.expected, excluded.found) THEN f.status
        ELSE 'open'
    END
RETURNING *;

-- name: gone
-- Findings about objects that were compared again and agree now.
UPDATE tallybook.reconciliation_findings SET status = 'gone', settled_at = :now
WHERE status = 'open' AND object_id = any(:object_ids) AND last_run <> :reconciliation_id
RETURNING finding_id;

-- name: mended
-- What a repair did to a finding.
UPDATE tallybook.reconciliation_findings SET
    attempts = attempts + 1, outcome = :outcome,
    status = CASE WHEN :repaired THEN 'repaired' ELSE status END,
    settled_at = CASE WHEN :repaired THEN :now::timestamptz END
WHERE code = :code AND object_id = :object_id AND status = 'open';

-- name: open_findings
-- What is open, oldest first.
SELECT * FROM tallybook.reconciliation_findings
WHERE status = 'open' AND finding_id > :after ORDER BY finding_id LIMIT :limit;

-- name: findings
-- Findings, newest first.
SELECT * FROM tallybook.reconciliation_findings
WHERE finding_id < :before AND (:status::text IS NULL OR status = :status)
    AND (:code::text IS NULL OR code = :code) AND (:severity::text IS NULL OR severity = :severity)
ORDER BY finding_id DESC LIMIT :limit;

-- name: acknowledge
-- Somebody says that a finding may stay as it is.
UPDATE tallybook.reconciliation_findings SET status = 'acknowledged', reason = :reason, settled_at = :now
WHERE finding_id = :finding_id AND status IN ('open', 'acknowledged')
RETURNING *;
