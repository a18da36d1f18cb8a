"""PostgreSQL: the only SQL. One door (module) a noun; statements in ``sql/``, the ledger in ``functions/``."""
