-- Invoices that owe credits for money that went to the customer's balance: what was not there yet is taken when it comes.
ALTER TABLE tallybook.subscription_invoices ADD COLUMN owed_micro bigint NOT NULL DEFAULT 0 CHECK (owed_micro >= 0);
COMMENT ON COLUMN tallybook.subscription_invoices.owed_micro IS
'What its lines take back in all; taken_back_micro is what of it there was to be taken.';
UPDATE tallybook.subscription_invoices SET owed_micro = taken_back_micro
WHERE taken_back_micro > 0;
