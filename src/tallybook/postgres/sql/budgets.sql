-- name: open_budget
-- Make a budget, or set the cap of an app.
SELECT tallybook.open_budget_v1(
    :now, :wallet_id, :parent_id, :capped_app_id, :name, :kind, :limit_micro, :period, :keeper_app_id
) AS budget_id;

-- name: limit_budget
-- Set or lift the limit of a budget.
SELECT tallybook.limit_budget_v1(:now, :wallet_id, :budget_id, :limit_micro);

-- name: one
-- A budget as it is now.
SELECT * FROM tallybook.budgets_at_v1(:now, :wallet_id) WHERE budget_id = :budget_id;

-- name: after
-- A page of a wallet's budgets in the order they were made; with an app, those that it may see.
SELECT * FROM tallybook.budgets_at_v1(:now, :wallet_id)
WHERE budget_id > :after AND (
    :app_id::integer IS NULL
    OR (keeper_app_id IN (0, :app_id::integer) AND coalesce(capped_app_id, :app_id::integer) = :app_id::integer)
)
ORDER BY budget_id LIMIT :limit;

-- name: caps
-- The caps of a wallet, in the order they were first set.
SELECT * FROM tallybook.budgets_at_v1(:now, :wallet_id) WHERE capped_app_id IS NOT NULL ORDER BY budget_id;
