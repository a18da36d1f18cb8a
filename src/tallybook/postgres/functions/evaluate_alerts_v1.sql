-- One pass of the spend alerts: look at some wallets, and announce what crossed a limit there.
--
-- p_now       when it is announced; when it happened is the transfer's own time
-- p_wallets   how many wallets of the round are looked at
-- p_transfers how many transfers are read, about: of the round, and again of what lags behind
--
-- What is announced follows from the transfers alone. Each is looked at once, in order, with the balance right after its
-- request, however the passes fall between them: a dip that is over when the pass comes is found in available_after.
-- What is read of a hot wallet in one pass is cut at the end of a request, and goes on in the next.

CREATE TYPE tallybook.alert_range AS (
    wallet_id       bigint,
    low_version     bigint,
    counted_version bigint,
    high_version    bigint,
    counts          boolean,
    is_cut          boolean
);

CREATE TYPE tallybook.alert_watched AS (
    wallet_id        bigint,
    alert_id         bigint,
    revision         integer,
    began_at         timestamptz,
    app_id           integer,
    kind             text,
    amount_micro     bigint,
    margin_micro     bigint,
    span             text,
    rearm_percent    smallint,
    percents         smallint[],
    observed_version bigint,
    high_version     bigint,
    is_fired         boolean,
    period           bigint,
    fired_percent    smallint
);

CREATE TYPE tallybook.alert_line AS (
    wallet_id       bigint,
    version         bigint,
    created_at      timestamptz,
    available_after bigint,
    spent           bigint,
    is_counted      boolean,
    is_settled      boolean,
    second          bigint,
    month           bigint
);
COMMENT ON COLUMN tallybook.alert_line.second IS 'Whole seconds since 1970.';
COMMENT ON COLUMN tallybook.alert_line.month IS 'Months since the year 0, in UTC.';

CREATE FUNCTION tallybook.version_at_v1(p_wallet_id bigint, p_version bigint, p_at timestamptz)
RETURNS bigint LANGUAGE plpgsql STABLE
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_low  bigint := 0;
    v_high bigint := p_version;
    v_mid  bigint;
BEGIN
    -- Times of a wallet never run backwards, so halving finds it without an index on time.
    WHILE v_low < v_high LOOP
        v_mid := (v_low + v_high + 1) / 2;
        IF EXISTS (
            SELECT 1 FROM transfers
            WHERE transfers.wallet_id = p_wallet_id AND transfers.version = v_mid AND transfers.created_at <= p_at
        ) THEN
            v_low := v_mid;
        ELSE
            v_high := v_mid - 1;
        END IF;
    END LOOP;
    RETURN v_low;
END $$;
COMMENT ON FUNCTION tallybook.version_at_v1(bigint, bigint, timestamptz) IS
'The newest transfer of a wallet at a moment, among those up to a version; 0 if there was none.';

CREATE FUNCTION tallybook.begin_alerts_v1(p_wallets bigint[])
RETURNS void LANGUAGE plpgsql
SET search_path = tallybook, pg_catalog, pg_temp AS $$
BEGIN
    -- A default begins by time. The owner's own low balance also looks at the balance that it finds.
    INSERT INTO alert_states (wallet_id, alert_id, revision, observed_version)
    SELECT w.wallet_id, a.alert_id, a.revision, CASE
        WHEN a.kind = 'low_balance' THEN b.version - (a.wallet_id IS NOT NULL)::integer
        WHEN e.counts THEN greatest(b.version, e.evaluated_version)
        ELSE b.version
    END
    FROM unnest(p_wallets) AS u (wallet_id)
    INNER JOIN wallets AS w ON w.wallet_id = u.wallet_id
    INNER JOIN alert_watches AS e ON e.wallet_id = w.wallet_id
    INNER JOIN alerts AS a ON a.ended_at IS NULL AND (a.wallet_id = w.wallet_id OR a.wallet_id IS NULL)
    LEFT JOIN alert_states AS s
        ON s.wallet_id = w.wallet_id AND s.alert_id = a.alert_id AND s.revision = a.revision
    CROSS JOIN LATERAL (
        SELECT coalesce(a.begin_version, version_at_v1(w.wallet_id, w.version, a.began_at)) AS version
    ) AS b
    WHERE s.alert_id IS NULL
    ON CONFLICT (wallet_id, alert_id) DO UPDATE SET (revision, observed_version, is_fired, period, fired_percent)
    = ROW (excluded.revision, excluded.observed_version, false, NULL, 0);

    -- The first alert that asks for spending has it counted from as far back as any span reaches.
    UPDATE alert_watches SET counts = true, slots = '{}', evaluated_version = x.version
    FROM (
        SELECT w.wallet_id, version_at_v1(
            w.wallet_id, w.version, min(least(
                date_trunc('month', a.began_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC', a.began_at - interval '24 hours'
            )) - interval '1 microsecond'
        ) AS version
        FROM unnest(p_wallets) AS u (wallet_id)
        INNER JOIN wallets AS w ON w.wallet_id = u.wallet_id
        INNER JOIN alert_watches AS e ON e.wallet_id = w.wallet_id AND NOT e.counts
        INNER JOIN alert_states AS s ON s.wallet_id = w.wallet_id
        INNER JOIN alerts AS a ON a.alert_id = s.alert_id AND a.ended_at IS NULL AND a.kind <> 'low_balance'
        GROUP BY w.wallet_id, w.version
    ) AS x
    WHERE alert_watches.wallet_id = x.wallet_id;
END $$;
COMMENT ON FUNCTION tallybook.begin_alerts_v1(bigint[]) IS
'Begin the alerts that have not begun, or have changed, for wallets that are watched.';

CREATE FUNCTION tallybook.alert_ranges_v1(p_wallets bigint[], p_behind bigint[], p_transfers integer)
RETURNS tallybook.alert_range[] LANGUAGE sql STABLE
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    WITH starts AS (
        SELECT w.wallet_id, w.version, e.counts,
            w.wallet_id = ANY (p_behind) AS is_behind,
            coalesce(e.evaluated_version, s.low, w.version) AS counted,
            least(e.evaluated_version, s.low, w.version) AS low
        FROM unnest(p_wallets) AS u (wallet_id)
        INNER JOIN wallets AS w ON w.wallet_id = u.wallet_id
        INNER JOIN alert_watches AS e ON e.wallet_id = w.wallet_id
        LEFT JOIN LATERAL (
            SELECT min(x.observed_version) FILTER (WHERE a.kind = 'low_balance') AS low
            FROM alert_states AS x
            INNER JOIN alerts AS a ON a.alert_id = x.alert_id AND a.ended_at IS NULL
            WHERE x.wallet_id = w.wallet_id
        ) AS s ON true
    ), budgeted AS (
        SELECT x.*, least(x.version, x.low + p_transfers) AS high, sum(least(x.version - x.low, p_transfers))
            OVER (PARTITION BY x.is_behind ORDER BY x.wallet_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS spoken_for
        FROM starts AS x
    )
    -- Cut where a request ends: at the last end that there is room for, else at the first.
    SELECT array_agg(
        ROW (b.wallet_id, b.low, b.counted, c.high, b.counts, c.high < b.version)::alert_range ORDER BY b.wallet_id
    )
    FROM budgeted AS b
    CROSS JOIN LATERAL (
        SELECT CASE WHEN b.high = b.version THEN b.high ELSE coalesce((
            SELECT t.version - 1 FROM transfers AS t
            WHERE t.wallet_id = b.wallet_id AND t.version BETWEEN b.low + 2 AND b.high + 1 AND t.part_of IS NULL
            ORDER BY t.version DESC LIMIT 1
        ), (
            SELECT t.version - 1 FROM transfers AS t
            WHERE t.wallet_id = b.wallet_id AND t.version BETWEEN b.high + 2 AND b.version AND t.part_of IS NULL
            ORDER BY t.version LIMIT 1
        ), b.version) END AS high
    ) AS c
    WHERE coalesce(b.spoken_for, 0) < p_transfers
$$;
COMMENT ON FUNCTION tallybook.alert_ranges_v1(bigint[], bigint[], integer) IS
'Which transfers of which wallets one pass reads: never much more than it may, and always some.';

CREATE TYPE tallybook.alert_stand AS (
    wallet_id     bigint,
    alert_id      bigint,
    high_version  bigint,
    fires         boolean,
    period        bigint,
    fired_percent smallint
);

CREATE TYPE tallybook.alert_look AS (
    wallet_id         bigint,
    evaluated_version bigint,
    slots             tallybook.alert_slot[],
    is_cut            boolean
);

-- What a pass reads is read by functions of their own, which say how many rows they give: the planner cannot know, and
-- would join thousands with thousands in loops. All else is found by key, in the order in which it is written here:
-- evaluate_alerts_v1 sets that for itself and for what it calls, so that a plan made on an empty table stays right.

CREATE FUNCTION tallybook.watched_alerts_v1(p_ranges tallybook.alert_range[])
RETURNS SETOF tallybook.alert_watched LANGUAGE sql STABLE ROWS 4000
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    SELECT r.wallet_id, a.alert_id, a.revision, a.began_at, a.app_id, a.kind, a.amount_micro, a.margin_micro, a.span,
        a.rearm_percent, a.percents, s.observed_version, r.high_version, s.is_fired, s.period, s.fired_percent
    FROM unnest(p_ranges) AS r
    INNER JOIN alert_states AS s ON s.wallet_id = r.wallet_id
    INNER JOIN alerts AS a ON a.alert_id = s.alert_id AND a.revision = s.revision AND a.ended_at IS NULL
$$;
COMMENT ON FUNCTION tallybook.watched_alerts_v1(tallybook.alert_range[]) IS
'The alerts of some wallets, and where each stands there.';

CREATE FUNCTION tallybook.alert_lines_v1(p_ranges tallybook.alert_range[])
RETURNS SETOF tallybook.alert_line LANGUAGE sql STABLE ROWS 20000
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    SELECT x.wallet_id, x.version, x.created_at, x.available_after, x.spent, x.is_counted, x.is_settled,
        floor(extract(EPOCH FROM x.created_at))::bigint,
        (extract(YEAR FROM x.created_at AT TIME ZONE 'UTC') * 12
            + extract(MONTH FROM x.created_at AT TIME ZONE 'UTC'))::bigint
    FROM (
        SELECT r.wallet_id, t.version, t.created_at, t.available_after, r.high_version,
            CASE WHEN t.credit = 'usage' THEN t.amount_micro WHEN t.debit = 'usage' THEN -t.amount_micro ELSE 0 END AS spent,
            r.counts AND t.version > r.counted_version AS is_counted,
            lead(t.part_of) OVER (PARTITION BY t.wallet_id ORDER BY t.version) IS NULL AS is_settled
        FROM unnest(p_ranges) AS r
        INNER JOIN transfers AS t
            ON t.wallet_id = r.wallet_id AND t.version > r.low_version AND t.version <= r.high_version + 1
    ) AS x
    WHERE x.version <= x.high_version
    UNION ALL
    SELECT r.wallet_id, 0, w.created_at, 0, 0, false, true, 0, 0
    FROM unnest(p_ranges) AS r INNER JOIN wallets AS w ON w.wallet_id = r.wallet_id
    WHERE r.low_version < 0
$$;
COMMENT ON FUNCTION tallybook.alert_lines_v1(tallybook.alert_range[]) IS
'Transfers, each with what it spent and whether its request ended with it: what a leg leaves within one is no balance.';

CREATE FUNCTION tallybook.alert_slots_v1(p_ranges tallybook.alert_range[])
RETURNS TABLE (wallet_id bigint, span text, slot bigint, spent bigint) LANGUAGE sql STABLE ROWS 20000
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    SELECT r.wallet_id, k.span, k.slot, k.spent_micro
    FROM unnest(p_ranges) AS r
    INNER JOIN alert_watches AS e ON e.wallet_id = r.wallet_id
    CROSS JOIN unnest(e.slots) AS k
    WHERE r.counts
$$;
COMMENT ON FUNCTION tallybook.alert_slots_v1(tallybook.alert_range[]) IS 'What was spent lately, as far as it was looked at before.';

CREATE FUNCTION tallybook.find_crossings_v1(
    p_now timestamptz, p_ranges tallybook.alert_range[],
    OUT announcements tallybook.announcements[], OUT stands tallybook.alert_stand[], OUT looks tallybook.alert_look[]
) LANGUAGE sql STABLE
SET search_path = tallybook, pg_catalog, pg_temp
SET enable_hashjoin = on
SET enable_mergejoin = on
SET enable_material = on
SET jit = off AS $$
    WITH watched AS MATERIALIZED (SELECT * FROM watched_alerts_v1(p_ranges)),
    lines AS MATERIALIZED (SELECT * FROM alert_lines_v1(p_ranges)),
    points AS (
        SELECT c.wallet_id, c.span, c.slot, 0 AS version, c.spent, true AS is_settled, NULL AS created_at
        FROM alert_slots_v1(p_ranges) AS c
        UNION ALL
        SELECT l.wallet_id, s.span, s.slot, l.version, l.spent, l.is_settled, l.created_at
        FROM lines AS l
        CROSS JOIN LATERAL (
            VALUES ('hour', l.second / 60), ('day', l.second / 1440), ('month', l.month)
        ) AS s (span, slot)
        WHERE l.is_counted
    ),
    running AS (
        SELECT p.*,
            CASE p.span WHEN 'day' THEN p.slot / 60 ELSE p.slot END AS period,
            sum(p.spent) OVER (PARTITION BY p.wallet_id, p.span ORDER BY p.slot, p.version) AS total,
            coalesce(sum(p.spent) OVER (
                PARTITION BY p.wallet_id, p.span ORDER BY p.slot RANGE BETWEEN UNBOUNDED PRECEDING AND 60 PRECEDING
            ), 0) AS gone,
            sum(p.spent) OVER (
                PARTITION BY p.wallet_id, p.span, CASE p.span WHEN 'day' THEN p.slot / 60 ELSE p.slot END
                ORDER BY p.slot, p.version
            ) AS in_period
        FROM points AS p
        WHERE (p.wallet_id, p.span) IN (SELECT w.wallet_id, w.span FROM watched AS w)
    ),
    -- Before a request, as time alone has left it, and after it.
    seen AS (
        SELECT n.*, n.total - n.gone AS rate,
            coalesce(lag(n.total) OVER (PARTITION BY n.wallet_id, n.span ORDER BY n.slot, n.version), 0) - n.gone AS rate_before
        FROM running AS n
        WHERE n.is_settled
    ),
    -- Each moment that arms or fires; what lies between the two limits does neither.
    moments AS (
        SELECT w.wallet_id, w.alert_id, l.version, 1 AS step, l.available_after < w.amount_micro AS fires,
            l.available_after AS figure, l.created_at
        FROM watched AS w
        INNER JOIN lines AS l
            ON l.wallet_id = w.wallet_id AND l.version > w.observed_version AND l.is_settled
        WHERE w.kind = 'low_balance'
            AND (l.available_after < w.amount_micro OR l.available_after >= w.amount_micro + w.margin_micro)
        UNION ALL
        SELECT w.wallet_id, w.alert_id, n.version, m.step, m.fires, n.rate, n.created_at
        FROM watched AS w
        INNER JOIN seen AS n
            ON n.wallet_id = w.wallet_id AND n.span = w.span AND n.version > w.observed_version
        CROSS JOIN LATERAL (
            VALUES (0, false, n.rate_before * 100 <= w.amount_micro * w.rearm_percent), (1, true, n.rate > w.amount_micro)
        ) AS m (step, fires, is_so)
        WHERE w.kind = 'burn_rate' AND m.is_so
    ),
    turns AS (
        SELECT m.*, lag(m.fires) OVER (PARTITION BY m.wallet_id, m.alert_id ORDER BY m.version, m.step) AS had_fired,
            row_number() OVER (PARTITION BY m.wallet_id, m.alert_id ORDER BY m.version DESC, m.step DESC) AS from_the_end
        FROM moments AS m
    ),
    levels AS (
        SELECT DISTINCT ON (w.wallet_id, w.alert_id, n.period, p.percent)
            w.wallet_id, w.alert_id, n.version, n.in_period AS figure, n.created_at, n.period, p.percent
        FROM watched AS w
        INNER JOIN seen AS n
            ON n.wallet_id = w.wallet_id AND n.span = w.span AND n.version > w.observed_version
        CROSS JOIN unnest(w.percents) AS p (percent)
        WHERE w.kind = 'spend_threshold' AND n.in_period * 100 >= w.amount_micro::numeric * p.percent
            AND (n.period, p.percent) > (coalesce(w.period, -1), w.fired_percent)
        ORDER BY w.wallet_id, w.alert_id, n.period, p.percent, n.version
    ),
    crossings AS (
        SELECT t.wallet_id, t.alert_id, t.version, t.figure, t.created_at, NULL::bigint AS period, NULL::smallint AS percent
        FROM turns AS t
        INNER JOIN watched AS w ON w.wallet_id = t.wallet_id AND w.alert_id = t.alert_id
        WHERE t.fires AND NOT coalesce(t.had_fired, w.is_fired)
        UNION ALL
        SELECT v.wallet_id, v.alert_id, v.version, v.figure, v.created_at, v.period, v.percent
        FROM levels AS v
    ),
    announced AS (
        SELECT 'alert.' || w.kind AS kind, c.wallet_id, w.app_id, c.version, c.alert_id, c.percent,
            concat_ws(':', 'alert', c.alert_id, w.revision, c.wallet_id, coalesce(c.period, c.version), c.percent) AS key,
            jsonb_strip_nulls(jsonb_build_object(
                'alert', 'alr_' || c.alert_id,
                'transfer', CASE WHEN c.version > 0 THEN 'trf_' || c.wallet_id || '_' || c.version END,
                'amount_micro', w.amount_micro,
                CASE w.kind WHEN 'low_balance' THEN 'available_micro' ELSE 'spent_micro' END, c.figure,
                'span', w.span,
                'percent', c.percent,
                'period', CASE WHEN c.percent IS NOT NULL THEN to_char(
                    c.created_at AT TIME ZONE 'UTC', CASE w.span WHEN 'day' THEN 'YYYY-MM-DD' ELSE 'YYYY-MM' END
                ) END
            )) AS facts,
            greatest(c.created_at, w.began_at) AS happened_at
        FROM crossings AS c
        INNER JOIN watched AS w ON w.wallet_id = c.wallet_id AND w.alert_id = c.alert_id
    ),
    stood AS (
        SELECT w.wallet_id, w.alert_id, w.high_version, t.fires, v.period, v.percent
        FROM watched AS w
        LEFT JOIN turns AS t
            ON t.wallet_id = w.wallet_id AND t.alert_id = w.alert_id AND t.from_the_end = 1
        LEFT JOIN (
            SELECT DISTINCT ON (y.wallet_id, y.alert_id) y.wallet_id, y.alert_id, y.period, y.percent
            FROM levels AS y
            ORDER BY y.wallet_id, y.alert_id, y.period DESC, y.percent DESC
        ) AS v ON v.wallet_id = w.wallet_id AND v.alert_id = w.alert_id
    ),
    -- Slots that no window reaches any more are forgotten: a wallet's times never run backwards.
    kept AS (
        SELECT k.wallet_id, array_agg(ROW (k.span, k.slot, k.spent)::alert_slot ORDER BY k.span, k.slot)
            FILTER (WHERE k.spent <> 0 AND k.slot > k.newest - CASE k.span WHEN 'month' THEN 1 ELSE 60 END) AS slots
        FROM (
            SELECT p.wallet_id, p.span, p.slot, sum(p.spent)::bigint AS spent,
                max(p.slot) OVER (PARTITION BY p.wallet_id, p.span) AS newest
            FROM points AS p
            GROUP BY p.wallet_id, p.span, p.slot
        ) AS k
        GROUP BY k.wallet_id
    )
    SELECT
        (SELECT array_agg(
            ROW (NULL, a.kind, a.wallet_id, a.app_id, a.key, a.facts, a.happened_at, p_now)::announcements
            ORDER BY a.happened_at, a.wallet_id, a.version, a.alert_id, a.percent
        ) FROM announced AS a),
        (SELECT array_agg(ROW (x.wallet_id, x.alert_id, x.high_version, x.fires, x.period, x.percent)::alert_stand)
            FROM stood AS x),
        (SELECT array_agg(ROW (
            r.wallet_id, greatest(r.counted_version, r.high_version), coalesce(k.slots, '{}'), r.is_cut
        )::alert_look) FROM unnest(p_ranges) AS r LEFT JOIN kept AS k ON k.wallet_id = r.wallet_id)
$$;
COMMENT ON FUNCTION tallybook.find_crossings_v1(timestamptz, tallybook.alert_range[]) IS
'Look at some transfers: what crossed a limit, where each alert stands then, and what was spent lately.';

CREATE FUNCTION tallybook.keep_alerts_v1(
    p_now timestamptz, p_stands tallybook.alert_stand[], p_looks tallybook.alert_look[]
)
RETURNS void LANGUAGE sql
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    UPDATE alert_states SET
        observed_version = greatest(alert_states.observed_version, x.high_version),
        is_fired = coalesce(x.fires, alert_states.is_fired),
        period = coalesce(x.period, alert_states.period),
        fired_percent = coalesce(x.fired_percent, alert_states.fired_percent)
    FROM unnest(p_stands) AS x
    WHERE alert_states.wallet_id = x.wallet_id AND alert_states.alert_id = x.alert_id;

    UPDATE alert_watches SET
        evaluated_version = x.evaluated_version,
        slots = x.slots,
        behind_at = CASE WHEN x.is_cut THEN p_now END
    FROM unnest(p_looks) AS x
    WHERE alert_watches.wallet_id = x.wallet_id;
$$;
COMMENT ON FUNCTION tallybook.keep_alerts_v1(timestamptz, tallybook.alert_stand[], tallybook.alert_look[]) IS
'Remember what was seen.';

CREATE FUNCTION tallybook.evaluate_alerts_v1(p_now timestamptz, p_wallets integer, p_transfers integer)
RETURNS TABLE (verdict text, announced bigint) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
SET join_collapse_limit = 1
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_after   bigint;
    v_since   timestamptz;
    v_page    bigint[];
    v_changed bigint[];
    v_behind  bigint[];
    v_wallets bigint[];
    v_ranges  alert_range[];
    v_next    bigint;
    v_found   record;
BEGIN
    -- 1. One at a time, in the whole installation.
    SELECT alert_walk.after_wallet_id INTO v_after FROM alert_walk FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'busy', 0::bigint;
        RETURN;
    END IF;

    -- 2. The next wallets of the round; all wallets if there is a default, else those with alerts of their own.
    SELECT min(alerts.began_at) INTO v_since FROM alerts WHERE alerts.wallet_id IS NULL AND alerts.ended_at IS NULL;
    IF v_since IS NOT NULL THEN
        SELECT array_agg(w.wallet_id ORDER BY w.wallet_id), array_agg(w.wallet_id) FILTER (WHERE CASE
            WHEN e.wallet_id IS NULL THEN w.updated_at > v_since ELSE w.version > coalesce(e.evaluated_version, -1) END)
        INTO v_page, v_changed
        FROM (
            SELECT wallets.wallet_id, wallets.version, wallets.updated_at FROM wallets
            WHERE wallets.wallet_id > v_after ORDER BY wallets.wallet_id LIMIT p_wallets
        ) AS w
        LEFT JOIN alert_watches AS e ON e.wallet_id = w.wallet_id;
    ELSE
        -- Of a default that ended, and of alerts that ended, nothing is left to watch. Who sets an alert right now has
        -- written behind_at: that row stays, though we do not see the alert yet.
        DELETE FROM alert_watches WHERE alert_watches.behind_at IS NULL AND alert_watches.wallet_id IN (
            SELECT e.wallet_id FROM alert_watches AS e
            WHERE e.wallet_id > v_after ORDER BY e.wallet_id LIMIT p_wallets
        ) AND NOT EXISTS (
            SELECT 1 FROM alerts WHERE alerts.wallet_id = alert_watches.wallet_id AND alerts.ended_at IS NULL
        );
        SELECT array_agg(e.wallet_id ORDER BY e.wallet_id), array_agg(e.wallet_id) FILTER (WHERE w.version > coalesce(e.evaluated_version, -1))
        INTO v_page, v_changed
        FROM (
            SELECT alert_watches.wallet_id, alert_watches.evaluated_version FROM alert_watches
            WHERE alert_watches.wallet_id > v_after ORDER BY alert_watches.wallet_id LIMIT p_wallets
        ) AS e
        INNER JOIN wallets AS w ON w.wallet_id = e.wallet_id;
    END IF;
    SELECT array_agg(b.wallet_id) INTO v_behind FROM (
        SELECT alert_watches.wallet_id FROM alert_watches
        WHERE alert_watches.behind_at IS NOT NULL ORDER BY alert_watches.behind_at LIMIT p_wallets
    ) AS b;

    -- 3. Look at those that changed. Somebody may just be setting an alert on one: then it is for the next pass.
    INSERT INTO alert_watches (wallet_id) SELECT c.wallet_id FROM unnest(v_changed) AS c (wallet_id)
    ON CONFLICT DO NOTHING;
    SELECT array_agg(l.wallet_id) INTO v_wallets FROM (
        SELECT alert_watches.wallet_id FROM alert_watches
        WHERE alert_watches.wallet_id = ANY (v_changed || v_behind)
        ORDER BY alert_watches.wallet_id FOR UPDATE SKIP LOCKED
    ) AS l;
    PERFORM begin_alerts_v1(v_wallets);
    v_ranges := alert_ranges_v1(v_wallets, coalesce(v_behind, '{}'), p_transfers);
    announced := 0;
    IF v_ranges IS NOT NULL THEN
        SELECT f.* INTO v_found FROM find_crossings_v1(p_now, v_ranges) AS f;
        INSERT INTO announcements (kind, wallet_id, app_id, key, facts, happened_at, created_at)
        SELECT a.kind, a.wallet_id, a.app_id, a.key, a.facts, a.happened_at, a.created_at
        FROM unnest(v_found.announcements) AS a
        ON CONFLICT (key) DO NOTHING;
        GET DIAGNOSTICS announced = ROW_COUNT;
        PERFORM keep_alerts_v1(p_now, v_found.stands, v_found.looks);
        IF announced > 0 THEN
            PERFORM pg_notify('tallybook_announcements', '');
        END IF;
    END IF;

    -- 4. Go on behind the last wallet that there was room for.
    SELECT min(c.wallet_id) - 1 INTO v_next FROM unnest(v_changed) AS c (wallet_id)
    WHERE c.wallet_id <> ALL (coalesce(v_behind, '{}')) AND c.wallet_id NOT IN (SELECT r.wallet_id FROM unnest(v_ranges) AS r);
    v_next := coalesce(v_next, CASE WHEN cardinality(v_page) = p_wallets THEN v_page[p_wallets] END, 0);
    UPDATE alert_walk SET after_wallet_id = v_next WHERE alert_walk.after_wallet_id <> v_next;
    verdict := CASE
        WHEN EXISTS (SELECT 1 FROM alert_watches WHERE alert_watches.behind_at IS NOT NULL) THEN 'behind'
        WHEN v_next > 0 THEN 'more' ELSE 'round'
    END;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION tallybook.evaluate_alerts_v1(timestamptz, integer, integer) IS
'One pass of the spend alerts; says whether the round goes on (more, behind), has ended (round), or is another''s (busy).';

GRANT SELECT ON
tallybook.announcements, tallybook.alerts, tallybook.alert_watches, tallybook.alert_states, tallybook.alert_walk
TO tallybook_runtime;
GRANT INSERT ON tallybook.announcements TO tallybook_runtime;
GRANT INSERT, UPDATE ON tallybook.alerts, tallybook.alert_watches TO tallybook_runtime;
REVOKE ALL ON FUNCTION
tallybook.version_at_v1(bigint, bigint, timestamptz),
tallybook.begin_alerts_v1(bigint[]),
tallybook.alert_ranges_v1(bigint[], bigint[], integer),
tallybook.watched_alerts_v1(tallybook.alert_range[]),
tallybook.alert_lines_v1(tallybook.alert_range[]),
tallybook.alert_slots_v1(tallybook.alert_range[]),
tallybook.find_crossings_v1(timestamptz, tallybook.alert_range[]),
tallybook.keep_alerts_v1(timestamptz, tallybook.alert_stand[], tallybook.alert_look[]),
tallybook.evaluate_alerts_v1(timestamptz, integer, integer)
FROM public;
GRANT EXECUTE ON FUNCTION tallybook.evaluate_alerts_v1(timestamptz, integer, integer) TO tallybook_runtime;
