-- name: add
-- Set an alert.
INSERT INTO tallybook.alerts (
    wallet_id, app_id, kind, amount_micro, margin_micro, span, rearm_percent, percents,
    began_at, begin_version, created_at
) VALUES (
    :wallet_id, :app_id, :kind, :amount_micro, :margin_micro, :span, :rearm_percent, :percents,
    :now, (SELECT w.version FROM tallybook.wallets AS w WHERE w.wallet_id = :wallet_id), :now
)
RETURNING *;

-- name: change
-- Give an alert other terms; it begins anew.
UPDATE tallybook.alerts SET
    amount_micro = :amount_micro, margin_micro = :margin_micro, span = :span,
    rearm_percent = :rearm_percent, percents = :percents,
    revision = alerts.revision + 1, began_at = :now,
    begin_version = (SELECT w.version FROM tallybook.wallets AS w WHERE w.wallet_id = alerts.wallet_id)
WHERE alert_id = :alert_id AND ended_at IS NULL
RETURNING *;

-- name: end
-- End an alert.
UPDATE tallybook.alerts SET ended_at = :now WHERE alert_id = :alert_id AND ended_at IS NULL;

-- name: watch
-- Have a wallet looked at in the next pass.
INSERT INTO tallybook.alert_watches (wallet_id, behind_at) VALUES (:wallet_id, :now)
ON CONFLICT (wallet_id) DO UPDATE SET behind_at = excluded.behind_at;

-- name: lock_wallet
-- Set one alert at a time on a wallet.
SELECT pg_advisory_xact_lock(8, hashint8(:wallet_id));

-- name: on_wallet
-- How many alerts an app has on a wallet.
SELECT count(*) AS alerts FROM tallybook.alerts
WHERE wallet_id = :wallet_id AND app_id = :app_id AND ended_at IS NULL;

-- name: one
-- One alert that has not ended.
SELECT * FROM tallybook.alerts WHERE alert_id = :alert_id AND ended_at IS NULL;

-- name: locked
-- One alert that has not ended, held until the transaction ends.
SELECT * FROM tallybook.alerts WHERE alert_id = :alert_id AND ended_at IS NULL FOR UPDATE;

-- name: after
-- A page of alerts, of all or of one app.
SELECT * FROM tallybook.alerts
WHERE alert_id > :after AND ended_at IS NULL AND (:app_id::integer IS NULL OR app_id = :app_id)
ORDER BY alert_id LIMIT :limit;

-- name: after_on_wallets
-- A page of the alerts on some wallets, of all or of one app.
SELECT * FROM tallybook.alerts
WHERE wallet_id IN (SELECT unnest(:wallet_ids::bigint [])) AND alert_id > :after AND ended_at IS NULL
    AND (:app_id::integer IS NULL OR app_id = :app_id)
ORDER BY alert_id LIMIT :limit;

-- name: wallets_of_user
-- The wallets that a user may look at: their own, and those of their organisations.
SELECT w.wallet_id FROM tallybook.wallets AS w WHERE w.owner_user_id = :user_id
UNION ALL
SELECT w.wallet_id
FROM tallybook.organisation_members AS m
INNER JOIN tallybook.wallets AS w ON w.owner_organisation_id = m.organisation_id
WHERE m.user_id = :user_id;

-- name: announcements
-- A page of announcements, newest first: all, or those for an app, its own and the house's about its users.
SELECT a.* FROM tallybook.announcements AS a
WHERE a.announcement_id < :before AND (
    :app_id::integer IS NULL OR a.app_id = :app_id OR (a.app_id = 0 AND EXISTS (
        SELECT 1 FROM tallybook.wallets AS w
        INNER JOIN tallybook.app_users AS u ON u.user_id = w.owner_user_id AND u.app_id = :app_id
        WHERE w.wallet_id = a.wallet_id
    ))
)
ORDER BY a.announcement_id DESC LIMIT :limit;

-- name: announcements_of_wallets
-- A page of the announcements about some wallets, newest first: all, or those for an app and the house's.
SELECT a.* FROM tallybook.announcements AS a
WHERE a.wallet_id IN (SELECT unnest(:wallet_ids::bigint [])) AND a.announcement_id < :before
    AND (:app_id::integer IS NULL OR a.app_id IN (0, :app_id))
ORDER BY a.announcement_id DESC LIMIT :limit;

-- name: evaluate
-- One pass over the wallets.
SELECT verdict, announced FROM tallybook.evaluate_alerts_v1(:now, :wallets, :transfers);
