-- What the posting functions are made of: the types, the digests, and the steps that several of them take.

DROP FUNCTION tallybook.post_v1(timestamptz, boolean, jsonb);
DROP FUNCTION tallybook.assign_lots_v1(tallybook.transfers[]);
DROP FUNCTION tallybook.decide_v1(tallybook.posting_request, tallybook.wallets, tallybook.holds);

ALTER TYPE tallybook.posting_request
ADD ATTRIBUTE budget_id bigint,
ADD ATTRIBUTE parent_version bigint,
ADD ATTRIBUTE undoes_version bigint,
ADD ATTRIBUTE allow_excess boolean;

-- A part of a transfer that falls on one lot.
CREATE TYPE tallybook.lot_part AS (
    lot_version  bigint,
    amount_micro bigint,
    expires_at   timestamptz
);

-- The terms of a key are all that was asked for under it. The text of a bare spend is spelled out: it is the same as the
-- general one, and several times cheaper.
CREATE FUNCTION tallybook.terms_v2(
    p_op text, p_amount_micro bigint, p_hold_version bigint, p_rest jsonb
) RETURNS bytea LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
RETURN sha256(convert_to(CASE
    WHEN p_op = 'spend' AND p_rest IS NULL
        THEN '{"op": "spend", "house": "usage", "amount_micro": ' || p_amount_micro || '}'
    ELSE jsonb_strip_nulls(
        jsonb_build_object(
            'op', p_op, 'amount_micro', p_amount_micro, 'hold_version', p_hold_version,
            'house', CASE WHEN p_op = 'spend' THEN 'usage' END
        ) || coalesce(p_rest, '{}')
    )::text END, 'UTF8'));

-- What the second form of the chain covers of a transfer: fixed widths first, so that no two rows can look the same.
CREATE FUNCTION tallybook.transfer_payload_v2(
    p_wallet_id bigint, p_version bigint, p_kind text, p_debit tallybook.account, p_credit tallybook.account,
    p_amount_micro bigint, p_available bigint, p_held bigint, p_debt bigint, p_app_id integer, p_key text, p_terms bytea,
    p_on_lot_version bigint, p_rare text, p_note_digest bytea, p_detail_digest bytea, p_created_at timestamptz
) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT int8send(p_wallet_id) || int8send(p_version) || int8send(p_amount_micro) || int8send(p_available)
        || int8send(p_held) || int8send(p_debt) || int4send(p_app_id) || int8send(coalesce(p_on_lot_version, 0))
        || timestamptz_send(p_created_at)
        || coalesce(p_terms, sha256('')) || coalesce(p_note_digest, sha256('')) || coalesce(p_detail_digest, sha256(''))
        || convert_to(p_kind || ' ' || p_debit || ' ' || p_credit || ' ' || coalesce(p_rare, '') || ' '
            || coalesce(p_key, ''), 'UTF8')
$$;

CREATE FUNCTION tallybook.transfer_rare_v2(t tallybook.transfers)
RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN num_nonnulls(
        t.part_of, t.hold_version, t.lot_version, t.parent_version, t.undoes_version, t.budget_ids, nullif(t.legs, 1)
    ) > 0 THEN concat_ws(
        ',', coalesce(t.part_of, 0), coalesce(t.hold_version, 0), coalesce(t.lot_version, 0), coalesce(t.parent_version, 0),
        coalesce(t.undoes_version, 0), coalesce(t.legs, 1), array_to_string(t.budget_ids, '/')
    ) END
$$;
COMMENT ON FUNCTION tallybook.transfer_rare_v2(tallybook.transfers) IS
'The columns that most transfers leave empty, as one text without blanks; null when all are empty.';

CREATE FUNCTION tallybook.transfer_digest_v2(p_previous bytea, t tallybook.transfers)
RETURNS bytea LANGUAGE sql STABLE
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    SELECT sha256(p_previous || transfer_payload_v2(
        t.wallet_id, t.version, t.kind, t.debit, t.credit, t.amount_micro, t.available_after, t.held_after, t.debt_after,
        t.app_id, t.key, t.terms, t.on_lot_version, transfer_rare_v2(t), t.note_digest, t.detail_digest, t.created_at
    ))
$$;
COMMENT ON FUNCTION tallybook.transfer_digest_v2(bytea, tallybook.transfers) IS
'The next link of a wallet''s hash chain: SHA-256 over the digest before it and every column of the row.';

-- plpgsql, since an SQL function as a step of an aggregate costs twice as much.
CREATE FUNCTION tallybook.link_v2(p_state bytea, p_head bytea, p_payload bytea)
RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN sha256(coalesce(p_state, p_head) || p_payload);
END $$;
CREATE AGGREGATE tallybook.chain_v2(bytea, bytea) (sfunc = tallybook.link_v2, stype = bytea);
COMMENT ON AGGREGATE tallybook.chain_v2(bytea, bytea) IS
'The chain over payloads in order, from a head; over a window it gives each link.';

CREATE FUNCTION tallybook.hold_digest_v2(
    p_app_id integer, p_session_user_id bigint, p_placed_micro bigint, p_estimate_micro bigint, p_on_expiry text,
    p_expires_at timestamptz, p_placed_at timestamptz, p_parent_version bigint, p_budget_ids bigint[]
) RETURNS bytea LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(convert_to(jsonb_build_array(
        p_app_id, p_session_user_id, p_placed_micro, p_estimate_micro, p_on_expiry,
        extract(EPOCH FROM p_expires_at), extract(EPOCH FROM p_placed_at), p_parent_version, p_budget_ids
    )::text, 'UTF8'))
$$;

-- Put the front lot's rest back into its row, so that all lots say what they have.
CREATE FUNCTION tallybook.unfront_v2(INOUT w tallybook.wallets) LANGUAGE plpgsql
SET search_path = tallybook, pg_catalog, pg_temp AS $$
BEGIN
    IF w.front_lot_version IS NOT NULL THEN
        UPDATE lots SET available_micro = w.front_micro
        WHERE lots.wallet_id = w.wallet_id AND lots.version = w.front_lot_version
            AND lots.available_micro <> w.front_micro;
        w.front_lot_version := NULL;
        w.front_micro := 0;
    END IF;
END $$;

-- Choose the lot that burns next.
CREATE FUNCTION tallybook.refront_v2(INOUT w tallybook.wallets) LANGUAGE plpgsql
SET search_path = tallybook, pg_catalog, pg_temp AS $$
BEGIN
    SELECT lots.version, lots.available_micro INTO w.front_lot_version, w.front_micro FROM lots
    WHERE lots.wallet_id = w.wallet_id AND lots.available_micro > 0
    ORDER BY lots.priority, lots.expires_at, lots.version LIMIT 1;
    w.front_micro := coalesce(w.front_micro, 0);
END $$;

-- Take an amount out of the lots in burn order (a named lot first), and write down what fell on which.
CREATE FUNCTION tallybook.burn_v2(p_wallet_id bigint, p_version bigint, p_amount_micro bigint, p_first_lot bigint)
RETURNS tallybook.lot_part[] LANGUAGE plpgsql
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_left  bigint := p_amount_micro;
    v_take  bigint;
    v_parts lot_part[] := '{}';
    l       record;
BEGIN
    FOR l IN
        SELECT lots.version, lots.available_micro, lots.expires_at FROM lots
        WHERE lots.wallet_id = p_wallet_id AND lots.available_micro > 0
        ORDER BY (lots.version IS NOT DISTINCT FROM p_first_lot) DESC, lots.priority, lots.expires_at, lots.version
    LOOP
        v_take := least(l.available_micro, v_left);
        UPDATE lots SET available_micro = lots.available_micro - v_take
        WHERE lots.wallet_id = p_wallet_id AND lots.version = l.version;
        v_parts := v_parts || ROW (l.version, v_take, l.expires_at)::lot_part;
        v_left := v_left - v_take;
        EXIT WHEN v_left = 0;
    END LOOP;
    ASSERT v_left = 0, format('lots of wallet %s do not cover transfer %s', p_wallet_id, p_version);
    INSERT INTO lot_moves (wallet_id, version, lot_version, amount_micro)
    SELECT p_wallet_id, p_version, p.lot_version, p.amount_micro FROM unnest(v_parts) AS p;
    RETURN v_parts;
END $$;

-- Split what a hold has pinned: the first p_amount_micro of it, in order, and the rest.
CREATE FUNCTION tallybook.split_pins_v2(
    p_lots bigint[], p_micros bigint[], p_amount_micro bigint, OUT taken tallybook.lot_part[], OUT left_micros bigint[]
) LANGUAGE plpgsql IMMUTABLE
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_left bigint := p_amount_micro;
    v_take bigint;
BEGIN
    taken := '{}';
    left_micros := p_micros;
    FOR i IN 1 .. cardinality(p_lots) LOOP
        v_take := least(p_micros[i], v_left);
        CONTINUE WHEN v_take = 0;
        left_micros[i] := p_micros[i] - v_take;
        v_left := v_left - v_take;
        taken := taken || ROW (p_lots[i], v_take, NULL)::lot_part;
    END LOOP;
    ASSERT v_left = 0, 'a hold pins too little';
END $$;

-- Which lots a give-back returns to: what the transfer fell on, the last burned first, after what was given back before.
CREATE FUNCTION tallybook.give_back_parts_v2(p_wallet_id bigint, p_version bigint, p_given bigint, p_amount bigint)
RETURNS tallybook.lot_part[] LANGUAGE sql STABLE
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    WITH parts AS (
        SELECT m.lot_version, m.amount_micro FROM lot_moves AS m
        WHERE m.wallet_id = p_wallet_id AND m.version = p_version
        UNION ALL
        SELECT t.on_lot_version, t.amount_micro FROM transfers AS t
        WHERE t.wallet_id = p_wallet_id AND t.version = p_version AND t.on_lot_version IS NOT NULL
    ),
    placed AS (
        SELECT p.lot_version, p.amount_micro, l.expires_at, sum(p.amount_micro) OVER burned_last AS upto
        FROM parts AS p INNER JOIN lots AS l ON l.wallet_id = p_wallet_id AND l.version = p.lot_version
        WINDOW burned_last AS (ORDER BY l.priority DESC, l.expires_at DESC, l.version DESC)
    ),
    cut AS (
        SELECT p.*, least(p.upto, p_given + p_amount) - greatest(p.upto - p.amount_micro, p_given) AS micro FROM placed AS p
    )
    SELECT coalesce(array_agg(ROW (c.lot_version, c.micro, c.expires_at)::lot_part ORDER BY c.upto), '{}')
    FROM cut AS c WHERE c.micro > 0
$$;

CREATE VIEW tallybook.lots_now AS
SELECT l.wallet_id, l.version, l.source, l.amount_micro,
    CASE WHEN l.version = w.front_lot_version THEN w.front_micro ELSE l.available_micro END AS available_micro,
    coalesce(pinned.held_micro, 0)::bigint AS held_micro,
    l.priority, l.expires_at, l.price_minor, l.currency, l.reference, l.created_at
FROM tallybook.lots AS l
LEFT JOIN tallybook.wallets AS w ON w.wallet_id = l.wallet_id
LEFT JOIN LATERAL (
    SELECT sum(p.micro) AS held_micro
    FROM tallybook.holds AS h
    CROSS JOIN LATERAL unnest(h.lot_versions, h.lot_micros) AS p (lot_version, micro)
    WHERE h.wallet_id = l.wallet_id AND h.settled_at IS NULL AND p.lot_version = l.version
) AS pinned ON true;
COMMENT ON VIEW tallybook.lots_now IS
'Lots with what is left of them: the front lot''s rest is in the wallet''s row, and what is held is what open holds have pinned.';
