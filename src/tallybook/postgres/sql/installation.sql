-- name: revision
-- The schema revision that the database is at.
SELECT version_num FROM tallybook.alembic_version;
