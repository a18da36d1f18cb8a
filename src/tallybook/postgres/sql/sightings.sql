-- name: every
-- When which secret verified events of which version on which path.
SELECT * FROM tallybook.webhook_sightings
ORDER BY intake_path, fingerprint, api_version;

-- name: announce_drift
-- Announce a version that nobody tested, once; no row when it already is.
INSERT INTO tallybook.announcements (kind, app_id, key, facts, happened_at, created_at)
SELECT 'stripe.version_drifted' AS kind, 0 AS app_id, :key AS named, :facts AS told, :now AS happened_at, :now AS created_at
WHERE NOT EXISTS (SELECT FROM tallybook.announcements AS a WHERE a.key = :key)
ON CONFLICT (key) DO NOTHING
RETURNING announcement_id;

-- name: tell
-- Tell whoever delivers announcements that there is one.
SELECT pg_notify('tallybook_announcements', '');

-- name: of_the_other_mode
-- How many events of the other mode came in since then.
SELECT count(*) AS events FROM tallybook.stripe_events
WHERE received_at >= :since AND outcome = 'other_mode';
