-- name: record
-- Write down one act.
INSERT INTO tallybook.audit_log (
    at, actor_kind, actor_id, action, subject_kind, subject_id, before, after, request_id, event_id
)
VALUES (
    :now, :actor_kind, :actor_id, :action, :subject_kind, :subject_id, :before, :after, :request_id, :event_id
);

-- name: of_subject
-- What was done to a subject, oldest first.
SELECT audit_id, at, actor_kind, actor_id, action, subject_kind, subject_id, before, after, request_id
FROM tallybook.audit_log
WHERE subject_kind = :subject_kind AND subject_id = :subject_id
ORDER BY audit_id;
