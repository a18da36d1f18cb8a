-- name: take_fence
-- Take the lease on a customer, if nobody holds it.
INSERT INTO tallybook.customer_fences (stripe_customer_id, fence, leased_until)
VALUES (:stripe_customer_id, 1, :leased_until)
ON CONFLICT (stripe_customer_id) DO UPDATE
SET fence = customer_fences.fence + 1, leased_until = excluded.leased_until
WHERE customer_fences.leased_until <= :now
RETURNING fence;

-- name: hold_fence
-- Lock the lease for the rest of the transaction, if it is still ours.
SELECT fence FROM tallybook.customer_fences
WHERE stripe_customer_id = :stripe_customer_id AND fence = :fence FOR UPDATE;

-- name: give_fence_back
-- End the lease, if it is still ours.
UPDATE tallybook.customer_fences SET leased_until = :now
WHERE stripe_customer_id = :stripe_customer_id AND fence = :fence;
