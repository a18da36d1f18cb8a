-- Post all of a batch or nothing of it.
--
-- When one request is refused the others are taken back, and every key of the batch is answered 'batch_refused' from then on:
-- a first attempt that was delayed on the way cannot be booked after its caller was told no. What is no decision (a key that
-- was used for other terms) refuses the batch too, but is not stored.

CREATE FUNCTION tallybook.post_all_v2(
    p_now timestamptz, p_ops text[], p_ids bigint[], p_apps integer[], p_amounts bigint[], p_keys text[],
    p_holds bigint[], p_rests jsonb[]
) RETURNS SETOF tallybook.posting_answer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_answers posting_answer[];
    v_refused posting_answer;
    v_facts   jsonb;
BEGIN
    -- Locked before the attempt, the wallets stay locked when it is taken back.
    PERFORM w.wallet_id FROM wallets AS w WHERE w.wallet_id = ANY (p_ids) ORDER BY w.wallet_id FOR NO KEY UPDATE;
    BEGIN
        SELECT array_agg(a ORDER BY a.ord) INTO v_answers
        FROM post_v2(p_now, true, p_ops, p_ids, p_apps, p_amounts, p_keys, p_holds, p_rests) AS a;
        SELECT a.* INTO v_refused FROM unnest(v_answers) AS a WHERE a.code <> 'ok' ORDER BY a.ord LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'batch refused' USING ERRCODE = 'TB003';
        END IF;
    EXCEPTION WHEN SQLSTATE 'TB003' THEN
        v_facts := CASE WHEN v_refused.code = 'batch_refused' THEN v_refused.facts ELSE jsonb_build_object(
            'index', v_refused.ord - 1, 'item_code', v_refused.code, 'item_facts', coalesce(v_refused.facts, '{}')
        ) END;
        IF v_refused.code NOT IN ('idempotency_key_reused', 'wallet_not_found') THEN
            INSERT INTO refusals
            SELECT made.* FROM (
                SELECT DISTINCT ON (q.wallet_id, q.app_id, q.key) q.*
                FROM unnest(p_ops, p_ids, p_apps, p_amounts, p_keys, p_holds, p_rests)
                WITH ORDINALITY AS q (op, wallet_id, app_id, amount_micro, key, hold_version, rest, ord)
                WHERE q.key IS NOT NULL AND NOT EXISTS (
                    SELECT 1 FROM transfers AS t
                    WHERE t.wallet_id = q.wallet_id AND t.app_id = q.app_id AND t.key = q.key
                )
                ORDER BY q.wallet_id, q.app_id, q.key, q.ord
            ) AS x
            INNER JOIN wallets AS w ON w.wallet_id = x.wallet_id
            CROSS JOIN LATERAL (SELECT x.wallet_id, x.app_id, x.key,
                terms_v2(x.op, x.amount_micro, x.hold_version, x.rest) AS terms, 'batch_refused' AS code, v_facts AS facts,
                w.version AS wallet_version, p_now AS created_at, NULL::bytea AS digest) AS bare
            CROSS JOIN LATERAL (SELECT bare.wallet_id, bare.app_id, bare.key, bare.terms, bare.code, bare.facts,
                bare.wallet_version, bare.created_at, refusal_digest_v1(bare::text::refusals) AS digest) AS made
            ON CONFLICT DO NOTHING;
        END IF;
        SELECT array_agg(ROW (
            q.ord, 'batch_refused', v_refused.replayed, q.wallet_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
            NULL, NULL, v_facts
        )::posting_answer) INTO v_answers FROM unnest(p_ids) WITH ORDINALITY AS q (wallet_id, ord);
    END;
    RETURN QUERY SELECT a.* FROM unnest(v_answers) AS a;
END $$;
COMMENT ON FUNCTION tallybook.post_all_v2(
    timestamptz, text[], bigint[], integer[], bigint[], text[], bigint[], jsonb[]
) IS 'Post all of a batch or nothing of it; a refusal is stored under every key of it.';
