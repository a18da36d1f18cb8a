-- Spend alerts, and the announcements that they and others make. docs/alerts.md says what they promise.
-- Nothing here is on the hot path: no trigger, no index and no foreign key on wallets or transfers.

CREATE TABLE tallybook.announcements (
    announcement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind            text NOT NULL CHECK (kind ~ '^[a-z_]+\.[a-z_]+$'),
    wallet_id       bigint,
    app_id          integer NOT NULL DEFAULT 0,
    key             text NOT NULL UNIQUE CHECK (length(key) BETWEEN 1 AND 255),
    facts           jsonb NOT NULL,
    happened_at     timestamptz NOT NULL,
    created_at      timestamptz NOT NULL
);
COMMENT ON TABLE tallybook.announcements IS
'What others are to hear of, written in the transaction that found it, once for each key; who delivers keeps a table of its own.';
COMMENT ON COLUMN tallybook.announcements.kind IS 'What happened, as noun.event: alert.low_balance.';
COMMENT ON COLUMN tallybook.announcements.app_id IS 'The app that it is for alone; 0: the owner, the house and every app of the wallet.';
COMMENT ON COLUMN tallybook.announcements.key IS 'Names the happening itself, so that it is announced once whoever finds it and how often.';
CREATE INDEX announcements_by_wallet ON tallybook.announcements (wallet_id, announcement_id);
CREATE TRIGGER announcements_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tallybook.announcements
FOR EACH STATEMENT EXECUTE FUNCTION tallybook.refuse_change();

CREATE TABLE tallybook.alerts (
    alert_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    wallet_id     bigint,
    app_id        integer NOT NULL,
    kind          text NOT NULL,
    amount_micro  bigint NOT NULL CHECK (amount_micro > 0),
    margin_micro  bigint CHECK (margin_micro >= 0),
    span          text,
    rearm_percent smallint CHECK (rearm_percent BETWEEN 1 AND 100),
    percents      smallint[] CHECK (cardinality(percents) BETWEEN 1 AND 10),
    revision      integer NOT NULL DEFAULT 1,
    began_at      timestamptz NOT NULL,
    begin_version bigint,
    created_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    CHECK ((wallet_id IS NULL) = (begin_version IS NULL)),
    CHECK (
        (kind = 'low_balance' AND margin_micro IS NOT NULL AND num_nonnulls(span, rearm_percent, percents) = 0)
        OR (
            kind = 'burn_rate' AND span IN ('hour', 'day')
            AND rearm_percent IS NOT NULL AND num_nonnulls(margin_micro, percents) = 0
        )
        OR (
            kind = 'spend_threshold' AND span IN ('day', 'month')
            AND percents IS NOT NULL AND num_nonnulls(margin_micro, rearm_percent) = 0
        )
    )
);
COMMENT ON COLUMN tallybook.alerts.wallet_id IS 'The wallet that it watches; null: every wallet of the installation (a default).';
COMMENT ON COLUMN tallybook.alerts.app_id IS 'The app whose alert it is; 0: the owner''s or the house''s.';
COMMENT ON COLUMN tallybook.alerts.revision IS 'Counts its changes: a changed alert begins anew.';
COMMENT ON COLUMN tallybook.alerts.begin_version IS 'The wallet''s version when it began; a default begins by time.';
CREATE INDEX alerts_by_wallet ON tallybook.alerts (wallet_id) WHERE ended_at IS NULL;
CREATE INDEX alerts_by_app ON tallybook.alerts (app_id, alert_id) WHERE ended_at IS NULL;

CREATE TYPE tallybook.alert_slot AS (
    span        text,
    slot        bigint,
    spent_micro bigint
);

CREATE TABLE tallybook.alert_watches (
    wallet_id         bigint PRIMARY KEY,
    evaluated_version bigint,
    counts            boolean NOT NULL DEFAULT false,
    slots             tallybook.alert_slot[] NOT NULL DEFAULT '{}',
    behind_at         timestamptz
) WITH (fillfactor = 70);
COMMENT ON TABLE tallybook.alert_watches IS 'How far a wallet''s transfers have been looked at, and what was spent lately.';
COMMENT ON COLUMN tallybook.alert_watches.evaluated_version IS 'The newest transfer that was looked at; null: none yet.';
COMMENT ON COLUMN tallybook.alert_watches.counts IS 'Whether spending is counted: only where an alert asks for it.';
COMMENT ON COLUMN tallybook.alert_watches.slots IS
'Spent in each of the last 60 minutes (hour) and 60 spells of 24 minutes (day), and in the month, up to evaluated_version.';
COMMENT ON COLUMN tallybook.alert_watches.behind_at IS 'Look at it in the next pass: an alert is new, or there was too much for one pass.';
CREATE INDEX alert_watches_behind ON tallybook.alert_watches (behind_at) WHERE behind_at IS NOT NULL;

CREATE TABLE tallybook.alert_states (
    wallet_id        bigint NOT NULL,
    alert_id         bigint NOT NULL REFERENCES tallybook.alerts,
    revision         integer NOT NULL,
    observed_version bigint NOT NULL,
    is_fired         boolean NOT NULL DEFAULT false,
    period           bigint,
    fired_percent    smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (wallet_id, alert_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE tallybook.alert_states IS 'Where an alert stands for a wallet: armed or fired; for a threshold, the highest percentage yet.';
COMMENT ON COLUMN tallybook.alert_states.observed_version IS 'What it has seen; it looks at what comes after.';

CREATE TABLE tallybook.alert_walk (
    only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    after_wallet_id bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE tallybook.alert_walk IS 'Where the round over the wallets is; whoever has it locked is the one who evaluates.';
INSERT INTO tallybook.alert_walk DEFAULT VALUES;
