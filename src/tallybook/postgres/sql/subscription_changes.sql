-- name: intend
-- Write down what is to become of a subscription, before Stripe is asked; no row when the key was used before.
INSERT INTO tallybook.subscription_changes (intent_id, subscription_id, app_id, key, terms, action, created_at)
VALUES (gen_random_uuid(), :subscription_id, :app_id, :key, :terms, :action, :now)
ON CONFLICT (subscription_id, app_id, key) WHERE key IS NOT NULL DO NOTHING
RETURNING *;

-- name: by_key
-- What was asked for under a key.
SELECT * FROM tallybook.subscription_changes
WHERE subscription_id = :subscription_id AND app_id = :app_id AND key = :key;

-- name: next_attempt
-- The call was refused: the next one gets a key of its own.
UPDATE tallybook.subscription_changes SET attempt = attempt + 1
WHERE change_id = :change_id AND attempt = :attempt;

-- name: done
-- The change was carried out.
UPDATE tallybook.subscription_changes SET done_at = :now WHERE change_id = :change_id;
