-- name: account
-- The Stripe account and mode that this database serves.
SELECT * FROM tallybook.stripe_account;

-- name: record_account
-- Write the Stripe account and mode down, unless they already are.
INSERT INTO tallybook.stripe_account (account_id, livemode, recorded_at)
VALUES (:account_id, :livemode, :now)
ON CONFLICT DO NOTHING;

-- name: buyer
-- The user who buys.
SELECT user_id, email, is_active FROM tallybook.users WHERE user_id = :user_id;

-- name: intend_customer
-- Write down that the user is to become a Stripe customer, before Stripe is asked.
INSERT INTO tallybook.stripe_customers (user_id, intent_id, created_at, updated_at)
VALUES (:user_id, gen_random_uuid(), :now, :now)
ON CONFLICT (user_id) DO NOTHING;

-- name: customer
-- The user's Stripe customer, or the intent to make one.
SELECT user_id, email, intent_id, attempt, stripe_customer_id
FROM tallybook.stripe_customers INNER JOIN tallybook.users USING (user_id)
WHERE user_id = :user_id;

-- name: user_of
-- The user who is a Stripe customer.
SELECT user_id FROM tallybook.stripe_customers WHERE stripe_customer_id = :stripe_customer_id;

-- name: keep_customer
-- Keep the Stripe customer that the intent became, unless another request did or the intent was given up.
UPDATE tallybook.stripe_customers SET stripe_customer_id = :stripe_customer_id, updated_at = :now
WHERE user_id = :user_id AND intent_id = :intent_id AND stripe_customer_id IS NULL;

-- name: next_attempt
-- The attempt ended for good without a customer: the next one gets a key of its own.
UPDATE tallybook.stripe_customers SET attempt = attempt + 1, updated_at = :now
WHERE user_id = :user_id AND intent_id = :intent_id AND attempt = :attempt AND stripe_customer_id IS NULL;

-- name: forget_customer
-- The customer was deleted at Stripe: the next one is a new intent.
UPDATE tallybook.stripe_customers SET
    stripe_customer_id = NULL, intent_id = gen_random_uuid(), attempt = 1, updated_at = :now
WHERE user_id = :user_id AND stripe_customer_id = :stripe_customer_id;

-- name: app_domains
-- The domains of the apps that customers may be sent back to.
SELECT domain FROM tallybook.apps WHERE is_active AND domain <> '';

-- name: users_of
-- Whose some Stripe customers are.
SELECT stripe_customer_id, user_id FROM tallybook.stripe_customers WHERE stripe_customer_id = any(:customer_ids);

-- name: linked
-- Whose a Stripe customer is, and since when.
SELECT user_id, created_at FROM tallybook.stripe_customers WHERE stripe_customer_id = :stripe_customer_id;

-- name: of_user
-- The Stripe customer of a user, or the intent to make one.
SELECT user_id FROM tallybook.stripe_customers WHERE user_id = :user_id AND stripe_customer_id IS NOT NULL;
