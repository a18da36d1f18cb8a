-- Promotion codes of plans, the tax in what was paid, and plans that begin with the next period by a schedule of Stripe's.
ALTER TABLE tallybook.subscriptions
ADD COLUMN stripe_promotion_code_id text,
ADD COLUMN stripe_schedule_id text,
ADD COLUMN next_lookup_key text,
ADD COLUMN next_price_id text,
ADD COLUMN next_quantity integer CHECK (next_quantity >= 1),
ADD COLUMN next_amount_minor bigint CHECK (next_amount_minor >= 0);
COMMENT ON COLUMN tallybook.subscriptions.stripe_promotion_code_id IS
'The promotion code that it was begun with through the API; what a buyer types on Stripe''s page stays there.';
COMMENT ON COLUMN tallybook.subscriptions.stripe_schedule_id IS
'The schedule at Stripe that brings next_price_id with the next period.';

ALTER TABLE tallybook.payments ADD COLUMN tax_minor bigint NOT NULL DEFAULT 0 CHECK (tax_minor >= 0);
COMMENT ON COLUMN tallybook.payments.tax_minor IS
'The tax in what was paid, on top of the price or inside it: of paid_minor and from_balance_minor together.';

ALTER TABLE tallybook.subscription_invoices ADD COLUMN tax_minor bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN tallybook.subscription_invoices.tax_minor IS 'The tax in total_minor; below zero in a credit.';
