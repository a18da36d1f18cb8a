-- The whole ledger in one statement sorted and joined all of it at once: verify_v3 takes a range of wallets.
DROP FUNCTION tallybook.verify_v2();

REVOKE ALL ON FUNCTION tallybook.verify_v3(bigint, bigint) FROM public;
GRANT EXECUTE ON FUNCTION tallybook.verify_v3(bigint, bigint) TO tallybook_runtime;
