-- name: place_of_user
-- Where a user's credits are: whether the user is active, and the default wallet if it is open.
SELECT u.is_active, w.wallet_id
FROM tallybook.users AS u
LEFT JOIN tallybook.wallets AS w ON w.owner_user_id = u.user_id AND w.is_default
WHERE u.user_id = :user_id;

-- name: is_member
-- Whether a user belongs to the organisation that owns a wallet.
SELECT EXISTS (
    SELECT 1 FROM tallybook.organisation_members
    WHERE organisation_id = :organisation_id AND user_id = :user_id
) AS is_member;
