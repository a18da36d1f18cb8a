-- The rights of revision 0006. Functions are executable by everybody until they are revoked.

DROP FUNCTION tallybook.verify_v1();

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tallybook FROM public;
GRANT SELECT ON tallybook.lots_now TO tallybook_runtime;
GRANT EXECUTE ON FUNCTION
tallybook.post_v1(timestamptz, boolean, jsonb),
tallybook.post_v2(timestamptz, boolean, text[], bigint[], integer[], bigint[], text[], bigint[], jsonb[]),
tallybook.post_all_v2(timestamptz, text[], bigint[], integer[], bigint[], text[], bigint[], jsonb[]),
tallybook.settle_due_v2(timestamptz, integer),
tallybook.extend_hold_v2(timestamptz, bigint, bigint, integer),
tallybook.open_budget_v1(timestamptz, bigint, bigint, integer, text, text, bigint, text, integer),
tallybook.limit_budget_v1(timestamptz, bigint, bigint, bigint),
tallybook.period_start_v1(text, timestamptz),
tallybook.period_end_v1(text, timestamptz),
tallybook.budgets_at_v1(timestamptz, bigint),
tallybook.verify_v2()
TO tallybook_runtime;
