-- name: begin
-- Begin to import, or go on after the last customer of one that was stopped.
INSERT INTO tallybook.stripe_imports AS i (terms, status, began_at, updated_at)
VALUES (:terms, 'running', :now, :now)
ON CONFLICT (terms) DO UPDATE SET
    status = 'running', updated_at = :now,
    began_at = CASE WHEN i.status = 'running' THEN i.began_at ELSE :now END,
    customers = CASE WHEN i.status = 'running' THEN i.customers ELSE 0 END,
    after_customer = CASE WHEN i.status = 'running' THEN i.after_customer END
RETURNING after_customer, customers;

-- name: went_on
-- A customer is done.
UPDATE tallybook.stripe_imports SET after_customer = :after_customer, customers = customers + 1, updated_at = :now
WHERE terms = :terms;

-- name: end
-- All customers are done.
UPDATE tallybook.stripe_imports SET status = 'done', updated_at = :now WHERE terms = :terms;
