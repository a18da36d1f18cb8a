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
