-- name: lock
-- Be the only one who works under this key until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended(:scope || chr(31) || :key, 7426356));

-- name: recall
-- What this key was answered.
SELECT terms, answer FROM tallybook.remembered_requests WHERE scope = :scope AND key = :key;

-- name: remember
-- Keep an answer.
INSERT INTO tallybook.remembered_requests (scope, key, terms, answer, created_at)
VALUES (:scope, :key, :terms, :answer, :now);

-- name: forget_secrets
-- Forget the answers with keys and tokens in them that are older than a moment.
SELECT tallybook.forget_secrets_v1(:before) AS forgotten;
