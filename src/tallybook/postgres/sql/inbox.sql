-- name: store
-- Store an event once; a redelivery is counted, and wakes an event that is not settled well and not given up by hand.
WITH seen AS (
    -- A sighting is kept to the minute, so that events that come together do not wait for one row.
    INSERT INTO tallybook.webhook_sightings AS s (
        intake_path, fingerprint, api_version, first_seen_at, last_seen_at, last_needed_at
    )
    SELECT
        :intake_path AS path, f.fingerprint, coalesce(:api_version, '') AS version, :now AS first_at, :now AS last_at,
        CASE WHEN cardinality(:verified_by::text []) = 1 THEN :now::timestamptz END AS needed_at
    FROM unnest(:verified_by::text []) AS f (fingerprint)
    WHERE NOT EXISTS (
        SELECT FROM tallybook.webhook_sightings AS k
        WHERE k.intake_path = :intake_path AND k.fingerprint = f.fingerprint AND k.api_version = coalesce(:api_version, '')
            AND k.last_seen_at > :now::timestamptz - interval '1 minute'
            AND (cardinality(:verified_by::text []) > 1 OR k.last_needed_at > :now::timestamptz - interval '1 minute')
    )
    ORDER BY f.fingerprint
    ON CONFLICT (intake_path, fingerprint, api_version) DO UPDATE SET
        last_seen_at = greatest(s.last_seen_at, excluded.last_seen_at),
        last_needed_at = greatest(s.last_needed_at, excluded.last_needed_at)
)

INSERT INTO tallybook.stripe_events AS e (
    event_id, type, api_version, livemode, account_id, object_id, customer_id, stripe_created,
    intake_path, raw, received_at, status, outcome, next_attempt_at, settled_at, verified_by
) VALUES (
    :event_id, :type, :api_version, :livemode, :account_id, :object_id, :customer_id, :stripe_created,
    :intake_path, :raw, :now, :status, :outcome, :now,
    CASE WHEN :status = 'ignored' THEN :now::timestamptz END, :verified_by::text []
)
ON CONFLICT (event_id) DO UPDATE SET
    deliveries = e.deliveries + 1,
    verified_by = CASE
        WHEN e.verified_by @> excluded.verified_by THEN e.verified_by ELSE e.verified_by || excluded.verified_by
    END,
    status = CASE
        WHEN e.status IN ('retry', 'dead') AND e.outcome IS DISTINCT FROM 'given_up' THEN 'received' ELSE e.status
    END,
    attempts = CASE WHEN e.status = 'dead' AND e.outcome IS DISTINCT FROM 'given_up' THEN 0 ELSE e.attempts END,
    settled_at = CASE WHEN e.status = 'dead' AND e.outcome IS DISTINCT FROM 'given_up' THEN NULL ELSE e.settled_at END,
    next_attempt_at = CASE WHEN e.status IN ('retry', 'dead') THEN :now ELSE e.next_attempt_at END
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

-- name: plan_anew
-- Plan for what is asked this time: a plan for any filters would read the whole inbox for a single object.
SET LOCAL plan_cache_mode = force_custom_plan;

-- name: page
-- A page of events, newest first, of those that match.
SELECT * FROM tallybook.stripe_events
WHERE (:event_ids::text [] IS NULL OR event_id = any(:event_ids))
    AND (:status::text IS NULL OR status = :status)
    AND (:type::text IS NULL OR type = :type)
    AND (:customer_id::text IS NULL OR customer_id = :customer_id)
    AND (:object_id::text IS NULL OR object_id = :object_id)
    AND (:since::timestamptz IS NULL OR received_at >= :since)
    AND (:until::timestamptz IS NULL OR received_at < :until)
    AND (:before_id::text IS NULL OR (received_at, event_id) < (:before_at::timestamptz, :before_id))
ORDER BY received_at DESC, event_id DESC LIMIT :limit;

-- name: count_to_replay
-- How many events a replay would take: what was given up by hand only when it is named.
SELECT count(*) AS events FROM tallybook.stripe_events
WHERE status <> 'processing'
    AND (:event_ids::text [] IS NOT NULL OR outcome IS DISTINCT FROM 'given_up')
    AND (:event_ids::text [] IS NULL OR event_id = any(:event_ids))
    AND (:status::text IS NULL OR status = :status)
    AND (:type::text IS NULL OR type = :type)
    AND (:customer_id::text IS NULL OR customer_id = :customer_id)
    AND (:object_id::text IS NULL OR object_id = :object_id)
    AND (:since::timestamptz IS NULL OR received_at >= :since)
    AND (:until::timestamptz IS NULL OR received_at < :until);

-- name: replay
-- Make settled or waiting events due now, oldest first: as many as go into one transaction, after the one before.
WITH chosen AS (
    SELECT event_id FROM tallybook.stripe_events
    WHERE status <> 'processing'
        AND (:event_ids::text [] IS NOT NULL OR outcome IS DISTINCT FROM 'given_up')
        AND (:event_ids::text [] IS NULL OR event_id = any(:event_ids))
        AND (:status::text IS NULL OR status = :status)
        AND (:type::text IS NULL OR type = :type)
        AND (:customer_id::text IS NULL OR customer_id = :customer_id)
        AND (:object_id::text IS NULL OR object_id = :object_id)
        AND (:since::timestamptz IS NULL OR received_at >= :since)
        AND (:until::timestamptz IS NULL OR received_at < :until)
        AND (:after_id::text IS NULL OR (received_at, event_id) > (:after_at::timestamptz, :after_id))
    ORDER BY received_at, event_id LIMIT :limit FOR UPDATE
)

UPDATE tallybook.stripe_events AS e SET
    status = 'received', attempts = 0, next_attempt_at = :now, settled_at = NULL, outcome = NULL,
    lease_id = NULL, leased_until = NULL, replays = replays + 1
FROM chosen AS c
WHERE e.event_id = c.event_id
RETURNING e.event_id, e.received_at;

-- name: give_up
-- Put an event that waits or is dead among the dead for good; no row when it is settled or being worked on.
UPDATE tallybook.stripe_events SET
    status = 'dead', outcome = 'given_up', settled_at = :now, lease_id = NULL, leased_until = NULL
WHERE event_id = :event_id AND status IN ('received', 'retry', 'dead')
    AND outcome IS DISTINCT FROM 'given_up'
RETURNING *;

-- name: acts
-- What was done while an event was being settled, and what people did to it, oldest first.
SELECT at, actor_kind, actor_id, action, subject_kind, subject_id, after, event_id IS NOT NULL AS by_event
FROM tallybook.audit_log
WHERE event_id = :event_id OR (subject_kind = 'event' AND subject_id = :event_id)
ORDER BY audit_id;

-- name: lots_of_object
-- The lots of the payment that a Stripe object is, whoever settled it first.
SELECT l.wallet_id, l.lot_version FROM tallybook.payments AS p
INNER JOIN tallybook.payment_lots AS l USING (payment_id)
WHERE p.reference = :object_id OR p.stripe_payment_intent_id = :object_id
ORDER BY l.wallet_id, l.lot_version;

-- name: figures
-- How the inbox fares: what waits, since when, how long the one that is due longest has been, and what is dead.
SELECT
    count(*) FILTER (WHERE status = 'received') AS received,
    count(*) FILTER (WHERE status = 'retry') AS retrying,
    count(*) FILTER (WHERE status = 'processing') AS processing,
    coalesce(extract(EPOCH FROM :now - min(received_at)), 0)::float AS oldest_seconds,
    coalesce(greatest(extract(EPOCH FROM :now - min(next_attempt_at)), 0), 0)::float AS lag_seconds,
    (
        SELECT count(*) FROM tallybook.stripe_events AS d
        WHERE d.status = 'dead' AND d.outcome IS DISTINCT FROM 'given_up'
    ) AS dead
FROM tallybook.stripe_events
WHERE status IN ('received', 'processing', 'retry');

-- name: known
-- Which of some events are in the inbox.
SELECT event_id FROM tallybook.stripe_events WHERE event_id = any(:event_ids);
