-- The rights of revision 0013.

REVOKE ALL ON FUNCTION tallybook.freeze_wallet_v1(timestamptz, bigint, text, boolean) FROM public;
GRANT EXECUTE ON FUNCTION tallybook.freeze_wallet_v1(timestamptz, bigint, text, boolean) TO tallybook_runtime;
GRANT SELECT ON tallybook.wallet_freezes TO tallybook_runtime;
GRANT SELECT, INSERT, UPDATE ON tallybook.refunds, tallybook.disputes, tallybook.refund_intents TO tallybook_runtime;
GRANT SELECT, INSERT ON tallybook.payment_steps TO tallybook_runtime;
