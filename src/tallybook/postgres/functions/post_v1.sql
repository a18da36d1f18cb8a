-- Post a batch of requests to the ledger, each answered as if they had come one after another.
--
-- p_now      the time to write down (a wallet's times never run backwards)
-- p_wait     true: wait for wallets that another transaction holds; false: answer 'wallet_busy' for them
-- p_requests a JSON array of tallybook.posting_request; ord numbers the answers
--
-- A hold that a request places has no number yet, so no other request of the same batch can name it.
--
-- Meaning is decided by the caller (which accounts move: domain/ledger/recipes.py); this says whether they may.
-- Refusals (code <> 'ok') are stored under the key like successes. 'wallet_busy', 'wallet_not_found' and
-- 'idempotency_key_reused' are not decisions and are not stored.

CREATE TYPE tallybook.posting_request AS (
    ord              integer,
    op               text,
    wallet_id        bigint,
    app_id           integer,
    amount_micro     bigint,
    key              text,
    house            tallybook.account,
    hold_version     bigint,
    session_user_id  bigint,
    final            boolean,
    lifetime_seconds integer,
    on_expiry        text,
    estimate_micro   bigint,
    source           text,
    price_minor      bigint,
    currency         text,
    priority         smallint,
    lot_expires_at   timestamptz,
    lot_version      bigint,
    reference        text,
    description      text,
    service          text,
    metadata         jsonb,
    terms            bytea
);

CREATE TYPE tallybook.posting_answer AS (
    ord             integer,
    code            text,
    replayed        boolean,
    wallet_id       bigint,
    version         bigint,
    kind            text,
    amount_micro    bigint,
    released_micro  bigint,
    repaid_micro    bigint,
    owed_micro      bigint,
    available_micro bigint,
    held_micro      bigint,
    debt_micro      bigint,
    wallet_version  bigint,
    hold_version    bigint,
    created_at      timestamptz,
    facts           jsonb
);

CREATE TYPE tallybook.posting_decision AS (
    ord       integer,
    wallet_id bigint,
    code      text,
    replayed  boolean,
    version   bigint,
    facts     jsonb,
    salt      uuid
);

CREATE FUNCTION tallybook.transfer_digest_v1(p_previous bytea, t tallybook.transfers)
RETURNS bytea LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(p_previous || convert_to(jsonb_build_array(
        t.wallet_id, t.version, t.kind, t.debit, t.credit, t.amount_micro,
        t.available_after, t.held_after, t.debt_after, t.app_id, t.key, encode(t.terms, 'hex'),
        t.part_of, t.hold_version, t.lot_version, encode(t.note_digest, 'hex'), encode(t.detail_digest, 'hex'),
        extract(EPOCH FROM t.created_at)
    )::text, 'UTF8'))
$$;
COMMENT ON FUNCTION tallybook.transfer_digest_v1(bytea, tallybook.transfers) IS
'The next link of a wallet''s hash chain: SHA-256 over the digest before it and every column of the row.';

CREATE FUNCTION tallybook.note_digest_v1(p_salt uuid, p_description text, p_service text, p_metadata jsonb)
RETURNS bytea LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(convert_to(
        jsonb_build_array(p_salt, p_description, p_service, p_metadata)::text, 'UTF8'
    ))
$$;
COMMENT ON FUNCTION tallybook.note_digest_v1(uuid, text, text, jsonb) IS
'What the chain covers of a note. Salted, so that an erased text cannot be guessed back from it.';

CREATE FUNCTION tallybook.lot_digest_v1(l tallybook.lots)
RETURNS bytea LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(convert_to(jsonb_build_array(
        l.source, l.amount_micro, l.price_minor, l.currency, l.priority,
        extract(EPOCH FROM l.expires_at), l.reference, extract(EPOCH FROM l.created_at)
    )::text, 'UTF8'))
$$;
COMMENT ON FUNCTION tallybook.lot_digest_v1(tallybook.lots) IS 'The terms of a lot, as the chain covers them.';

CREATE FUNCTION tallybook.hold_digest_v1(h tallybook.holds)
RETURNS bytea LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(convert_to(jsonb_build_array(
        h.app_id, h.session_user_id, h.placed_micro, h.estimate_micro, h.on_expiry,
        extract(EPOCH FROM h.expires_at), extract(EPOCH FROM h.placed_at)
    )::text, 'UTF8'))
$$;
COMMENT ON FUNCTION tallybook.hold_digest_v1(tallybook.holds) IS 'The terms of a hold, as the chain covers them.';

CREATE FUNCTION tallybook.refusal_digest_v1(f tallybook.refusals)
RETURNS bytea LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(convert_to(jsonb_build_array(
        f.wallet_id, f.app_id, f.key, encode(f.terms, 'hex'), f.code, f.facts, f.wallet_version,
        extract(EPOCH FROM f.created_at)
    )::text, 'UTF8'))
$$;
COMMENT ON FUNCTION tallybook.refusal_digest_v1(tallybook.refusals) IS 'A refusal''s own digest: a changed answer is noticed.';

CREATE FUNCTION tallybook.first_digest_v1(p_owner_user_id bigint, p_owner_organisation_id bigint)
RETURNS bytea LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(convert_to(jsonb_build_array(p_owner_user_id, p_owner_organisation_id)::text, 'UTF8'))
$$;
COMMENT ON FUNCTION tallybook.first_digest_v1(bigint, bigint) IS 'Where a wallet''s chain begins: whose wallet it is.';

-- What one request would do to a wallet in state w: the legs (kind, debit, credit, amount), or a refusal.
CREATE FUNCTION tallybook.decide_v1(
    r tallybook.posting_request, w tallybook.wallets, h tallybook.holds,
    OUT code text, OUT facts jsonb, OUT legs tallybook.transfers[]
) LANGUAGE plpgsql IMMUTABLE
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_rest bigint;
    v_leg  tallybook.transfers;
BEGIN
    code := 'ok';
    legs := '{}';
    IF r.op IN ('capture', 'release') THEN
        IF h.version IS NULL OR h.app_id <> r.app_id THEN
            code := 'hold_not_found';
        ELSIF h.settled_at IS NOT NULL THEN
            code := 'hold_settled';
            facts := jsonb_build_object('captured_micro', h.captured_micro, 'released_micro', h.released_micro);
        ELSIF r.op = 'capture' AND r.amount_micro > h.remaining_micro THEN
            code := 'capture_exceeds_hold';
            facts := jsonb_build_object('requested_micro', r.amount_micro, 'remaining_micro', h.remaining_micro);
        END IF;
        IF code <> 'ok' THEN RETURN; END IF;
        v_rest := h.remaining_micro;
        IF r.op = 'capture' AND r.amount_micro > 0 THEN
            v_leg := NULL;
            v_leg.kind := 'capture'; v_leg.debit := 'held'; v_leg.credit := 'usage';
            v_leg.amount_micro := r.amount_micro;
            legs := legs || v_leg;
            v_rest := v_rest - r.amount_micro;
        END IF;
        IF v_rest > 0 AND (r.op = 'release' OR r.final) THEN
            v_leg := NULL;
            v_leg.kind := 'release'; v_leg.debit := 'held'; v_leg.credit := 'available';
            v_leg.amount_micro := v_rest;
            legs := legs || v_leg;
        END IF;
        IF cardinality(legs) = 0 THEN
            code := 'amount_out_of_range';
            facts := jsonb_build_object('requested_micro', r.amount_micro);
        END IF;
        RETURN;
    END IF;

    IF r.amount_micro IS NULL OR r.amount_micro <= 0 OR r.amount_micro > 1000000000000000 THEN
        code := 'amount_out_of_range';
        facts := jsonb_build_object('requested_micro', r.amount_micro);
    ELSIF r.op IN ('spend', 'hold') AND r.amount_micro > w.available_micro THEN
        code := 'insufficient_credits';
        facts := jsonb_build_object(
            'requested_micro', r.amount_micro, 'available_micro', w.available_micro,
            'held_micro', w.held_micro, 'debt_micro', w.debt_micro,
            'shortfall_micro', r.amount_micro + w.debt_micro - w.available_micro
        );
    ELSIF r.op = 'grant' AND w.available_micro + w.held_micro + r.amount_micro > 9000000000000000 THEN
        code := 'balance_limit';
        facts := jsonb_build_object('requested_micro', r.amount_micro, 'available_micro', w.available_micro);
    END IF;
    IF code <> 'ok' THEN RETURN; END IF;

    v_leg.kind := r.op;
    v_leg.amount_micro := r.amount_micro;
    CASE r.op
        WHEN 'grant' THEN v_leg.debit := r.house; v_leg.credit := 'available';
        WHEN 'spend' THEN v_leg.debit := 'available'; v_leg.credit := r.house;
        WHEN 'hold' THEN v_leg.debit := 'available'; v_leg.credit := 'held';
        WHEN 'clawback' THEN
            v_leg.credit := r.house;
            v_leg.lot_version := r.lot_version;
            IF w.available_micro > 0 THEN
                v_leg.debit := 'available';
                v_leg.amount_micro := least(r.amount_micro, w.available_micro);
                legs := legs || v_leg;
            END IF;
            v_leg.debit := 'debt';
            v_leg.amount_micro := r.amount_micro - least(r.amount_micro, w.available_micro);
            v_leg.lot_version := NULL;
    END CASE;
    IF v_leg.amount_micro > 0 THEN
        legs := legs || v_leg;
    END IF;
END $$;
COMMENT ON FUNCTION tallybook.decide_v1(tallybook.posting_request, tallybook.wallets, tallybook.holds) IS
'Pure: which legs a request makes of a wallet in a given state, or why it is refused.';

-- Put the lots behind new transfers, in order: the burn order is priority, then expiry, then age.
CREATE FUNCTION tallybook.assign_lots_v1(p_legs tallybook.transfers[])
RETURNS void LANGUAGE plpgsql
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    t       tallybook.transfers;
    l       record;
    v_left  bigint;
    v_take  bigint;
    v_lots  bigint[];
    v_micro bigint[];
BEGIN
    FOREACH t IN ARRAY p_legs LOOP
        v_left := t.amount_micro;
        IF t.kind = 'grant' THEN
            UPDATE lots SET available_micro = lots.amount_micro
            WHERE lots.wallet_id = t.wallet_id AND lots.version = t.version;
            INSERT INTO lot_moves (wallet_id, version, lot_version, amount_micro)
            VALUES (t.wallet_id, t.version, t.version, t.amount_micro);

        ELSIF t.debit = 'available' THEN
            v_lots := '{}';
            v_micro := '{}';
            FOR l IN
                SELECT lots.version, lots.available_micro FROM lots
                WHERE lots.wallet_id = t.wallet_id AND lots.available_micro > 0
                ORDER BY (lots.version IS NOT DISTINCT FROM t.lot_version) DESC,
                    lots.priority, lots.expires_at, lots.version
            LOOP
                v_take := least(l.available_micro, v_left);
                UPDATE lots SET
                    available_micro = lots.available_micro - v_take,
                    held_micro = lots.held_micro + CASE WHEN t.credit = 'held' THEN v_take ELSE 0 END
                WHERE lots.wallet_id = t.wallet_id AND lots.version = l.version;
                INSERT INTO lot_moves (wallet_id, version, lot_version, amount_micro)
                VALUES (t.wallet_id, t.version, l.version, v_take);
                v_lots := v_lots || l.version;
                v_micro := v_micro || v_take;
                v_left := v_left - v_take;
                EXIT WHEN v_left = 0;
            END LOOP;
            ASSERT v_left = 0, format('lots of wallet %s do not cover transfer %s', t.wallet_id, t.version);
            IF t.credit = 'held' THEN
                UPDATE holds SET lot_versions = v_lots, lot_micros = v_micro
                WHERE holds.wallet_id = t.wallet_id AND holds.version = t.version;
            END IF;

        ELSIF t.debit = 'held' THEN
            SELECT holds.lot_versions, holds.lot_micros INTO STRICT v_lots, v_micro FROM holds
            WHERE holds.wallet_id = t.wallet_id AND holds.version = t.hold_version;
            FOR i IN 1 .. cardinality(v_lots) LOOP
                v_take := least(v_micro[i], v_left);
                CONTINUE WHEN v_take = 0;
                UPDATE lots SET
                    held_micro = lots.held_micro - v_take,
                    available_micro = lots.available_micro
                    + CASE WHEN t.credit = 'available' THEN v_take ELSE 0 END
                WHERE lots.wallet_id = t.wallet_id AND lots.version = v_lots[i];
                INSERT INTO lot_moves (wallet_id, version, lot_version, amount_micro)
                VALUES (t.wallet_id, t.version, v_lots[i], v_take);
                v_micro[i] := v_micro[i] - v_take;
                v_left := v_left - v_take;
            END LOOP;
            ASSERT v_left = 0, format('hold %s of wallet %s pins too little', t.hold_version, t.wallet_id);
            UPDATE holds SET lot_micros = v_micro
            WHERE holds.wallet_id = t.wallet_id AND holds.version = t.hold_version;
        END IF;
    END LOOP;
END $$;

-- What was decided, read back from what is stored: so a first answer and its replay cannot differ.
CREATE FUNCTION tallybook.answers_v1(p_decisions tallybook.posting_decision[])
RETURNS SETOF tallybook.posting_answer LANGUAGE sql STABLE
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    SELECT
        d.ord, d.code, d.replayed, d.wallet_id, d.version,
        legs.kind, legs.amount_micro, legs.released_micro, legs.repaid_micro, legs.owed_micro,
        tail.available_after, tail.held_after, tail.debt_after,
        coalesce(tail.version, d.version), legs.hold_version, tail.created_at, coalesce(d.facts, '{}')
    FROM unnest(p_decisions) AS d
    LEFT JOIN LATERAL (
        SELECT
            min(t.kind) FILTER (WHERE t.version = d.version) AS kind,
            sum(t.amount_micro) FILTER (
                WHERE t.version = d.version OR t.kind = 'clawback')::bigint AS amount_micro,
            coalesce(sum(t.amount_micro) FILTER (WHERE t.kind = 'release'), 0)::bigint AS released_micro,
            coalesce(sum(t.amount_micro) FILTER (WHERE t.kind = 'repay'), 0)::bigint AS repaid_micro,
            coalesce(sum(t.amount_micro) FILTER (WHERE t.debit = 'debt'), 0)::bigint AS owed_micro,
            max(t.version) AS last_version,
            max(t.hold_version) AS hold_version
        FROM transfers AS t
        WHERE t.wallet_id = d.wallet_id AND t.version BETWEEN d.version AND d.version + 3
            AND (t.version = d.version OR t.part_of = d.version)
    ) AS legs ON d.code = 'ok'
    LEFT JOIN transfers AS tail
        ON tail.wallet_id = d.wallet_id AND tail.version = legs.last_version AND d.code = 'ok'
$$;

CREATE FUNCTION tallybook.post_v1(p_now timestamptz, p_wait boolean, p_requests jsonb)
RETURNS SETOF tallybook.posting_answer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off AS $$
DECLARE
    v_requests  posting_request[];
    v_locked    bigint[];
    v_decisions posting_decision[] := '{}';
    v_decision  posting_decision;
    v_legs      transfers[] := '{}';
    v_leg       transfers;
    v_lots      lots[] := '{}';
    v_lot       lots;
    v_holds     holds[] := '{}';
    v_hold      holds;
    v_refusals  refusals[] := '{}';
    v_refusal   refusals;
    v_plan      transfers[];
    v_code      text;
    v_facts     jsonb;
    v_first     bigint;
    v_repeats   integer[];
    q           record;
    r           posting_request;
    w           wallets;
    h           holds;
BEGIN
    -- 1. Read the requests; the terms of a key are all that was asked for under it.
    SELECT array_agg(jsonb_populate_record(NULL::posting_request, j.item || jsonb_build_object(
        'terms', sha256(convert_to(
            jsonb_strip_nulls(j.item - '{ord,wallet_id,app_id,key}'::text[])::text, 'UTF8'
        ))
    )) ORDER BY j.place)
    INTO v_requests FROM jsonb_array_elements(p_requests) WITH ORDINALITY AS j (item, place);

    -- 2. Lock the wallets in id order, so that no two batches can wait for each other in a circle.
    IF p_wait THEN
        SELECT coalesce(array_agg(l.wallet_id), '{}') INTO v_locked FROM (
            SELECT wallets.wallet_id FROM wallets
            WHERE wallets.wallet_id = ANY (SELECT x.wallet_id FROM unnest(v_requests) AS x)
            ORDER BY wallets.wallet_id FOR NO KEY UPDATE
        ) AS l;
    ELSE
        SELECT coalesce(array_agg(l.wallet_id), '{}') INTO v_locked FROM (
            SELECT wallets.wallet_id FROM wallets
            WHERE wallets.wallet_id = ANY (SELECT x.wallet_id FROM unnest(v_requests) AS x)
            ORDER BY wallets.wallet_id FOR NO KEY UPDATE SKIP LOCKED
        ) AS l;
    END IF;

    -- 3. Decide in order, wallet by wallet, in memory. A key that comes twice in one batch waits for step 6.
    FOR q IN
        SELECT x.*, t.version AS prior_version, coalesce(t.terms, f.terms) AS prior_terms,
            f.code AS prior_code, f.facts AS prior_facts, f.wallet_version AS prior_wallet_version
        FROM (
            SELECT u.*, row_number() OVER (PARTITION BY u.wallet_id, u.app_id, u.key ORDER BY u.ord) AS nth
            FROM ROWS FROM (unnest(v_requests)) WITH ORDINALITY AS u
        ) AS x
        LEFT JOIN transfers AS t
            ON t.wallet_id = x.wallet_id AND t.app_id = x.app_id AND t.key = x.key
        LEFT JOIN refusals AS f
            ON f.wallet_id = x.wallet_id AND f.app_id = x.app_id AND f.key = x.key
        WHERE x.nth = 1 OR x.key IS NULL
        ORDER BY x.wallet_id, x.ord
    LOOP
        r := v_requests[q.ordinality];
        v_decision := NULL;
        v_decision.ord := r.ord;
        v_decision.wallet_id := r.wallet_id;
        v_decision.replayed := false;
        IF r.wallet_id <> ALL (v_locked) THEN
            v_decision.code := CASE
                WHEN EXISTS (SELECT 1 FROM wallets WHERE wallets.wallet_id = r.wallet_id)
                    THEN 'wallet_busy' ELSE 'wallet_not_found' END;
            v_decisions := v_decisions || v_decision;
            CONTINUE;
        END IF;
        IF q.prior_terms IS NOT NULL THEN
            v_decision.replayed := true;
            v_decision.code := CASE
                WHEN q.prior_terms <> r.terms THEN 'idempotency_key_reused'
                ELSE coalesce(q.prior_code, 'ok') END;
            v_decision.version := coalesce(q.prior_version, q.prior_wallet_version);
            v_decision.facts := q.prior_facts;
            v_decisions := v_decisions || v_decision;
            CONTINUE;
        END IF;

        IF w.wallet_id IS DISTINCT FROM r.wallet_id THEN
            IF w.wallet_id IS NOT NULL THEN
                UPDATE wallets SET (available_micro, held_micro, debt_micro, version, digest, updated_at)
                = ROW (w.available_micro, w.held_micro, w.debt_micro, w.version, w.digest, w.updated_at)
                WHERE wallets.wallet_id = w.wallet_id;
            END IF;
            SELECT wallets.* INTO STRICT w FROM wallets WHERE wallets.wallet_id = r.wallet_id;
            w.updated_at := greatest(w.updated_at, p_now);
        END IF;
        h := NULL;
        IF r.hold_version IS NOT NULL THEN
            SELECT holds.* INTO h FROM holds
            WHERE holds.wallet_id = r.wallet_id AND holds.version = r.hold_version;
        END IF;
        SELECT d.code, d.facts, d.legs INTO v_code, v_facts, v_plan FROM decide_v1(r, w, h) AS d;
        v_decision.code := v_code;
        v_decision.facts := coalesce(v_facts, '{}');

        IF v_code <> 'ok' THEN
            v_decision.version := w.version;
            v_decisions := v_decisions || v_decision;
            IF r.key IS NOT NULL THEN
                v_refusal := ROW (
                    r.wallet_id, r.app_id, r.key, r.terms, v_code, v_decision.facts, w.version, p_now, NULL
                );
                v_refusal.digest := refusal_digest_v1(v_refusal);
                v_refusals := v_refusals || v_refusal;
            END IF;
            CONTINUE;
        END IF;
        v_first := w.version + 1;
        v_decision.version := v_first;
        IF num_nonnulls(r.description, r.service, r.metadata) > 0 THEN
            v_decision.salt := gen_random_uuid();
        END IF;
        FOREACH v_leg IN ARRAY v_plan || CASE
            WHEN w.debt_micro > 0 AND v_plan[cardinality(v_plan)].credit = 'available'
                THEN ARRAY[jsonb_populate_record(NULL::transfers, jsonb_build_object(
                    'kind', 'repay', 'debit', 'available', 'credit', 'debt',
                    'amount_micro', least(w.debt_micro, v_plan[cardinality(v_plan)].amount_micro)
                ))]
            ELSE '{}' END
        LOOP
            w.version := w.version + 1;
            w.available_micro := w.available_micro
            + CASE v_leg.credit WHEN 'available' THEN v_leg.amount_micro ELSE 0 END
            - CASE v_leg.debit WHEN 'available' THEN v_leg.amount_micro ELSE 0 END;
            w.held_micro := w.held_micro
            + CASE v_leg.credit WHEN 'held' THEN v_leg.amount_micro ELSE 0 END
            - CASE v_leg.debit WHEN 'held' THEN v_leg.amount_micro ELSE 0 END;
            w.debt_micro := w.debt_micro
            + CASE v_leg.debit WHEN 'debt' THEN v_leg.amount_micro ELSE 0 END
            - CASE v_leg.credit WHEN 'debt' THEN v_leg.amount_micro ELSE 0 END;
            v_leg.wallet_id := w.wallet_id;
            v_leg.version := w.version;
            v_leg.available_after := w.available_micro;
            v_leg.held_after := w.held_micro;
            v_leg.debt_after := w.debt_micro;
            v_leg.app_id := r.app_id;
            v_leg.created_at := w.updated_at;
            v_leg.hold_version := CASE WHEN v_leg.kind = 'hold' THEN w.version
                WHEN v_leg.kind IN ('capture', 'release') THEN r.hold_version END;
            IF w.version = v_first THEN
                v_leg.key := r.key;
                v_leg.terms := CASE WHEN r.key IS NOT NULL THEN r.terms END;
                IF v_decision.salt IS NOT NULL THEN
                    v_leg.note_digest := note_digest_v1(
                        v_decision.salt, r.description, r.service, r.metadata
                    );
                END IF;
            ELSE
                v_leg.part_of := v_first;
            END IF;
            IF v_leg.kind = 'grant' THEN
                v_lot := NULL;
                v_lot.wallet_id := w.wallet_id;
                v_lot.version := w.version;
                v_lot.source := r.source;
                v_lot.amount_micro := v_leg.amount_micro;
                v_lot.available_micro := 0;
                v_lot.held_micro := 0;
                v_lot.price_minor := r.price_minor;
                v_lot.currency := r.currency;
                v_lot.priority := coalesce(r.priority, 50);
                v_lot.expires_at := r.lot_expires_at;
                v_lot.reference := r.reference;
                v_lot.created_at := w.updated_at;
                v_lots := v_lots || v_lot;
                v_leg.detail_digest := lot_digest_v1(v_lot);
            ELSIF v_leg.kind = 'hold' THEN
                v_hold := NULL;
                v_hold.wallet_id := w.wallet_id;
                v_hold.version := w.version;
                v_hold.app_id := r.app_id;
                v_hold.session_user_id := r.session_user_id;
                v_hold.placed_micro := v_leg.amount_micro;
                v_hold.estimate_micro := r.estimate_micro;
                v_hold.on_expiry := coalesce(r.on_expiry, 'release');
                v_hold.expires_at := w.updated_at + make_interval(secs => coalesce(r.lifetime_seconds, 900));
                v_hold.placed_at := w.updated_at;
                v_holds := v_holds || v_hold;
                v_leg.detail_digest := hold_digest_v1(v_hold);
            END IF;
            v_leg.digest := transfer_digest_v1(w.digest, v_leg);
            w.digest := v_leg.digest;
            v_legs := v_legs || v_leg;
        END LOOP;
        IF h.version IS NOT NULL THEN
            UPDATE holds SET
                captured_micro = holds.captured_micro + x.captured,
                released_micro = holds.released_micro + x.released,
                settled_at = CASE
                    WHEN holds.remaining_micro = x.captured + x.released THEN w.updated_at END
            FROM (
                SELECT
                    coalesce(sum(p.amount_micro) FILTER (WHERE p.kind = 'capture'), 0) AS captured,
                    coalesce(sum(p.amount_micro) FILTER (WHERE p.kind = 'release'), 0) AS released
                FROM unnest(v_plan) AS p
            ) AS x
            WHERE holds.wallet_id = r.wallet_id AND holds.version = r.hold_version;
        END IF;
        v_decisions := v_decisions || v_decision;
    END LOOP;

    -- 4. Write it all at once.
    IF w.wallet_id IS NOT NULL THEN
        UPDATE wallets SET (available_micro, held_micro, debt_micro, version, digest, updated_at)
        = ROW (w.available_micro, w.held_micro, w.debt_micro, w.version, w.digest, w.updated_at)
        WHERE wallets.wallet_id = w.wallet_id;
    END IF;
    INSERT INTO transfers SELECT t.* FROM unnest(v_legs) AS t;
    INSERT INTO notes (wallet_id, version, salt, description, service, metadata)
    SELECT x.wallet_id, d.version, d.salt, x.description, x.service, x.metadata
    FROM unnest(v_decisions) AS d INNER JOIN unnest(v_requests) AS x ON x.ord = d.ord
    WHERE d.salt IS NOT NULL;
    INSERT INTO refusals SELECT f.* FROM unnest(v_refusals) AS f;
    INSERT INTO holds (
        wallet_id, version, app_id, session_user_id, placed_micro, estimate_micro, on_expiry, expires_at, placed_at
    )
    SELECT x.wallet_id, x.version, x.app_id, x.session_user_id, x.placed_micro, x.estimate_micro, x.on_expiry,
        x.expires_at, x.placed_at
    FROM unnest(v_holds) AS x;
    INSERT INTO lots SELECT l.* FROM unnest(v_lots) AS l;

    -- 5. Which lots were burned follows from the order of the transfers alone.
    PERFORM assign_lots_v1(v_legs);
    RETURN QUERY SELECT * FROM answers_v1(v_decisions);

    -- 6. Repeated keys of this batch find their first answer now.
    SELECT array_agg(x.ord) INTO v_repeats FROM unnest(v_requests) AS x
    WHERE NOT EXISTS (SELECT 1 FROM unnest(v_decisions) AS d WHERE d.ord = x.ord);
    IF v_repeats IS NOT NULL THEN
        RETURN QUERY SELECT * FROM post_v1(p_now, p_wait, (
            SELECT jsonb_agg(j.item) FROM jsonb_array_elements(p_requests) AS j (item)
            WHERE (j.item ->> 'ord')::integer = ANY (v_repeats)
        ));
    END IF;
END $$;
COMMENT ON FUNCTION tallybook.post_v1(timestamptz, boolean, jsonb) IS
'Post a batch of requests to the ledger, each answered as if they had come one after another.';
