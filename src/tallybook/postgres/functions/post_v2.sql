-- Post a batch of requests to the ledger, each answered as if they had come one after another.
--
-- p_now     the time to write down (a wallet's times never run backwards)
-- p_wait    true: wait for wallets that another transaction holds; false: answer 'wallet_busy' for them
-- p_ops …   one place for each request: what is asked, of which wallet, by which app, how much, under which key, about
--           which hold; p_rests has everything else (tallybook.posting_request) as an object, null when there is nothing
--
-- A hold that a request places has no number yet, so no other request of the same batch can name it.
--
-- Meaning is decided by the caller (which accounts move: domain/ledger/recipes.py); this says whether they may. Two roads lead
-- to the same rows: the swift one books in one statement what falls on the front lots of wallets that have enough; what is
-- left is walked one by one (walk_v2). Refusals are stored under the key like successes. 'wallet_busy', 'wallet_not_found'
-- and 'idempotency_key_reused' are not decisions and are not stored.

CREATE TYPE tallybook.posting_outcome AS (
    answer  tallybook.posting_answer,
    request tallybook.posting_request
);

-- What was decided, read back from what is stored: so a first answer and its replay cannot differ.
CREATE FUNCTION tallybook.answers_v2(p_decisions tallybook.posting_decision[])
RETURNS SETOF tallybook.posting_answer LANGUAGE sql STABLE
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    SELECT
        d.ord, d.code, d.replayed, d.wallet_id, d.version,
        legs.kind, legs.amount_micro, legs.released_micro, legs.repaid_micro, legs.owed_micro,
        tail.available_after, tail.held_after, tail.debt_after,
        coalesce(tail.version, d.version), legs.hold_version, tail.created_at, coalesce(d.facts, '{}')
    FROM unnest(p_decisions) AS d
    LEFT JOIN transfers AS f ON f.wallet_id = d.wallet_id AND f.version = d.version AND d.code = 'ok'
    LEFT JOIN LATERAL (
        SELECT
            min(t.kind) FILTER (WHERE t.version = d.version) AS kind,
            sum(t.amount_micro) FILTER (
                WHERE t.version = d.version OR t.kind = 'clawback' OR t.undoes_version IS NOT NULL
                OR (t.kind = 'spend' AND f.kind = 'capture')
            )::bigint AS amount_micro,
            coalesce(sum(t.amount_micro) FILTER (WHERE t.kind IN ('release', 'return')), 0)::bigint AS released_micro,
            coalesce(sum(t.amount_micro) FILTER (WHERE t.kind = 'repay'), 0)::bigint AS repaid_micro,
            coalesce(sum(t.amount_micro) FILTER (WHERE t.debit = 'debt'), 0)::bigint AS owed_micro,
            max(t.version) AS last_version,
            max(t.hold_version) AS hold_version
        FROM transfers AS t
        WHERE t.wallet_id = d.wallet_id
            AND t.version BETWEEN d.version AND d.version - 1 + CASE f.form WHEN 1 THEN 4 ELSE coalesce(f.legs, 1) END
            AND (t.version = d.version OR t.part_of = d.version)
    ) AS legs ON f.version IS NOT NULL
    -- A query of its own: else the planner of an empty ledger may look for the version among all of a wallet's transfers.
    LEFT JOIN LATERAL (
        SELECT t.* FROM transfers AS t WHERE t.wallet_id = d.wallet_id AND t.version = legs.last_version LIMIT 1
    ) AS tail ON true
$$;

-- The swift road, of locked wallets (all but p_busy): look up what is known of each request, book at once what is plain, and
-- give the rest back as requests. A wallet's requests go one road together, so that their order holds.
CREATE FUNCTION tallybook.swift_v2(
    p_now timestamptz, p_busy bigint[],
    p_ops text[], p_ids bigint[], p_apps integer[], p_amounts bigint[], p_keys text[], p_holds bigint[], p_rests jsonb[]
) RETURNS SETOF tallybook.posting_outcome LANGUAGE plpgsql
SET search_path = tallybook, pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY WITH asked AS MATERIALIZED (
        SELECT q.*, terms_v2(q.op, q.amount_micro, q.hold_version, q.rest) AS terms,
            coalesce((q.rest ->> 'final')::boolean, q.op = 'release') AS final,
            row_number() OVER (PARTITION BY q.wallet_id, q.app_id, q.key ORDER BY q.ord) AS nth,
            count(q.hold_version) OVER (PARTITION BY q.wallet_id, q.hold_version) AS on_hold
        FROM unnest(p_ops, p_ids, p_apps, p_amounts, p_keys, p_holds, p_rests)
        WITH ORDINALITY AS q (op, wallet_id, app_id, amount_micro, key, hold_version, rest, ord)
    ),
    known AS (
        SELECT a.*, w.wallet_id AS locked_id, w.version AS at_version, w.available_micro AS had, w.held_micro AS had_held,
            w.front_lot_version, w.front_micro, w.digest AS head, greatest(w.updated_at, p_now) AS at, h.remaining_micro,
            coalesce(t.terms, f.terms) AS prior_terms, t.version AS prior_version, f.code AS prior_code,
            f.facts AS prior_facts, f.wallet_version AS prior_wallet_version,
            w.wallet_id IS NOT NULL AND t.version IS NULL AND f.wallet_version IS NULL
            AND (a.key IS NULL OR a.nth = 1) AS fresh,
            (w.debt_micro = 0 AND w.front_lot_version IS NOT NULL
            AND (w.next_due_at IS NULL OR w.next_due_at > greatest(w.updated_at, p_now))
            AND CASE a.op
                WHEN 'spend' THEN NOT w.has_caps AND a.amount_micro BETWEEN 1 AND 1000000000000000
                    AND (a.rest IS NULL OR NOT a.rest ?| '{house,budget_id}')
                WHEN 'hold' THEN NOT w.has_caps AND a.amount_micro BETWEEN 1 AND 1000000000000000
                    AND (a.rest IS NULL OR NOT a.rest ?| '{parent_version,budget_id}')
                WHEN 'capture' THEN a.amount_micro BETWEEN 0 AND h.remaining_micro
                    AND (a.amount_micro > 0 OR (a.final AND h.remaining_micro > 0))
                WHEN 'release' THEN h.remaining_micro > 0
                ELSE false END
            AND (a.hold_version IS NULL OR (
                h.app_id = a.app_id AND h.settled_at IS NULL AND h.budget_ids IS NULL
                AND h.parent_version IS NULL AND h.delegated_micro = 0 AND a.on_hold = 1
                AND cardinality(h.lot_versions) = 1 AND h.lot_versions[1] = w.front_lot_version
            ))) IS TRUE AS plain,
            CASE
                WHEN a.op IN ('spend', 'hold') THEN -a.amount_micro
                WHEN a.final THEN h.remaining_micro - coalesce(a.amount_micro, 0)
                ELSE 0 END AS front_change,
            CASE
                WHEN a.op = 'hold' THEN a.amount_micro
                WHEN a.final THEN -h.remaining_micro
                WHEN a.op = 'capture' THEN -a.amount_micro ELSE 0 END AS held_change,
            CASE WHEN a.op = 'capture' AND a.final AND a.amount_micro > 0 AND a.amount_micro < h.remaining_micro
                THEN 2 ELSE 1 END AS legs
        FROM asked AS a
        LEFT JOIN wallets AS w ON w.wallet_id = a.wallet_id AND (p_busy IS NULL OR w.wallet_id <> ALL (p_busy))
        LEFT JOIN transfers AS t
            ON t.wallet_id = a.wallet_id AND t.app_id = a.app_id AND t.key = a.key AND w.wallet_id IS NOT NULL
        LEFT JOIN refusals AS f
            ON f.wallet_id = a.wallet_id AND f.app_id = a.app_id AND f.key = a.key AND w.wallet_id IS NOT NULL
        LEFT JOIN holds AS h ON h.wallet_id = a.wallet_id AND h.version = a.hold_version
    ),
    summed AS (
        SELECT k.*,
            sum(CASE WHEN k.fresh THEN k.front_change END) OVER so_far AS front_moved,
            sum(CASE WHEN k.fresh THEN k.held_change END) OVER so_far AS held_moved,
            sum(CASE WHEN k.fresh THEN k.legs ELSE 0 END) OVER so_far AS legs_so_far,
            bool_and(k.plain OR NOT k.fresh) OVER (PARTITION BY k.wallet_id) AS all_plain
        FROM known AS k
        WINDOW so_far AS (PARTITION BY k.wallet_id ORDER BY k.ord)
    ),
    ready AS MATERIALIZED (
        SELECT s.*, s.at_version + s.legs_so_far - s.legs + 1 AS version,
            (s.had + s.front_moved)::bigint AS available_after, (s.had_held + s.held_moved)::bigint AS held_after,
            CASE WHEN s.op = 'capture' AND s.amount_micro = 0 THEN 'release' ELSE s.op END AS kind,
            s.fresh AND s.all_plain AND min(s.front_micro + s.front_moved) OVER of_wallet >= 0 AS is_swift,
            s.at_version + max(s.legs_so_far) OVER of_wallet AS last_version,
            CASE WHEN s.rest ?| '{description,service,metadata}' THEN gen_random_uuid() END AS salt,
            CASE WHEN s.op = 'hold' THEN s.at + make_interval(secs => coalesce((s.rest ->> 'lifetime_seconds')::integer, 900))
            END AS hold_expires_at
        FROM summed AS s
        WINDOW of_wallet AS (PARTITION BY s.wallet_id)
    ),
    swift AS MATERIALIZED (
        SELECT r.*, min(r.hold_expires_at) OVER (PARTITION BY r.wallet_id) AS first_due_at FROM ready AS r WHERE r.is_swift
    ),
    legs AS (
        SELECT s.wallet_id, s.head, s.last_version, s.first_due_at, s.version, s.kind, s.app_id, s.key,
            CASE WHEN s.key IS NOT NULL THEN s.terms END AS terms, NULL::bigint AS part_of,
            CASE WHEN s.kind = 'hold' THEN s.version ELSE s.hold_version END AS hold_version,
            CASE WHEN s.kind = 'release' THEN s.remaining_micro ELSE s.amount_micro END AS amount_micro,
            CASE WHEN s.legs = 2 THEN s.available_after - s.front_change ELSE s.available_after END AS available_after,
            CASE WHEN s.legs = 2 THEN s.held_after + s.front_change ELSE s.held_after END AS held_after,
            s.front_lot_version, nullif(s.legs, 1)::smallint AS legs, s.at,
            CASE WHEN s.salt IS NOT NULL THEN
                note_digest_v1(s.salt, s.rest ->> 'description', s.rest ->> 'service', s.rest -> 'metadata') END AS note_digest,
            CASE WHEN s.kind = 'hold' THEN hold_digest_v2(
                s.app_id, (s.rest ->> 'session_user_id')::bigint, s.amount_micro, (s.rest ->> 'estimate_micro')::bigint,
                coalesce(s.rest ->> 'on_expiry', 'release'), s.hold_expires_at, s.at, NULL, NULL) END AS detail_digest
        FROM swift AS s
        UNION ALL
        SELECT s.wallet_id, s.head, s.last_version, s.first_due_at, s.version + 1, 'release', s.app_id, NULL, NULL, s.version, s.hold_version,
            s.front_change, s.available_after, s.held_after, s.front_lot_version, NULL, s.at, NULL, NULL
        FROM swift AS s WHERE s.legs = 2
    ),
    chained AS MATERIALIZED (
        SELECT l.*, e.debit, e.credit,
            chain_v2(l.head, transfer_payload_v2(
                l.wallet_id, l.version, l.kind, e.debit, e.credit, l.amount_micro, l.available_after, l.held_after, 0,
                l.app_id, l.key, l.terms, l.front_lot_version,
                CASE WHEN num_nonnulls(l.part_of, l.hold_version, l.legs) > 0 THEN concat_ws(
                    ',', coalesce(l.part_of, 0), coalesce(l.hold_version, 0), 0, 0, 0, coalesce(l.legs, 1)
                ) END,
                l.note_digest, l.detail_digest, l.at
            )) OVER (PARTITION BY l.wallet_id ORDER BY l.version ROWS UNBOUNDED PRECEDING) AS digest
        FROM legs AS l
        CROSS JOIN LATERAL (SELECT
            CASE WHEN l.kind IN ('spend', 'hold') THEN 'available'::account ELSE 'held' END AS debit,
            CASE l.kind WHEN 'hold' THEN 'held'::account WHEN 'release' THEN 'available' ELSE 'usage' END AS credit
        ) AS e
    ),
    posted AS (
        INSERT INTO transfers (
            wallet_id, version, kind, debit, credit, amount_micro, available_after, held_after, debt_after, app_id, key, terms,
            part_of, hold_version, note_digest, detail_digest, created_at, digest, on_lot_version, legs, form
        )
        SELECT c.wallet_id, c.version, c.kind, c.debit, c.credit, c.amount_micro, c.available_after, c.held_after, 0, c.app_id,
            c.key, c.terms, c.part_of, c.hold_version, c.note_digest, c.detail_digest, c.at, c.digest, c.front_lot_version,
            c.legs, 2
        FROM chained AS c
    ),
    noted AS (
        INSERT INTO notes (wallet_id, version, salt, description, service, metadata)
        SELECT s.wallet_id, s.version, s.salt, s.rest ->> 'description', s.rest ->> 'service', s.rest -> 'metadata'
        FROM swift AS s WHERE s.salt IS NOT NULL
    ),
    placed AS (
        INSERT INTO holds (
            wallet_id, version, app_id, session_user_id, placed_micro, estimate_micro, on_expiry, expires_at, placed_at,
            lot_versions, lot_micros
        )
        SELECT s.wallet_id, s.version, s.app_id, (s.rest ->> 'session_user_id')::bigint, s.amount_micro,
            (s.rest ->> 'estimate_micro')::bigint, coalesce(s.rest ->> 'on_expiry', 'release'), s.hold_expires_at, s.at,
            ARRAY[s.front_lot_version], ARRAY[s.amount_micro]
        FROM swift AS s WHERE s.kind = 'hold'
    ),
    settled AS (
        UPDATE holds AS h SET
            captured_micro = h.captured_micro + CASE WHEN s.kind = 'capture' THEN s.amount_micro ELSE 0 END,
            released_micro = h.released_micro + s.front_change,
            lot_micros = ARRAY[h.lot_micros[1] + s.held_change],
            settled_at = CASE WHEN s.remaining_micro + s.held_change = 0 THEN s.at END,
            settled_by = CASE WHEN s.remaining_micro + s.held_change = 0 THEN s.op END
        FROM swift AS s
        WHERE s.hold_version IS NOT NULL AND h.wallet_id = s.wallet_id AND h.version = s.hold_version
    ),
    moved AS (
        UPDATE wallets AS w SET
            available_micro = x.available_after, held_micro = x.held_after, version = x.version, digest = x.digest,
            updated_at = x.at, front_micro = w.front_micro + x.available_after - w.available_micro,
            next_due_at = least(w.next_due_at, x.first_due_at)
        FROM chained AS x
        WHERE x.version = x.last_version AND w.wallet_id = x.wallet_id
    )
    SELECT ROW (
        s.ord, 'ok', false, s.wallet_id, s.version, s.kind,
        CASE WHEN s.kind = 'release' THEN s.remaining_micro ELSE s.amount_micro END,
        CASE WHEN s.front_change > 0 THEN s.front_change ELSE 0 END, 0, 0, s.available_after, s.held_after, 0,
        s.version + s.legs - 1, CASE WHEN s.kind = 'hold' THEN s.version ELSE s.hold_version END, s.at, '{}'
    )::posting_answer, NULL::posting_request
    FROM swift AS s
    UNION ALL
    SELECT ROW (
        k.ord, CASE
            WHEN k.locked_id IS NULL THEN 'wallet_busy'
            WHEN k.prior_terms <> k.terms THEN 'idempotency_key_reused'
            WHEN k.prior_terms IS NOT NULL THEN coalesce(k.prior_code, 'ok')
            WHEN k.nth > 1 AND k.key IS NOT NULL THEN 'again' END,
        k.prior_terms IS NOT NULL, k.wallet_id, coalesce(k.prior_version, k.prior_wallet_version),
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, k.prior_facts
    )::posting_answer,
    jsonb_populate_record(NULL::posting_request, coalesce(k.rest, '{}') || jsonb_build_object(
        'ord', k.ord, 'op', k.op, 'wallet_id', k.wallet_id, 'app_id', k.app_id, 'amount_micro', k.amount_micro,
        'key', k.key, 'hold_version', k.hold_version, 'terms', k.terms,
        'house', coalesce(k.rest ->> 'house', CASE WHEN k.op = 'spend' THEN 'usage' END)
    ))
    FROM ready AS k WHERE NOT k.is_swift;
END $$;

-- What is read of a large table is found by an index, one row at a time, on both roads. The planner is told so: in a database
-- that is new it knows nothing of the tables' sizes yet, and what it plans then is kept for as long as the connection lives.
CREATE FUNCTION tallybook.post_v2(
    p_now timestamptz, p_wait boolean, p_ops text[], p_ids bigint[], p_apps integer[], p_amounts bigint[], p_keys text[],
    p_holds bigint[], p_rests jsonb[]
) RETURNS SETOF tallybook.posting_answer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off AS $$
DECLARE
    v_locked    bigint[];
    v_swift     posting_answer[];
    v_rest      posting_outcome[];
    v_decisions posting_decision[];
    v_again     integer[];
    v_walk      record;
    v_wallet    wallets;
BEGIN
    -- 1. Lock the wallets in id order, so that no two batches can wait for each other in a circle.
    IF p_wait THEN
        SELECT array_agg(l.wallet_id) INTO v_locked FROM (
            SELECT w.wallet_id FROM wallets AS w WHERE w.wallet_id = ANY (p_ids) ORDER BY w.wallet_id FOR NO KEY UPDATE
        ) AS l;
    ELSE
        SELECT array_agg(l.wallet_id) INTO v_locked FROM (
            SELECT w.wallet_id FROM wallets AS w WHERE w.wallet_id = ANY (p_ids) ORDER BY w.wallet_id FOR NO KEY UPDATE SKIP LOCKED
        ) AS l;
    END IF;

    -- 2. A statement of its own: it sees what was committed before the locks were had.
    SELECT array_agg(s.answer) FILTER (WHERE (s.request).ord IS NULL),
        array_agg(s) FILTER (WHERE (s.request).ord IS NOT NULL)
    INTO v_swift, v_rest
    FROM swift_v2(p_now, array(
        SELECT unnest(p_ids) EXCEPT SELECT unnest(v_locked)
    ), p_ops, p_ids, p_apps, p_amounts, p_keys, p_holds, p_rests) AS s;
    RETURN QUERY SELECT a.* FROM unnest(v_swift) AS a;
    IF v_rest IS NULL THEN RETURN; END IF;

    -- 3. What was answered before, what cannot be had now, and what is walked, wallet by wallet.
    SELECT array_agg(ROW (
        (o.answer).ord, (o.answer).wallet_id, CASE WHEN (o.answer).code = 'wallet_busy'
            AND NOT EXISTS (SELECT 1 FROM wallets AS w WHERE w.wallet_id = (o.answer).wallet_id)
            THEN 'wallet_not_found' ELSE (o.answer).code END,
        (o.answer).replayed, (o.answer).version, (o.answer).facts, NULL
    )::posting_decision) FILTER (WHERE (o.answer).code IS NOT NULL) INTO v_decisions
    FROM unnest(v_rest) AS o WHERE (o.answer).code <> 'again';
    FOR v_walk IN
        SELECT (o.request).wallet_id, array_agg(o.request ORDER BY (o.request).ord) AS requests
        FROM unnest(v_rest) AS o WHERE (o.answer).code IS NULL GROUP BY (o.request).wallet_id
    LOOP
        SELECT w.* INTO STRICT v_wallet FROM wallets AS w WHERE w.wallet_id = v_walk.wallet_id;
        v_decisions := v_decisions || walk_v2(p_now, v_wallet, v_walk.requests);
    END LOOP;
    RETURN QUERY SELECT a.* FROM answers_v2(v_decisions) AS a;

    -- 4. Repeated keys of this batch find their first answer now.
    SELECT array_agg((o.request).ord) INTO v_again FROM unnest(v_rest) AS o WHERE (o.answer).code = 'again';
    IF v_again IS NOT NULL THEN
        RETURN QUERY SELECT v_again[a.ord], a.code, a.replayed, a.wallet_id, a.version, a.kind, a.amount_micro, a.released_micro,
            a.repaid_micro, a.owed_micro, a.available_micro, a.held_micro, a.debt_micro, a.wallet_version, a.hold_version,
            a.created_at, a.facts
        FROM post_v2(
            p_now, p_wait, array(SELECT p_ops[i] FROM unnest(v_again) AS i), array(SELECT p_ids[i] FROM unnest(v_again) AS i),
            array(SELECT p_apps[i] FROM unnest(v_again) AS i), array(SELECT p_amounts[i] FROM unnest(v_again) AS i),
            array(SELECT p_keys[i] FROM unnest(v_again) AS i), array(SELECT p_holds[i] FROM unnest(v_again) AS i),
            array(SELECT p_rests[i] FROM unnest(v_again) AS i)
        ) AS a;
    END IF;
END $$;
COMMENT ON FUNCTION tallybook.post_v2(
    timestamptz, boolean, text[], bigint[], integer[], bigint[], text[], bigint[], jsonb[]
) IS 'Post a batch of requests to the ledger, each answered as if they had come one after another.';

-- A service of the version before still calls this.
CREATE FUNCTION tallybook.post_v1(p_now timestamptz, p_wait boolean, p_requests jsonb)
RETURNS SETOF tallybook.posting_answer LANGUAGE sql SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    SELECT a.ord, a.code, a.replayed, a.wallet_id, a.version, a.kind, a.amount_micro, a.released_micro, a.repaid_micro,
        a.owed_micro, a.available_micro, a.held_micro, a.debt_micro, a.wallet_version, a.hold_version, a.created_at, a.facts
    FROM (
        SELECT array_agg(j.item ->> 'op' ORDER BY j.place) AS ops,
            array_agg((j.item ->> 'wallet_id')::bigint ORDER BY j.place) AS ids,
            array_agg((j.item ->> 'app_id')::integer ORDER BY j.place) AS apps,
            array_agg((j.item ->> 'amount_micro')::bigint ORDER BY j.place) AS amounts,
            array_agg(j.item ->> 'key' ORDER BY j.place) AS keys,
            array_agg((j.item ->> 'hold_version')::bigint ORDER BY j.place) AS holds,
            array_agg(nullif(j.item - '{ord,op,wallet_id,app_id,amount_micro,key,hold_version}'::text[] - CASE
                WHEN j.item ->> 'op' = 'spend' AND j.item ->> 'house' = 'usage' THEN 'house' ELSE '' END, '{}')
                ORDER BY j.place) AS rests
        FROM jsonb_array_elements(p_requests) WITH ORDINALITY AS j (item, place)
    ) AS r
    CROSS JOIN LATERAL post_v2(p_now, p_wait, r.ops, r.ids, r.apps, r.amounts, r.keys, r.holds, r.rests) AS a
$$;
COMMENT ON FUNCTION tallybook.post_v1(timestamptz, boolean, jsonb) IS
'Post a batch given as JSON: for direct SQL, and for a service of the version before.';

-- Settle up to p_limit wallets of which something is due, skipping those that somebody else holds; gives how many things.
CREATE FUNCTION tallybook.settle_due_v2(p_now timestamptz, p_limit integer)
RETURNS TABLE (wallets integer, settled integer) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off AS $$
DECLARE
    w     wallets;
    v_one record;
BEGIN
    wallets := 0;
    settled := 0;
    FOR w IN
        SELECT x.* FROM tallybook.wallets AS x WHERE x.wallet_id IN (
            (SELECT h.wallet_id FROM holds AS h
            WHERE h.settled_at IS NULL AND coalesce(h.extended_to, h.expires_at) <= p_now
            ORDER BY coalesce(h.extended_to, h.expires_at) LIMIT p_limit)
            UNION
            -- A front lot may be spent out while its row says otherwise: putting it back ends that.
            (SELECT l.wallet_id FROM lots AS l
            WHERE l.available_micro > 0 AND l.expires_at <= p_now
            ORDER BY l.expires_at LIMIT p_limit)
        ) ORDER BY x.wallet_id FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        w := unfront_v2(w);
        w.updated_at := greatest(w.updated_at, p_now);
        SELECT s.w, s.settled INTO v_one FROM settle_wallet_v2(w) AS s;
        PERFORM store_wallet_v2(refront_v2(v_one.w));
        wallets := wallets + 1;
        settled := settled + v_one.settled;
    END LOOP;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION tallybook.settle_due_v2(timestamptz, integer) IS
'Settle holds and lots that are due: the worker calls it until nothing is left. Spends settle their own wallet first.';

CREATE FUNCTION tallybook.extend_hold_v2(
    p_now timestamptz, p_wallet_id bigint, p_version bigint, p_lifetime_seconds integer, OUT code text, OUT facts jsonb
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    w wallets;
    h holds;
BEGIN
    SELECT x.* INTO STRICT w FROM wallets AS x WHERE x.wallet_id = p_wallet_id FOR NO KEY UPDATE;
    SELECT x.* INTO STRICT h FROM holds AS x WHERE x.wallet_id = p_wallet_id AND x.version = p_version;
    code := 'ok';
    facts := '{}';
    IF h.settled_at IS NOT NULL OR coalesce(h.extended_to, h.expires_at) <= greatest(w.updated_at, p_now) THEN
        code := 'hold_settled';
        facts := jsonb_build_object('captured_micro', h.captured_micro, 'released_micro', h.released_micro);
        RETURN;
    END IF;
    UPDATE holds SET extended_to = greatest(
        coalesce(holds.extended_to, holds.expires_at), greatest(w.updated_at, p_now) + make_interval(secs => p_lifetime_seconds)
    ) WHERE holds.wallet_id = p_wallet_id AND holds.version = p_version;
END $$;
COMMENT ON FUNCTION tallybook.extend_hold_v2(timestamptz, bigint, bigint, integer) IS
'Let an open hold live longer, counted from now; never shorter than it was to. One that is due already is settled, not extended.';
