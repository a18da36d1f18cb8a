-- Invoices that a customer's balance paid in part: a refund of the rest takes its part of the credits, not all of them.
ALTER TABLE tallybook.payments ADD COLUMN from_balance_minor bigint NOT NULL DEFAULT 0 CHECK (from_balance_minor >= 0);
COMMENT ON COLUMN tallybook.payments.from_balance_minor IS
'What the customer''s balance at Stripe paid beside paid_minor: it brought credits too, but is none to be refunded.';
