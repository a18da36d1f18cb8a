-- name: add
-- Make an organisation.
INSERT INTO tallybook.organisations (name, created_at) VALUES (:name, :now)
RETURNING organisation_id;

-- name: put_member
-- Make a user a member, or change what they are there.
INSERT INTO tallybook.organisation_members (organisation_id, user_id, role, created_at)
VALUES (:organisation_id, :user_id, :role, :now)
ON CONFLICT (organisation_id, user_id) DO UPDATE SET role = excluded.role;

-- name: one
-- An organisation with its default wallet.
SELECT o.organisation_id, o.name, o.created_at, w.wallet_id
FROM tallybook.organisations AS o
INNER JOIN tallybook.wallets AS w ON w.owner_organisation_id = o.organisation_id AND w.is_default
WHERE o.organisation_id = :organisation_id;

-- name: after
-- A page of organisations with their default wallets, in the order they came.
SELECT o.organisation_id, o.name, o.created_at, w.wallet_id
FROM tallybook.organisations AS o
INNER JOIN tallybook.wallets AS w ON w.owner_organisation_id = o.organisation_id AND w.is_default
WHERE o.organisation_id > :after ORDER BY o.organisation_id LIMIT :limit;

-- name: members
-- The members of some organisations, in the order they came.
SELECT organisation_id, user_id, role FROM tallybook.organisation_members
WHERE organisation_id IN (SELECT unnest(:organisation_ids::bigint [])) ORDER BY organisation_id, created_at, user_id;
