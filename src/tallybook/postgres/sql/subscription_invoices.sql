-- name: follow
-- Write an invoice down as Stripe has it, locked until the transaction ends; what it did to credits stays.
INSERT INTO tallybook.subscription_invoices AS i (
    stripe_invoice_id, subscription_id, number, status, billing_reason, currency, total_minor, tax_minor, amount_due_minor,
    amount_paid_minor, hosted_invoice_url, attempt_count, next_payment_attempt_at, stripe_created, outcome, created_at,
    updated_at
) VALUES (
    :stripe_invoice_id, :subscription_id, :number, :status, :billing_reason, :currency, :total_minor, :tax_minor, :amount_due_minor,
    :amount_paid_minor, :hosted_invoice_url, :attempt_count, :next_payment_attempt_at, :stripe_created, 'seen', :now, :now
)
ON CONFLICT (stripe_invoice_id) DO UPDATE SET
    number = excluded.number,
    status = CASE WHEN i.status IN ('paid', 'void') THEN i.status ELSE excluded.status END,
    total_minor = excluded.total_minor,
    tax_minor = excluded.tax_minor,
    amount_due_minor = excluded.amount_due_minor,
    amount_paid_minor = excluded.amount_paid_minor,
    hosted_invoice_url = excluded.hosted_invoice_url,
    attempt_count = excluded.attempt_count,
    next_payment_attempt_at = excluded.next_payment_attempt_at,
    updated_at = excluded.updated_at
RETURNING i.posted_at;

-- name: settled
-- Write down what an invoice did to credits; once they moved, that is final.
UPDATE tallybook.subscription_invoices SET
    outcome = :outcome, granted_micro = :granted_micro::bigint, owed_micro = :owed_micro::bigint,
    posted_at = CASE WHEN :granted_micro::bigint > 0 THEN :now::timestamptz END
WHERE stripe_invoice_id = :stripe_invoice_id AND posted_at IS NULL;

-- name: took_back
-- Write down what of the credits that an invoice owes was taken back.
UPDATE tallybook.subscription_invoices SET taken_back_micro = :taken_back_micro, posted_at = coalesce(posted_at, :now)
WHERE stripe_invoice_id = :stripe_invoice_id;

-- name: of_subscription
-- The invoices of a subscription, newest first.
SELECT * FROM tallybook.subscription_invoices
WHERE subscription_id = :subscription_id
ORDER BY stripe_created DESC, stripe_invoice_id DESC LIMIT :limit;

-- name: owing
-- The invoices of a subscription that owe credits.
SELECT stripe_invoice_id, stripe_created, number, owed_micro, taken_back_micro FROM tallybook.subscription_invoices
WHERE subscription_id = :subscription_id AND owed_micro > 0;

-- name: lots_of_subscription
-- The lots that a subscription's invoices brought, newest first; their payments are locked until the transaction ends.
SELECT
    l.payment_id, l.wallet_id, l.lot_version, l.credits_micro, l.returned_micro, i.stripe_invoice_id, i.stripe_created,
    i.number
FROM tallybook.subscription_invoices AS i
INNER JOIN tallybook.payments AS p ON p.source = 'invoice' AND p.reference = i.stripe_invoice_id
INNER JOIN tallybook.payment_lots AS l ON l.payment_id = p.payment_id
WHERE i.subscription_id = :subscription_id
ORDER BY l.lot_version DESC
FOR UPDATE OF p;

-- name: returned
-- Write down what in all was taken back of a lot.
UPDATE tallybook.payment_lots SET returned_micro = :returned_micro
WHERE payment_id = :payment_id AND lot_version = :lot_version;

-- name: unsettled
-- Invoices that may still be paid, made before a moment.
SELECT stripe_invoice_id FROM tallybook.subscription_invoices
WHERE status NOT IN ('paid', 'void') AND stripe_created < :before
ORDER BY stripe_created, stripe_invoice_id;

-- name: by_ids
-- Invoices by Stripe's ids.
SELECT * FROM tallybook.subscription_invoices WHERE stripe_invoice_id = any(:stripe_invoice_ids);
