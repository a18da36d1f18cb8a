-- name: store
-- Store an event once; a redelivery is counted, and wakes an event that is not settled well.
INSERT INTO tallybook.stripe_events (
    event_id, type, api_version, livemode, account_id, object_id, customer_id, stripe_created,
    intake_path, raw, received_at, status, outcome, next_attempt_at, settled_at
) VALUES (
    :event_id, :type, :api_version, :livemode, :account_id, :object_id, :customer_id, :stripe_created,
    :intake_path, :raw, :now, :status, :outcome, :now,
    CASE WHEN :status = 'ignored' THEN :now::timestamptz END
)
ON CONFLICT (event_id) DO UPDATE SET
    deliveries = stripe_events.deliveries + 1,
    status = CASE WHEN stripe_events.status IN ('retry', 'dead') THEN 'received' ELSE stripe_events.status END,
    attempts = CASE WHEN stripe_events.status = 'dead' THEN 0 ELSE stripe_events.attempts END,
    settled_at = CASE WHEN stripe_events.status = 'dead' THEN NULL ELSE stripe_events.settled_at END,
    next_attempt_at = CASE
        WHEN stripe_events.status IN ('retry', 'dead') THEN :now ELSE stripe_events.next_attempt_at
    END
RETURNING deliveries, status;

-- name: wake
-- Tell the workers that there is something to do.
SELECT pg_notify('tallybook_inbox', '');

-- name: claim
-- Lease the event that has been due longest; a lease that ran out makes it due again.
UPDATE tallybook.stripe_events SET
    status = 'processing', attempts = attempts + 1, lease_id = gen_random_uuid(),
    leased_until = :leased_until, next_attempt_at = :leased_until
WHERE event_id = (
    SELECT event_id FROM tallybook.stripe_events
    WHERE status IN ('received', 'processing', 'retry') AND next_attempt_at <= :now
    ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING event_id, lease_id, type, object_id, livemode, attempts;

-- name: settle
-- Mark a leased event as settled; no row when the lease was lost.
UPDATE tallybook.stripe_events SET
    status = :status, outcome = :outcome, settled_at = :now, last_error = NULL,
    lease_id = NULL, leased_until = NULL
WHERE event_id = :event_id AND lease_id = :lease_id AND status = 'processing'
RETURNING event_id;

-- name: fail
-- Put a leased event back for a later try, or among the dead.
UPDATE tallybook.stripe_events SET
    status = CASE WHEN :dead THEN 'dead' ELSE 'retry' END,
    next_attempt_at = :next_attempt_at,
    last_error = :error, lease_id = NULL, leased_until = NULL,
    settled_at = CASE WHEN :dead THEN :now::timestamptz END
WHERE event_id = :event_id AND lease_id = :lease_id AND status = 'processing';

-- name: next_due
-- When the next event is due.
SELECT min(next_attempt_at) AS at FROM tallybook.stripe_events
WHERE status IN ('received', 'processing', 'retry');

-- name: one
-- One event without its body.
SELECT * FROM tallybook.stripe_events WHERE event_id = :event_id;

-- name: newest
-- The newest events, by status and time of receipt where asked.
SELECT * FROM tallybook.stripe_events
WHERE (:status::text IS NULL OR status = :status)
    AND (:since::timestamptz IS NULL OR received_at >= :since)
    AND (:until::timestamptz IS NULL OR received_at < :until)
ORDER BY received_at DESC, event_id DESC LIMIT :limit;

-- name: replay
-- Make settled or waiting events due now: one, or all of a status and time of receipt.
UPDATE tallybook.stripe_events SET
    status = 'received', attempts = 0, next_attempt_at = :now, settled_at = NULL, outcome = NULL,
    lease_id = NULL, leased_until = NULL
WHERE status <> 'processing'
    AND (:event_id::text IS NULL OR event_id = :event_id)
    AND (:status::text IS NULL OR status = :status)
    AND (:since::timestamptz IS NULL OR received_at >= :since)
    AND (:until::timestamptz IS NULL OR received_at < :until)
RETURNING event_id;
