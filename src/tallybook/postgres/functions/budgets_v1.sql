-- Budgets: limits over a wallet, changed under the wallet's lock only.

CREATE FUNCTION tallybook.period_start_v1(p_period text, p_at timestamptz)
RETURNS timestamptz LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN p_period = 'none' THEN timestamptz '1970-01-01 00:00:00+00'
    ELSE date_trunc(p_period, p_at, 'UTC') END;
COMMENT ON FUNCTION tallybook.period_start_v1(text, timestamptz) IS
'When the period began that a time falls into, by the UTC calendar; weeks begin on Monday.';

CREATE FUNCTION tallybook.period_end_v1(p_period text, p_at timestamptz)
RETURNS timestamptz LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN p_period <> 'none' THEN
    (date_trunc(p_period, p_at, 'UTC') AT TIME ZONE 'UTC' + ('1 ' || p_period)::interval) AT TIME ZONE 'UTC' END;
COMMENT ON FUNCTION tallybook.period_end_v1(text, timestamptz) IS
'When the next period begins after a time; null when a budget has none.';

CREATE FUNCTION tallybook.budget_path_v1(p_wallet_id bigint, p_budget_id bigint, p_app_id integer)
RETURNS bigint[] LANGUAGE sql STABLE
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    WITH RECURSIVE up AS (
        SELECT b.budget_id, b.parent_id, 1 AS place FROM budgets AS b
        WHERE b.wallet_id = p_wallet_id AND b.budget_id = p_budget_id
            -- Nobody uses up another app's budget by naming it, nor a cap, which applies to its own app only.
            AND b.app_id IS NULL AND (p_app_id = 0 OR b.keeper_app_id IN (0, p_app_id))
        UNION ALL
        SELECT b.budget_id, b.parent_id, up.place + 1 FROM up
        INNER JOIN budgets AS b ON b.wallet_id = p_wallet_id AND b.budget_id = up.parent_id
    )
    SELECT array_agg(found.budget_id ORDER BY found.place) FROM (
        -- A cap may be named too, or stand above the named one: it counts once.
        SELECT every.budget_id, min(every.place) AS place FROM (
            SELECT up.budget_id, up.place FROM up
            UNION ALL
            SELECT b.budget_id, 1000 FROM budgets AS b WHERE b.wallet_id = p_wallet_id AND b.app_id = p_app_id
        ) AS every GROUP BY every.budget_id
    ) AS found
$$;
COMMENT ON FUNCTION tallybook.budget_path_v1(bigint, bigint, integer) IS
'The budgets that a request counts at: the named one, those above it, and the cap of the app; null when there is none.';

-- Which budget, if any, an amount would pass: its facts, or null.
CREATE FUNCTION tallybook.budget_passed_v1(p_wallet_id bigint, p_budgets bigint[], p_amount_micro bigint, p_at timestamptz)
RETURNS jsonb LANGUAGE sql STABLE
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object(
        'budget', format('bud_%s_%s', b.wallet_id, b.budget_id), 'limit_micro', b.limit_micro,
        'used_micro', x.used_micro, 'requested_micro', p_amount_micro,
        'period_ends_at', to_char(period_end_v1(b.period, p_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    )
    FROM unnest(p_budgets) WITH ORDINALITY AS n (budget_id, place)
    INNER JOIN budgets AS b ON b.wallet_id = p_wallet_id AND b.budget_id = n.budget_id
    CROSS JOIN LATERAL (SELECT b.reserved_micro + CASE
        WHEN b.period_start = period_start_v1(b.period, p_at) THEN b.spent_micro ELSE 0 END AS used_micro) AS x
    WHERE b.limit_micro IS NOT NULL AND x.used_micro + p_amount_micro > b.limit_micro
    ORDER BY n.place LIMIT 1
$$;

CREATE FUNCTION tallybook.count_at_budgets_v1(
    p_wallet_id bigint, p_budgets bigint[], p_spent_micro bigint, p_reserved_micro bigint, p_at timestamptz
) RETURNS void LANGUAGE sql
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    UPDATE budgets SET
        spent_micro = greatest(0, p_spent_micro + CASE
            WHEN budgets.period_start = period_start_v1(budgets.period, p_at) THEN budgets.spent_micro ELSE 0 END),
        period_start = period_start_v1(budgets.period, p_at),
        reserved_micro = budgets.reserved_micro + p_reserved_micro,
        updated_at = p_at
    WHERE budgets.wallet_id = p_wallet_id AND budgets.budget_id = ANY (p_budgets)
$$;
COMMENT ON FUNCTION tallybook.count_at_budgets_v1(bigint, bigint[], bigint, bigint, timestamptz) IS
'Count what was spent and reserved at budgets; a new period begins at zero.';

CREATE FUNCTION tallybook.open_budget_v1(
    p_now timestamptz, p_wallet_id bigint, p_parent_id bigint, p_app_id integer, p_name text, p_kind text,
    p_limit_micro bigint, p_period text, p_keeper_app_id integer DEFAULT 0
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_budget_id bigint;
BEGIN
    PERFORM 1 FROM wallets WHERE wallets.wallet_id = p_wallet_id FOR NO KEY UPDATE;
    INSERT INTO budgets (
        wallet_id, parent_id, app_id, keeper_app_id, name, kind, limit_micro, period, period_start, depth, created_at, updated_at
    )
    SELECT p_wallet_id, p_parent_id, p_app_id, p_keeper_app_id, p_name, p_kind, p_limit_micro, p_period,
        period_start_v1(p_period, p_now), coalesce((
            SELECT above.depth + 1 FROM budgets AS above
            WHERE above.wallet_id = p_wallet_id AND above.budget_id = p_parent_id
        ), 1), p_now, p_now
    ON CONFLICT (wallet_id, app_id) WHERE app_id IS NOT NULL DO UPDATE
        SET limit_micro = excluded.limit_micro, updated_at = excluded.updated_at
    RETURNING budgets.budget_id INTO v_budget_id;
    IF p_app_id IS NOT NULL THEN
        UPDATE wallets SET has_caps = true WHERE wallets.wallet_id = p_wallet_id AND NOT wallets.has_caps;
    END IF;
    RETURN v_budget_id;
END $$;
COMMENT ON FUNCTION tallybook.open_budget_v1(timestamptz, bigint, bigint, integer, text, text, bigint, text, integer) IS
'A new budget below a parent (or at the top); for an app it is that app''s cap, of which a wallet has one.';

CREATE FUNCTION tallybook.limit_budget_v1(p_now timestamptz, p_wallet_id bigint, p_budget_id bigint, p_limit_micro bigint)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1 FROM wallets WHERE wallets.wallet_id = p_wallet_id FOR NO KEY UPDATE;
    UPDATE budgets SET limit_micro = p_limit_micro, updated_at = p_now
    WHERE budgets.wallet_id = p_wallet_id AND budgets.budget_id = p_budget_id;
END $$;
COMMENT ON FUNCTION tallybook.limit_budget_v1(timestamptz, bigint, bigint, bigint) IS
'Set or lift the limit of a budget; what is used already may be more, then nothing more is let through.';

CREATE FUNCTION tallybook.budgets_at_v1(p_at timestamptz, p_wallet_id bigint)
RETURNS TABLE (
    wallet_id bigint, budget_id bigint, parent_id bigint, keeper_app_id integer, capped_app_id integer, capped_app text,
    name text, kind text, limit_micro bigint, period text, spent_micro bigint, reserved_micro bigint,
    period_ends_at timestamptz, depth smallint, created_at timestamptz, updated_at timestamptz
) LANGUAGE sql STABLE
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    SELECT
        b.wallet_id, b.budget_id, b.parent_id, b.keeper_app_id, b.app_id, a.public_id,
        b.name, b.kind, b.limit_micro, b.period,
        CASE WHEN b.period_start >= period_start_v1(b.period, p_at) THEN b.spent_micro ELSE 0 END, b.reserved_micro,
        period_end_v1(b.period, greatest(p_at, b.period_start)), b.depth, b.created_at, b.updated_at
    FROM budgets AS b LEFT JOIN apps AS a ON a.app_id = b.app_id
    WHERE b.wallet_id = p_wallet_id
$$;
COMMENT ON FUNCTION tallybook.budgets_at_v1(timestamptz, bigint) IS
'The budgets of a wallet as they are at a time: what is spent counts as zero once a new period has begun.';
