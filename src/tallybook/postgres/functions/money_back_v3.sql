-- What money that comes back asks of the posting functions. Replaced in place, so that a service of the version before keeps
-- the same rules at once: what it calls is the same.

-- Choose the lot that burns next; a frozen wallet burns none.
CREATE OR REPLACE FUNCTION tallybook.refront_v2(INOUT w tallybook.wallets) LANGUAGE plpgsql
SET search_path = tallybook, pg_catalog, pg_temp AS $$
BEGIN
    IF w.is_frozen THEN RETURN; END IF;
    SELECT lots.version, lots.available_micro INTO w.front_lot_version, w.front_micro FROM lots
    WHERE lots.wallet_id = w.wallet_id AND lots.available_micro > 0
    ORDER BY lots.priority, lots.expires_at, lots.version LIMIT 1;
    w.front_micro := coalesce(w.front_micro, 0);
END $$;

-- Take an amount out of the lots in burn order, and write down what fell on which. With a named lot that one goes first, then
-- those that came of the same business object.
CREATE OR REPLACE FUNCTION tallybook.burn_v2(p_wallet_id bigint, p_version bigint, p_amount_micro bigint, p_first_lot bigint)
RETURNS tallybook.lot_part[] LANGUAGE plpgsql
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_reference text := (
        SELECT x.reference FROM lots AS x WHERE x.wallet_id = p_wallet_id AND x.version = p_first_lot
    );
    v_left  bigint := p_amount_micro;
    v_take  bigint;
    v_parts lot_part[] := '{}';
    l       record;
BEGIN
    FOR l IN
        SELECT lots.version, lots.available_micro, lots.expires_at FROM lots
        WHERE lots.wallet_id = p_wallet_id AND lots.available_micro > 0
        ORDER BY (lots.version IS NOT DISTINCT FROM p_first_lot) DESC,
            (lots.reference = v_reference) IS TRUE DESC, lots.priority, lots.expires_at, lots.version
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

-- A request about an open hold: capture, release. Of a frozen wallet no more is taken than was held.
CREATE OR REPLACE FUNCTION tallybook.decide_on_hold_v2(
    r tallybook.posting_request, w tallybook.wallets, h tallybook.holds,
    OUT code text, OUT facts jsonb, OUT legs tallybook.transfers[]
) LANGUAGE plpgsql STABLE
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_excess bigint := coalesce(greatest(0, r.amount_micro - h.remaining_micro), 0);
BEGIN
    code := 'ok';
    legs := '{}';
    IF h.version IS NULL OR h.app_id <> r.app_id THEN
        code := 'hold_not_found';
    ELSIF h.settled_at IS NOT NULL THEN
        code := 'hold_settled';
        facts := jsonb_build_object('captured_micro', h.captured_micro, 'released_micro', h.released_micro);
    ELSIF r.op = 'release' THEN
        r.amount_micro := 0;
        r.final := true;
    ELSIF v_excess > 0 AND r.allow_excess IS NOT TRUE THEN
        code := 'capture_exceeds_hold';
        facts := jsonb_build_object('requested_micro', r.amount_micro, 'remaining_micro', h.remaining_micro);
    ELSIF v_excess > 0 AND w.is_frozen THEN
        code := 'wallet_frozen';
    ELSIF v_excess > w.available_micro THEN
        code := 'insufficient_credits';
        facts := jsonb_build_object(
            'requested_micro', v_excess, 'available_micro', w.available_micro,
            'held_micro', w.held_micro, 'debt_micro', w.debt_micro,
            'shortfall_micro', v_excess + w.debt_micro - w.available_micro
        );
    ELSIF v_excess > 0 THEN
        facts := budget_passed_v1(r.wallet_id, h.budget_ids, v_excess, w.updated_at);
        code := CASE WHEN facts IS NULL THEN 'ok' ELSE 'budget_exceeded' END;
    END IF;
    IF code <> 'ok' THEN RETURN; END IF;
    legs := settling_legs_v2(w, h, r.amount_micro - v_excess, v_excess, r.final);
    IF cardinality(legs) = 0 THEN
        code := 'amount_out_of_range';
        facts := jsonb_build_object('requested_micro', r.amount_micro);
    END IF;
END $$;

-- What one request would do to a wallet in state w. A frozen wallet neither spends nor holds; a sub-hold takes nothing new.
CREATE OR REPLACE FUNCTION tallybook.decide_v2(
    r tallybook.posting_request, w tallybook.wallets, h tallybook.holds, p_budgets bigint[],
    OUT code text, OUT facts jsonb, OUT legs tallybook.transfers[]
) LANGUAGE plpgsql STABLE
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_leg transfers;
BEGIN
    code := 'ok';
    legs := '{}';
    IF r.op IN ('capture', 'release') THEN
        SELECT d.code, d.facts, d.legs INTO code, facts, legs FROM decide_on_hold_v2(r, w, h) AS d;
        RETURN;
    ELSIF r.op = 'give_back' THEN
        SELECT d.code, d.facts, d.legs INTO code, facts, legs FROM decide_give_back_v2(r, w) AS d;
        RETURN;
    ELSIF r.amount_micro IS NULL OR r.amount_micro <= 0 OR r.amount_micro > 1000000000000000 THEN
        code := 'amount_out_of_range';
        facts := jsonb_build_object('requested_micro', r.amount_micro);
    ELSIF r.budget_id IS NOT NULL AND r.budget_id <> ALL (coalesce(p_budgets, '{}')) THEN
        code := 'budget_not_found';
    ELSIF r.parent_version IS NOT NULL AND (h.version IS NULL OR h.app_id <> r.app_id) THEN
        code := 'hold_not_found';
    ELSIF r.parent_version IS NOT NULL AND h.settled_at IS NOT NULL THEN
        code := 'hold_settled';
        facts := jsonb_build_object('captured_micro', h.captured_micro, 'released_micro', h.released_micro);
    ELSIF r.parent_version IS NOT NULL AND r.budget_id IS NOT NULL AND NOT (coalesce(h.budget_ids, '{}') <@ p_budgets) THEN
        -- A sub-hold stays within the budgets of the hold that it is taken out of.
        code := 'budget_not_found';
    ELSIF r.parent_version IS NOT NULL AND r.amount_micro > h.remaining_micro THEN
        code := 'capture_exceeds_hold';
        facts := jsonb_build_object('requested_micro', r.amount_micro, 'remaining_micro', h.remaining_micro);
    ELSIF r.op IN ('spend', 'hold') AND r.parent_version IS NULL AND w.is_frozen THEN
        code := 'wallet_frozen';
    ELSIF r.op IN ('spend', 'hold') AND r.parent_version IS NULL AND r.amount_micro > w.available_micro THEN
        code := 'insufficient_credits';
        facts := jsonb_build_object(
            'requested_micro', r.amount_micro, 'available_micro', w.available_micro,
            'held_micro', w.held_micro, 'debt_micro', w.debt_micro,
            'shortfall_micro', r.amount_micro + w.debt_micro - w.available_micro
        );
    ELSIF r.op = 'grant' AND w.available_micro + w.held_micro + r.amount_micro > 9000000000000000 THEN
        code := 'balance_limit';
        facts := jsonb_build_object('requested_micro', r.amount_micro, 'available_micro', w.available_micro);
    ELSIF r.op IN ('spend', 'hold') THEN
        -- What the parent has reserved already is not asked for again.
        facts := budget_passed_v1(r.wallet_id, array(
            SELECT b FROM unnest(p_budgets) AS b WHERE r.parent_version IS NULL OR b <> ALL (coalesce(h.budget_ids, '{}'))
        ), r.amount_micro, w.updated_at);
        code := CASE WHEN facts IS NULL THEN 'ok' ELSE 'budget_exceeded' END;
    END IF;
    IF code <> 'ok' THEN RETURN; END IF;

    CASE r.op
        WHEN 'grant' THEN legs := ARRAY[leg_v2('grant', r.house, 'available', r.amount_micro)];
        WHEN 'spend' THEN legs := ARRAY[leg_v2('spend', 'available', r.house, r.amount_micro)];
        WHEN 'hold' THEN
            IF r.parent_version IS NULL THEN
                legs := ARRAY[leg_v2('hold', 'available', 'held', r.amount_micro)];
            ELSE
                v_leg := leg_v2('delegate', 'held', 'held', r.amount_micro);
                v_leg.parent_version := r.parent_version;
                legs := ARRAY[v_leg];
            END IF;
        WHEN 'clawback' THEN
            IF w.available_micro > 0 THEN
                v_leg := leg_v2('clawback', 'available', r.house, least(r.amount_micro, w.available_micro));
                v_leg.lot_version := r.lot_version;
                legs := ARRAY[v_leg];
            END IF;
            IF r.amount_micro > w.available_micro THEN
                legs := legs || leg_v2('clawback', 'debt', r.house, r.amount_micro - w.available_micro);
            END IF;
    END CASE;
END $$;

CREATE FUNCTION tallybook.freeze_wallet_v1(p_now timestamptz, p_wallet_id bigint, p_cause text, p_on boolean)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    w         wallets;
    v_changed boolean;
BEGIN
    SELECT x.* INTO STRICT w FROM wallets AS x WHERE x.wallet_id = p_wallet_id FOR NO KEY UPDATE;
    IF p_on THEN
        INSERT INTO wallet_freezes (wallet_id, cause, since) VALUES (p_wallet_id, p_cause, p_now)
        ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM wallet_freezes AS f WHERE f.wallet_id = p_wallet_id AND f.cause = p_cause;
    END IF;
    v_changed := FOUND;
    w := unfront_v2(w);
    w.is_frozen := EXISTS (SELECT 1 FROM wallet_freezes AS f WHERE f.wallet_id = p_wallet_id);
    w := refront_v2(w);
    UPDATE wallets SET
        is_frozen = w.is_frozen, front_lot_version = w.front_lot_version, front_micro = w.front_micro
    WHERE wallets.wallet_id = p_wallet_id;
    RETURN v_changed;
END $$;
COMMENT ON FUNCTION tallybook.freeze_wallet_v1(timestamptz, bigint, text, boolean) IS
'Freeze a wallet for a cause, or end that cause; says whether that was news. What it owes and gets goes on as ever.';
