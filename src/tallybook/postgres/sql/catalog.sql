-- name: one_at_a_time
-- Wait until nobody else pushes the catalogue; held until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('tallybook.catalog_push', 0));

-- name: links
-- Which Stripe product and price each product became.
SELECT * FROM tallybook.catalog_links ORDER BY lookup_key;

-- name: save_link
-- Write down which Stripe product and price a product became.
INSERT INTO tallybook.catalog_links (
    lookup_key, stripe_product_id, stripe_price_id, amount_minor, currency, pushed_at
) VALUES (:lookup_key, :stripe_product_id, :stripe_price_id, :amount_minor, :currency, :now)
ON CONFLICT (lookup_key) DO UPDATE SET
    stripe_product_id = excluded.stripe_product_id,
    stripe_price_id = excluded.stripe_price_id,
    amount_minor = excluded.amount_minor,
    currency = excluded.currency,
    pushed_at = excluded.pushed_at;

-- name: save_plan_price
-- Remember what a Stripe price was for; it never changes.
INSERT INTO tallybook.plan_prices (stripe_price_id, lookup_key, amount_minor, currency, first_seen_at)
VALUES (:stripe_price_id, :lookup_key, :amount_minor, :currency, :now)
ON CONFLICT DO NOTHING;

-- name: plan_prices
-- What these Stripe prices were for, as far as they are ours.
SELECT * FROM tallybook.plan_prices WHERE stripe_price_id = any(:stripe_price_ids);
