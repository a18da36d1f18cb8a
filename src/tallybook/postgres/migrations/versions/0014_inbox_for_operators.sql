-- The inbox for operators: which secret signed an event, which versions come in, what an event led to.

ALTER TABLE tallybook.stripe_events
ADD COLUMN verified_by text [] NOT NULL DEFAULT '{}',
ADD COLUMN replays integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN tallybook.stripe_events.verified_by IS
'Fingerprints of the signing secrets that verified it; never a secret. Empty: it came before they were kept.';
COMMENT ON COLUMN tallybook.stripe_events.replays IS 'How often somebody had it worked on again.';
CREATE INDEX stripe_events_by_object ON tallybook.stripe_events (object_id, received_at) WHERE object_id IS NOT NULL;
CREATE INDEX stripe_events_by_customer ON tallybook.stripe_events (customer_id, received_at) WHERE customer_id IS NOT NULL;
CREATE INDEX stripe_events_dead ON tallybook.stripe_events (received_at, event_id) WHERE status = 'dead';

CREATE TABLE tallybook.webhook_sightings (
    intake_path    text NOT NULL,
    fingerprint    text NOT NULL,
    api_version    text NOT NULL,
    first_seen_at  timestamptz NOT NULL,
    last_seen_at   timestamptz NOT NULL,
    last_needed_at timestamptz,
    PRIMARY KEY (intake_path, fingerprint, api_version)
);
COMMENT ON TABLE tallybook.webhook_sightings IS
'When which secret last verified an event of which version on which path, to the minute: what can be dropped, what drifts.';
COMMENT ON COLUMN tallybook.webhook_sightings.last_needed_at IS
'When it last verified an event that no other secret would have; while a secret is rolled, Stripe signs with both.';
COMMENT ON COLUMN tallybook.webhook_sightings.api_version IS 'As the event says; empty: it does not say.';

ALTER TABLE tallybook.audit_log ADD COLUMN event_id text;
COMMENT ON COLUMN tallybook.audit_log.event_id IS 'The Stripe event that was being settled when it was done.';
CREATE INDEX audit_log_by_event ON tallybook.audit_log (event_id, audit_id) WHERE event_id IS NOT NULL;

GRANT SELECT, INSERT, UPDATE ON tallybook.webhook_sightings TO tallybook_runtime;
