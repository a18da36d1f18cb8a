-- The exact road: one wallet's requests, one after another. Whatever the swift road does not take comes here.

-- What one request would do to a wallet in state w: the legs (kind, debit, credit, amount, …), or a refusal.
CREATE FUNCTION tallybook.leg_v2(p_kind text, p_debit tallybook.account, p_credit tallybook.account, p_amount bigint)
RETURNS tallybook.transfers LANGUAGE sql IMMUTABLE
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    SELECT jsonb_populate_record(NULL::transfers, jsonb_build_object(
        'kind', p_kind, 'debit', p_debit, 'credit', p_credit, 'amount_micro', p_amount
    ))
$$;

-- How a hold would be settled: so much captured, the rest (if final) back to where it came from.
CREATE FUNCTION tallybook.settling_legs_v2(
    w tallybook.wallets, h tallybook.holds, p_captured bigint, p_excess bigint, p_final boolean
) RETURNS tallybook.transfers[] LANGUAGE plpgsql STABLE
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_legs transfers[] := '{}';
    v_leg  transfers;
    v_rest bigint := CASE WHEN p_final THEN h.remaining_micro - p_captured ELSE 0 END;
    v_late record;
BEGIN
    IF p_captured > 0 THEN
        v_legs := v_legs || leg_v2('capture', 'held', 'usage', p_captured);
    END IF;
    IF p_excess > 0 THEN
        v_legs := v_legs || leg_v2('spend', 'available', 'usage', p_excess);
    END IF;
    IF v_rest > 0 THEN
        IF h.parent_version IS NOT NULL AND EXISTS (
            SELECT 1 FROM holds AS p
            WHERE p.wallet_id = h.wallet_id AND p.version = h.parent_version AND p.settled_at IS NULL
        ) THEN
            v_leg := leg_v2('return', 'held', 'held', v_rest);
            v_leg.parent_version := h.parent_version;
            v_legs := v_legs || v_leg;
        ELSE
            v_legs := v_legs || leg_v2('release', 'held', 'available', v_rest);
            -- What was pinned of a lot that has expired meanwhile expires now.
            FOR v_late IN
                SELECT l.version, rest.micro FROM split_pins_v2(h.lot_versions, h.lot_micros, p_captured) AS s
                CROSS JOIN LATERAL unnest(h.lot_versions, s.left_micros) AS rest (lot_version, micro)
                INNER JOIN lots AS l ON l.wallet_id = h.wallet_id AND l.version = rest.lot_version
                WHERE rest.micro > 0 AND l.expires_at <= w.updated_at
                ORDER BY l.expires_at, l.version
            LOOP
                v_leg := leg_v2('expire', 'available', 'expired', v_late.micro);
                v_leg.lot_version := v_late.version;
                v_legs := v_legs || v_leg;
            END LOOP;
        END IF;
    END IF;
    RETURN v_legs;
END $$;

-- A request about an open hold: capture, release.
CREATE FUNCTION tallybook.decide_on_hold_v2(
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

-- A request that gives credits of an earlier spend or capture back to the lots they came from.
CREATE FUNCTION tallybook.decide_give_back_v2(
    r tallybook.posting_request, w tallybook.wallets, OUT code text, OUT facts jsonb, OUT legs tallybook.transfers[]
) LANGUAGE plpgsql STABLE
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_done  transfers;
    v_given bigint;
    v_amount bigint;
    v_whole bigint;
    v_part  lot_part;
    v_leg   transfers;
BEGIN
    code := 'ok';
    legs := '{}';
    SELECT t.* INTO v_done FROM transfers AS t
    WHERE t.wallet_id = r.wallet_id AND t.version = r.undoes_version
        AND t.app_id = r.app_id AND t.credit = 'usage' AND t.kind IN ('spend', 'capture');
    IF NOT FOUND THEN
        code := 'transfer_not_found';
        RETURN;
    END IF;
    SELECT coalesce(sum(t.amount_micro), 0) INTO v_given FROM transfers AS t
    WHERE t.wallet_id = r.wallet_id AND t.undoes_version = r.undoes_version;
    v_amount := coalesce(r.amount_micro, v_done.amount_micro - v_given);
    IF v_amount <= 0 OR v_amount > v_done.amount_micro - v_given THEN
        code := 'give_back_exceeds';
        facts := jsonb_build_object('requested_micro', r.amount_micro, 'remaining_micro', v_done.amount_micro - v_given);
        RETURN;
    END IF;
    v_whole := v_amount;
    FOREACH v_part IN ARRAY give_back_parts_v2(r.wallet_id, r.undoes_version, v_given, v_amount) LOOP
        CONTINUE WHEN v_part.expires_at IS NULL OR v_part.expires_at > w.updated_at;
        -- An expired lot takes nothing back: a new one lives as long as the old one had left when it was burned.
        v_leg := leg_v2('grant', 'usage', 'available', v_part.amount_micro);
        v_leg.lot_version := v_part.lot_version;
        v_leg.undoes_version := r.undoes_version;
        legs := legs || v_leg;
        v_whole := v_whole - v_part.amount_micro;
    END LOOP;
    IF v_whole > 0 THEN
        v_leg := leg_v2('give_back', 'usage', 'available', v_whole);
        v_leg.undoes_version := r.undoes_version;
        legs := v_leg || legs;
    END IF;
END $$;

CREATE FUNCTION tallybook.decide_v2(
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
COMMENT ON FUNCTION tallybook.decide_v2(tallybook.posting_request, tallybook.wallets, tallybook.holds, bigint[]) IS
'Which legs a request makes of a wallet in a given state, or why it is refused; changes nothing.';

-- Number the legs of one request, move the wallet in memory, write the transfers, and put the lots behind them.
CREATE FUNCTION tallybook.write_legs_v2(
    INOUT w tallybook.wallets, r tallybook.posting_request, h tallybook.holds, p_legs tallybook.transfers[],
    p_budgets bigint[], p_note_digest bytea
) LANGUAGE plpgsql
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_first  bigint := w.version + 1;
    v_leg    transfers;
    v_lot    lots;
    v_old    lots;
    v_hold   holds;
    v_parts  lot_part[];
    v_left   bigint[];
    v_gain   bigint;
    v_owed   bigint;
BEGIN
    v_gain := (SELECT sum(CASE WHEN x.credit = 'available' THEN x.amount_micro
        WHEN x.debit = 'available' THEN -x.amount_micro ELSE 0 END) FROM unnest(p_legs) AS x);
    v_owed := least(w.debt_micro, greatest(0, w.available_micro + v_gain));
    IF w.debt_micro > 0 AND v_owed > 0 THEN
        p_legs := p_legs || leg_v2('repay', 'available', 'debt', v_owed);
    END IF;
    FOREACH v_leg IN ARRAY p_legs LOOP
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
        v_leg.form := 2;
        v_leg.hold_version := CASE
            WHEN v_leg.kind IN ('hold', 'delegate') THEN w.version
            WHEN v_leg.kind IN ('capture', 'release', 'return') THEN h.version END;
        v_leg.budget_ids := CASE WHEN v_leg.kind IN ('spend', 'hold', 'delegate', 'capture', 'release', 'return')
            THEN p_budgets END;
        IF w.version = v_first THEN
            v_leg.key := r.key;
            v_leg.terms := CASE WHEN r.key IS NOT NULL THEN r.terms END;
            v_leg.note_digest := p_note_digest;
            v_leg.legs := nullif(cardinality(p_legs), 1);
        ELSE
            v_leg.part_of := v_first;
        END IF;
        IF v_leg.kind = 'grant' THEN
            v_lot := NULL;
            v_lot.wallet_id := w.wallet_id;
            v_lot.version := w.version;
            v_lot.amount_micro := v_leg.amount_micro;
            v_lot.available_micro := v_leg.amount_micro;
            v_lot.created_at := w.updated_at;
            IF v_leg.undoes_version IS NULL THEN
                v_lot.source := r.source;
                v_lot.price_minor := r.price_minor;
                v_lot.currency := r.currency;
                v_lot.priority := coalesce(r.priority, 50);
                v_lot.expires_at := r.lot_expires_at;
                v_lot.reference := r.reference;
            ELSE
                SELECT lots.* INTO STRICT v_old FROM lots
                WHERE lots.wallet_id = w.wallet_id AND lots.version = v_leg.lot_version;
                v_lot.source := 'usage_refund';
                v_lot.priority := v_old.priority;
                v_lot.reference := v_old.reference;
                v_lot.expires_at := w.updated_at + (v_old.expires_at - (
                    SELECT t.created_at FROM transfers AS t
                    WHERE t.wallet_id = w.wallet_id AND t.version = v_leg.undoes_version
                ));
            END IF;
            v_leg.detail_digest := lot_digest_v1(v_lot);
            w.next_due_at := least(w.next_due_at, v_lot.expires_at);
        ELSIF v_leg.kind IN ('hold', 'delegate') THEN
            v_hold := NULL;
            v_hold.app_id := r.app_id;
            v_hold.session_user_id := r.session_user_id;
            v_hold.on_expiry := coalesce(r.on_expiry, 'release');
            v_hold.expires_at := w.updated_at + make_interval(secs => coalesce(r.lifetime_seconds, 900));
            v_leg.detail_digest := hold_digest_v2(
                r.app_id, r.session_user_id, v_leg.amount_micro, r.estimate_micro, v_hold.on_expiry, v_hold.expires_at,
                w.updated_at, v_leg.parent_version, p_budgets
            );
            w.next_due_at := least(w.next_due_at, v_hold.expires_at);
        END IF;
        v_leg.digest := transfer_digest_v2(w.digest, v_leg);
        w.digest := v_leg.digest;
        INSERT INTO transfers SELECT v_leg.*;

        IF v_leg.kind = 'grant' THEN
            INSERT INTO lots SELECT v_lot.*;
            v_parts := ARRAY[ROW (w.version, v_leg.amount_micro, NULL)::lot_part];
        ELSIF v_leg.kind = 'give_back' THEN
            v_parts := array(
                SELECT p FROM unnest(give_back_parts_v2(w.wallet_id, v_leg.undoes_version, (
                    SELECT coalesce(sum(t.amount_micro), 0)::bigint FROM transfers AS t
                    WHERE t.wallet_id = w.wallet_id AND t.undoes_version = v_leg.undoes_version AND t.version < w.version
                ), (
                    SELECT sum(x.amount_micro)::bigint FROM unnest(p_legs) AS x WHERE x.undoes_version = v_leg.undoes_version
                ))) AS p
                WHERE p.expires_at IS NULL OR p.expires_at > w.updated_at
            );
            UPDATE lots SET available_micro = lots.available_micro + p.amount_micro
            FROM unnest(v_parts) AS p WHERE lots.wallet_id = w.wallet_id AND lots.version = p.lot_version;
        ELSIF v_leg.debit = 'available' AND v_leg.kind = 'expire' THEN
            UPDATE lots SET available_micro = lots.available_micro - v_leg.amount_micro
            WHERE lots.wallet_id = w.wallet_id AND lots.version = v_leg.lot_version;
            v_parts := ARRAY[ROW (v_leg.lot_version, v_leg.amount_micro, NULL)::lot_part];
        ELSIF v_leg.debit = 'available' THEN
            v_parts := burn_v2(w.wallet_id, w.version, v_leg.amount_micro, v_leg.lot_version);
        ELSIF v_leg.debit = 'held' AND v_leg.kind = 'delegate' THEN
            SELECT s.taken, s.left_micros INTO v_parts, v_left
            FROM split_pins_v2(h.lot_versions, h.lot_micros, v_leg.amount_micro) AS s;
            UPDATE holds SET lot_micros = v_left, delegated_micro = holds.delegated_micro + v_leg.amount_micro
            WHERE holds.wallet_id = w.wallet_id AND holds.version = h.version;
        ELSIF v_leg.debit = 'held' THEN
            SELECT s.taken, s.left_micros INTO v_parts, v_left
            FROM split_pins_v2(h.lot_versions, h.lot_micros, v_leg.amount_micro) AS s;
            h.lot_micros := v_left;
            IF v_leg.kind = 'release' THEN
                UPDATE lots SET available_micro = lots.available_micro + p.amount_micro
                FROM unnest(v_parts) AS p WHERE lots.wallet_id = w.wallet_id AND lots.version = p.lot_version;
            ELSIF v_leg.kind = 'return' THEN
                UPDATE holds SET
                    delegated_micro = holds.delegated_micro - v_leg.amount_micro,
                    (lot_versions, lot_micros) = (
                        SELECT array_agg(x.lot ORDER BY x.place), array_agg(x.micro ORDER BY x.place) FROM (
                            SELECT pinned.lot, sum(pinned.micro)::bigint AS micro, min(pinned.place) AS place FROM (
                                SELECT o.lot, o.micro, o.place
                                FROM unnest(holds.lot_versions, holds.lot_micros) WITH ORDINALITY AS o (lot, micro, place)
                                UNION ALL
                                SELECT p.lot_version, p.amount_micro, 100000 + p.place
                                FROM unnest(v_parts) WITH ORDINALITY AS p (lot_version, amount_micro, expires_at, place)
                            ) AS pinned GROUP BY pinned.lot
                        ) AS x
                    )
                WHERE holds.wallet_id = w.wallet_id AND holds.version = v_leg.parent_version;
            END IF;
        ELSE
            v_parts := '{}';
        END IF;
        IF NOT (v_leg.debit = 'available' AND v_leg.kind <> 'expire') THEN
            INSERT INTO lot_moves (wallet_id, version, lot_version, amount_micro)
            SELECT w.wallet_id, w.version, p.lot_version, sum(p.amount_micro) FROM unnest(v_parts) AS p
            GROUP BY p.lot_version;
        END IF;
        IF v_leg.kind IN ('hold', 'delegate') THEN
            INSERT INTO holds (
                wallet_id, version, app_id, session_user_id, placed_micro, estimate_micro, on_expiry, expires_at,
                placed_at, lot_versions, lot_micros, parent_version, budget_ids
            ) VALUES (
                w.wallet_id, w.version, r.app_id, r.session_user_id, v_leg.amount_micro, r.estimate_micro,
                v_hold.on_expiry, v_hold.expires_at, w.updated_at,
                array(SELECT p.lot_version FROM unnest(v_parts) AS p),
                array(SELECT p.amount_micro FROM unnest(v_parts) AS p), v_leg.parent_version, p_budgets
            );
        END IF;
    END LOOP;
END $$;

-- Do what a decided request does to a hold and to budgets, beside its transfers.
CREATE FUNCTION tallybook.follow_up_v2(
    w tallybook.wallets, r tallybook.posting_request, h tallybook.holds, p_legs tallybook.transfers[],
    p_budgets bigint[], p_settled_by text
) RETURNS void LANGUAGE plpgsql
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_captured bigint := coalesce((SELECT sum(x.amount_micro) FROM unnest(p_legs) AS x WHERE x.kind = 'capture'), 0);
    v_spent    bigint := coalesce((SELECT sum(x.amount_micro) FROM unnest(p_legs) AS x WHERE x.kind = 'spend'), 0);
    v_back     bigint := coalesce(
        (SELECT sum(x.amount_micro) FROM unnest(p_legs) AS x WHERE x.kind IN ('release', 'return')), 0);
    v_kept     bigint[];
BEGIN
    IF r.op IN ('capture', 'release') THEN
        UPDATE holds SET
            captured_micro = holds.captured_micro + v_captured,
            released_micro = holds.released_micro + v_back,
            lot_micros = (SELECT s.left_micros
                FROM split_pins_v2(holds.lot_versions, holds.lot_micros, v_captured + v_back) AS s),
            settled_at = CASE WHEN holds.captured_micro + holds.released_micro + v_captured + v_back = holds.placed_micro
                OR r.op = 'release' OR r.final THEN w.updated_at END,
            settled_by = CASE WHEN holds.captured_micro + holds.released_micro + v_captured + v_back = holds.placed_micro
                OR r.op = 'release' OR r.final THEN coalesce(p_settled_by, r.op) END
        WHERE holds.wallet_id = h.wallet_id AND holds.version = h.version;
    END IF;
    IF p_budgets IS NULL THEN RETURN; END IF;
    IF r.op = 'spend' THEN
        PERFORM count_at_budgets_v1(w.wallet_id, p_budgets, r.amount_micro, 0, w.updated_at);
    ELSIF r.op = 'hold' THEN
        PERFORM count_at_budgets_v1(w.wallet_id, array(
            SELECT b FROM unnest(p_budgets) AS b WHERE r.parent_version IS NULL OR b <> ALL (coalesce(h.budget_ids, '{}'))
        ), 0, r.amount_micro, w.updated_at);
    ELSIF r.op IN ('capture', 'release') THEN
        -- What returns to a parent stays reserved where the parent reserves.
        SELECT p.budget_ids INTO v_kept FROM holds AS p
        WHERE p.wallet_id = h.wallet_id AND p.version = h.parent_version
            AND EXISTS (SELECT 1 FROM unnest(p_legs) AS x WHERE x.kind = 'return');
        v_kept := coalesce(v_kept, '{}');
        PERFORM count_at_budgets_v1(w.wallet_id, array(SELECT b FROM unnest(p_budgets) AS b WHERE b = ANY (v_kept)),
            v_captured + v_spent, -v_captured, w.updated_at);
        PERFORM count_at_budgets_v1(w.wallet_id, array(SELECT b FROM unnest(p_budgets) AS b WHERE b <> ALL (v_kept)),
            v_captured + v_spent, -v_captured - v_back, w.updated_at);
    ELSIF r.op = 'give_back' THEN
        -- It counts only where the period of the spend still runs.
        PERFORM count_at_budgets_v1(w.wallet_id, array(
            SELECT b.budget_id FROM budgets AS b
            INNER JOIN transfers AS t ON t.wallet_id = b.wallet_id AND t.version = r.undoes_version
            WHERE b.wallet_id = w.wallet_id AND b.budget_id = ANY (p_budgets)
                AND period_start_v1(b.period, t.created_at) = period_start_v1(b.period, w.updated_at)
        ), -(SELECT sum(x.amount_micro) FROM unnest(p_legs) AS x WHERE x.undoes_version IS NOT NULL)::bigint, 0, w.updated_at);
    END IF;
END $$;

-- Settle what is due of a wallet in memory: holds by their policy, then lots. Its front lot must be put back before.
CREATE FUNCTION tallybook.settle_wallet_v2(INOUT w tallybook.wallets, OUT settled integer) LANGUAGE plpgsql
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    h      holds;
    l      lots;
    v_leg  transfers;
    v_legs transfers[];
    v_take bigint;
    r      posting_request;
BEGIN
    settled := 0;
    FOR h IN
        SELECT holds.* FROM holds
        WHERE holds.wallet_id = w.wallet_id AND holds.settled_at IS NULL
            AND coalesce(holds.extended_to, holds.expires_at) <= w.updated_at
        ORDER BY coalesce(holds.extended_to, holds.expires_at), holds.version
    LOOP
        -- A sub-hold that was settled just before may have brought something back.
        SELECT holds.* INTO STRICT h FROM holds WHERE holds.wallet_id = h.wallet_id AND holds.version = h.version;
        r := NULL;
        r.op := 'capture';
        r.wallet_id := w.wallet_id;
        r.app_id := h.app_id;
        r.final := true;
        v_take := CASE h.on_expiry
            WHEN 'capture_maximum' THEN h.remaining_micro
            WHEN 'capture_estimate'
                THEN least(greatest(coalesce(h.estimate_micro, 0) - h.captured_micro, 0), h.remaining_micro)
            ELSE 0 END;
        v_legs := settling_legs_v2(w, h, v_take, 0, true);
        IF cardinality(v_legs) > 0 THEN
            w := write_legs_v2(w, r, h, v_legs, h.budget_ids, NULL);
        END IF;
        PERFORM follow_up_v2(w, r, h, v_legs, h.budget_ids, 'expiry');
        settled := settled + 1;
    END LOOP;
    FOR l IN
        SELECT lots.* FROM lots
        WHERE lots.wallet_id = w.wallet_id AND lots.available_micro > 0 AND lots.expires_at <= w.updated_at
        ORDER BY lots.expires_at, lots.version
    LOOP
        v_leg := leg_v2('expire', 'available', 'expired', l.available_micro);
        v_leg.lot_version := l.version;
        r := NULL;
        r.app_id := 0;
        w := write_legs_v2(w, r, NULL, ARRAY[v_leg], NULL, NULL);
        settled := settled + 1;
    END LOOP;
    SELECT min(x.at) INTO w.next_due_at FROM (
        SELECT coalesce(holds.extended_to, holds.expires_at) AS at FROM holds
        WHERE holds.wallet_id = w.wallet_id AND holds.settled_at IS NULL
        UNION ALL
        -- Also a lot that has nothing left: a release or a give-back may bring something back to it.
        SELECT lots.expires_at FROM lots
        WHERE lots.wallet_id = w.wallet_id AND lots.expires_at > w.updated_at
    ) AS x;
END $$;

-- Write a wallet that was moved in memory.
CREATE FUNCTION tallybook.store_wallet_v2(w tallybook.wallets) RETURNS void LANGUAGE sql
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    UPDATE wallets SET
        available_micro = w.available_micro, held_micro = w.held_micro, debt_micro = w.debt_micro, version = w.version,
        digest = w.digest, updated_at = w.updated_at, front_lot_version = w.front_lot_version,
        front_micro = w.front_micro, next_due_at = w.next_due_at
    WHERE wallets.wallet_id = w.wallet_id
$$;

CREATE FUNCTION tallybook.walk_v2(p_now timestamptz, w tallybook.wallets, p_requests tallybook.posting_request[])
RETURNS tallybook.posting_decision[] LANGUAGE plpgsql
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_decisions posting_decision[] := '{}';
    v_decision  posting_decision;
    v_refusal   refusals;
    v_budgets   bigint[];
    v_note      bytea;
    d           record;
    r           posting_request;
    h           holds;
BEGIN
    w := unfront_v2(w);
    w.updated_at := greatest(w.updated_at, p_now);
    FOREACH r IN ARRAY p_requests LOOP
        -- Each time anew: the request before may have brought something that is due already.
        IF w.next_due_at <= w.updated_at THEN
            w := (settle_wallet_v2(w)).w;
        END IF;
        h := NULL;
        IF coalesce(r.hold_version, r.parent_version) IS NOT NULL THEN
            SELECT holds.* INTO h FROM holds
            WHERE holds.wallet_id = r.wallet_id AND holds.version = coalesce(r.hold_version, r.parent_version);
        END IF;
        v_budgets := CASE
            WHEN r.op IN ('capture', 'release') OR (r.parent_version IS NOT NULL AND r.budget_id IS NULL) THEN h.budget_ids
            WHEN r.op IN ('spend', 'hold') AND (r.budget_id IS NOT NULL OR w.has_caps)
                THEN budget_path_v1(r.wallet_id, r.budget_id, r.app_id)
            WHEN r.op = 'give_back' THEN (
                SELECT t.budget_ids FROM transfers AS t
                WHERE t.wallet_id = r.wallet_id AND t.version = r.undoes_version
            ) END;
        SELECT x.code, x.facts, x.legs INTO d FROM decide_v2(r, w, h, v_budgets) AS x;
        v_decision := NULL;
        v_decision.ord := r.ord;
        v_decision.wallet_id := r.wallet_id;
        v_decision.replayed := false;
        v_decision.code := d.code;
        v_decision.facts := coalesce(d.facts, '{}');
        IF d.code <> 'ok' THEN
            v_decision.version := w.version;
            IF r.key IS NOT NULL THEN
                v_refusal := ROW (
                    r.wallet_id, r.app_id, r.key, r.terms, d.code, v_decision.facts, w.version, p_now, NULL
                );
                v_refusal.digest := refusal_digest_v1(v_refusal);
                INSERT INTO refusals SELECT v_refusal.*;
            END IF;
        ELSE
            v_decision.version := w.version + 1;
            v_note := NULL;
            IF num_nonnulls(r.description, r.service, r.metadata) > 0 THEN
                v_decision.salt := gen_random_uuid();
                v_note := note_digest_v1(v_decision.salt, r.description, r.service, r.metadata);
                INSERT INTO notes (wallet_id, version, salt, description, service, metadata)
                VALUES (r.wallet_id, v_decision.version, v_decision.salt, r.description, r.service, r.metadata);
            END IF;
            IF cardinality(d.legs) > 0 THEN
                w := write_legs_v2(w, r, h, d.legs, v_budgets, v_note);
            END IF;
            PERFORM follow_up_v2(w, r, h, d.legs, v_budgets, NULL);
        END IF;
        v_decisions := v_decisions || v_decision;
    END LOOP;
    PERFORM store_wallet_v2(refront_v2(w));
    RETURN v_decisions;
END $$;
