-- Every promise of the ledger for the wallets of a range, of both forms of its rows, checked against what is stored; each row that
-- comes back is a broken one. No promise spans wallets, so ranges that cover all ids check the whole ledger; small ones fit into memory.

CREATE FUNCTION tallybook.verify_v3(
    p_first bigint DEFAULT -9223372036854775808, p_last bigint DEFAULT 9223372036854775807
)
RETURNS TABLE (wallet_id bigint, version bigint, check_name text, detail text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp AS $$
    WITH
    -- The tables by their own names, cut to the range; the planner looks through them.
    transfers AS NOT MATERIALIZED (
        SELECT x.* FROM tallybook.transfers AS x WHERE x.wallet_id BETWEEN p_first AND p_last
    ),
    wallets AS NOT MATERIALIZED (
        SELECT x.* FROM tallybook.wallets AS x WHERE x.wallet_id BETWEEN p_first AND p_last
    ),
    lots AS NOT MATERIALIZED (
        SELECT x.* FROM tallybook.lots AS x WHERE x.wallet_id BETWEEN p_first AND p_last
    ),
    holds AS NOT MATERIALIZED (
        SELECT x.* FROM tallybook.holds AS x WHERE x.wallet_id BETWEEN p_first AND p_last
    ),
    lot_moves AS NOT MATERIALIZED (
        SELECT x.* FROM tallybook.lot_moves AS x WHERE x.wallet_id BETWEEN p_first AND p_last
    ),
    notes AS NOT MATERIALIZED (
        SELECT x.* FROM tallybook.notes AS x WHERE x.wallet_id BETWEEN p_first AND p_last
    ),
    budgets AS NOT MATERIALIZED (
        SELECT x.* FROM tallybook.budgets AS x WHERE x.wallet_id BETWEEN p_first AND p_last
    ),
    refusals AS NOT MATERIALIZED (
        SELECT x.* FROM tallybook.refusals AS x WHERE x.wallet_id BETWEEN p_first AND p_last
    ),
    ordered AS (
        SELECT t.*, t AS itself, lag(t) OVER w AS before
        FROM tallybook.transfers AS t WHERE t.wallet_id BETWEEN p_first AND p_last
        WINDOW w AS (PARTITION BY t.wallet_id ORDER BY t.version)
    ),
    newest AS (
        SELECT DISTINCT ON (t.wallet_id) t.* FROM transfers AS t ORDER BY t.wallet_id, t.version DESC
    ),
    outside AS (
        SELECT t.wallet_id, sum(
            CASE WHEN t.debit NOT IN ('available', 'held', 'debt') THEN t.amount_micro ELSE 0 END
            - CASE WHEN t.credit NOT IN ('available', 'held', 'debt') THEN t.amount_micro ELSE 0 END
        ) AS amount_micro
        FROM transfers AS t GROUP BY t.wallet_id
    ),
    open_holds AS (
        SELECT h.wallet_id, sum(h.remaining_micro) AS held_micro FROM holds AS h GROUP BY h.wallet_id
    ),
    pins AS (
        SELECT h.wallet_id, p.lot_version, sum(p.micro) AS held_micro
        FROM holds AS h CROSS JOIN LATERAL unnest(h.lot_versions, h.lot_micros) AS p (lot_version, micro)
        GROUP BY h.wallet_id, p.lot_version
    ),
    -- What is left of the front lot stands in the wallet's row.
    true_lots AS (
        SELECT l.wallet_id, l.version, coalesce(p.held_micro, 0) AS held_micro,
            CASE WHEN l.version = w.front_lot_version THEN w.front_micro ELSE l.available_micro END AS available_micro
        FROM lots AS l
        LEFT JOIN wallets AS w ON w.wallet_id = l.wallet_id
        LEFT JOIN pins AS p ON p.wallet_id = l.wallet_id AND p.lot_version = l.version
    ),
    lot_sums AS (
        SELECT l.wallet_id, sum(l.available_micro) AS available_micro, sum(l.held_micro) AS held_micro
        FROM true_lots AS l GROUP BY l.wallet_id
    ),
    moves AS (
        SELECT m.wallet_id, m.version, m.lot_version, m.amount_micro FROM lot_moves AS m
        UNION ALL
        SELECT t.wallet_id, t.version, t.on_lot_version, t.amount_micro FROM transfers AS t
        WHERE t.on_lot_version IS NOT NULL
    ),
    moved AS (
        SELECT m.wallet_id, m.version, sum(m.amount_micro) AS amount_micro
        FROM moves AS m GROUP BY m.wallet_id, m.version
    ),
    lot_flows AS (
        SELECT m.wallet_id, m.lot_version,
            sum(CASE WHEN t.credit = 'available' THEN m.amount_micro ELSE 0 END
                - CASE WHEN t.debit = 'available' THEN m.amount_micro ELSE 0 END) AS available_micro,
            sum(CASE WHEN t.credit = 'held' THEN m.amount_micro ELSE 0 END
                - CASE WHEN t.debit = 'held' THEN m.amount_micro ELSE 0 END) AS held_micro
        FROM moves AS m INNER JOIN transfers AS t USING (wallet_id, version)
        GROUP BY m.wallet_id, m.lot_version
    ),
    hold_flows AS (
        SELECT x.wallet_id, x.hold_version, sum(x.placed) AS placed_micro, sum(x.captured) AS captured_micro,
            sum(x.released) AS released_micro, sum(x.delegated) AS delegated_micro
        FROM (
            SELECT t.wallet_id, t.hold_version,
                CASE WHEN t.kind IN ('hold', 'delegate') THEN t.amount_micro ELSE 0 END AS placed,
                CASE WHEN t.kind = 'capture' THEN t.amount_micro ELSE 0 END AS captured,
                CASE WHEN t.kind IN ('release', 'return') THEN t.amount_micro ELSE 0 END AS released, 0 AS delegated
            FROM transfers AS t WHERE t.hold_version IS NOT NULL
            UNION ALL
            SELECT t.wallet_id, t.parent_version, 0, 0, 0,
                CASE t.kind WHEN 'delegate' THEN t.amount_micro ELSE -t.amount_micro END
            FROM transfers AS t WHERE t.parent_version IS NOT NULL
        ) AS x GROUP BY x.wallet_id, x.hold_version
    ),
    budget_spends AS (
        SELECT b.wallet_id, b.budget_id, coalesce(sum(
            CASE WHEN t.kind = 'capture' OR t.kind = 'spend' THEN t.amount_micro - coalesce(u.given, 0) ELSE 0 END
        ), 0) AS spent_micro
        FROM budgets AS b
        LEFT JOIN transfers AS t
            ON t.wallet_id = b.wallet_id AND b.budget_id = ANY (t.budget_ids) AND t.created_at >= b.period_start
        LEFT JOIN LATERAL (
            SELECT sum(g.amount_micro) AS given FROM transfers AS g
            WHERE g.wallet_id = t.wallet_id AND g.undoes_version = t.version
                -- What comes back in a later period leaves the budget as it is.
                AND period_start_v1(b.period, g.created_at) = b.period_start
        ) AS u ON true
        GROUP BY b.wallet_id, b.budget_id
    ),
    budget_holds AS (
        SELECT h.wallet_id, n.budget_id, sum(h.remaining_micro) AS reserved_micro
        FROM holds AS h CROSS JOIN LATERAL unnest(h.budget_ids) AS n (budget_id) GROUP BY h.wallet_id, n.budget_id
    )
    SELECT found.wallet_id, found.version, found.check_name, found.detail FROM (
        SELECT o.wallet_id, o.version, 'transfer_numbers' AS check_name,
            format('follows transfer %s', coalesce((o.before).version, 0)) AS detail
        FROM ordered AS o WHERE o.version <> coalesce((o.before).version, 0) + 1
        UNION ALL
        SELECT o.wallet_id, o.version, 'running_balances',
            format('%s of %s does not lead from the balances before to those after', o.kind, o.amount_micro)
        FROM ordered AS o
        WHERE o.available_after <> coalesce((o.before).available_after, 0)
            + CASE WHEN o.credit = 'available' THEN o.amount_micro ELSE 0 END
            - CASE WHEN o.debit = 'available' THEN o.amount_micro ELSE 0 END
            OR o.held_after <> coalesce((o.before).held_after, 0)
            + CASE WHEN o.credit = 'held' THEN o.amount_micro ELSE 0 END
            - CASE WHEN o.debit = 'held' THEN o.amount_micro ELSE 0 END
            OR o.debt_after <> coalesce((o.before).debt_after, 0)
            + CASE WHEN o.debit = 'debt' THEN o.amount_micro ELSE 0 END
            - CASE WHEN o.credit = 'debt' THEN o.amount_micro ELSE 0 END
            OR o.available_after < 0 OR o.held_after < 0 OR o.debt_after < 0
        UNION ALL
        SELECT o.wallet_id, o.version, 'chain', 'the digest does not fit the row and the one before it'
        FROM ordered AS o
        LEFT JOIN wallets AS w ON w.wallet_id = o.wallet_id
        CROSS JOIN LATERAL (SELECT coalesce(
            (o.before).digest, first_digest_v1(w.owner_user_id, w.owner_organisation_id)
        ) AS digest) AS previous
        WHERE o.digest IS DISTINCT FROM CASE o.form
            WHEN 1 THEN transfer_digest_v1(previous.digest, o.itself)
            ELSE transfer_digest_v2(previous.digest, o.itself) END
        UNION ALL
        SELECT o.wallet_id, o.version, 'times', 'earlier than the transfer before it'
        FROM ordered AS o WHERE o.created_at < (o.before).created_at
        UNION ALL
        SELECT w.wallet_id, w.version, 'wallet_row', format(
            'wallet says %s available, %s held, %s debt at version %s; its transfers say %s, %s, %s at %s',
            w.available_micro, w.held_micro, w.debt_micro, w.version,
            coalesce(n.available_after, 0), coalesce(n.held_after, 0), coalesce(n.debt_after, 0),
            coalesce(n.version, 0))
        FROM wallets AS w LEFT JOIN newest AS n ON n.wallet_id = w.wallet_id
        WHERE (w.available_micro, w.held_micro, w.debt_micro, w.version, w.digest)
            IS DISTINCT FROM (coalesce(n.available_after, 0), coalesce(n.held_after, 0),
                coalesce(n.debt_after, 0), coalesce(n.version, 0),
                coalesce(n.digest, first_digest_v1(w.owner_user_id, w.owner_organisation_id)))
        UNION ALL
        SELECT n.wallet_id, n.version, 'wallet_missing', 'transfers of a wallet that does not exist'
        FROM newest AS n WHERE NOT EXISTS (SELECT 1 FROM wallets AS w WHERE w.wallet_id = n.wallet_id)
        UNION ALL
        SELECT w.wallet_id, w.version, 'wallet_holds',
            format('%s held, but its holds have %s left', w.held_micro, coalesce(h.held_micro, 0))
        FROM wallets AS w LEFT JOIN open_holds AS h ON h.wallet_id = w.wallet_id
        WHERE w.held_micro <> coalesce(h.held_micro, 0)
        UNION ALL
        SELECT coalesce(h.wallet_id, f.wallet_id), coalesce(h.version, f.hold_version), 'hold_row',
            format('hold says placed %s, captured %s, released %s, delegated %s; its transfers say %s, %s, %s, %s',
                h.placed_micro, h.captured_micro, h.released_micro, h.delegated_micro,
                f.placed_micro, f.captured_micro, f.released_micro, f.delegated_micro)
        FROM holds AS h FULL JOIN hold_flows AS f ON f.wallet_id = h.wallet_id AND f.hold_version = h.version
        WHERE (h.placed_micro, h.captured_micro, h.released_micro, h.delegated_micro)
            IS DISTINCT FROM (f.placed_micro, f.captured_micro, f.released_micro, f.delegated_micro)
        UNION ALL
        SELECT h.wallet_id, h.version, 'hold_lots', 'the lots it has pinned are not what it has left'
        FROM holds AS h
        WHERE h.remaining_micro <> (SELECT coalesce(sum(x), 0) FROM unnest(h.lot_micros) AS x)
        UNION ALL
        SELECT w.wallet_id, w.version, 'wallet_lots',
            format('%s available and %s held, but its lots have %s and %s', w.available_micro,
                w.held_micro, coalesce(s.available_micro, 0), coalesce(s.held_micro, 0))
        FROM wallets AS w LEFT JOIN lot_sums AS s ON s.wallet_id = w.wallet_id
        WHERE (w.available_micro, w.held_micro)
            IS DISTINCT FROM (coalesce(s.available_micro, 0)::bigint, coalesce(s.held_micro, 0)::bigint)
        UNION ALL
        SELECT coalesce(l.wallet_id, f.wallet_id), coalesce(l.version, f.lot_version), 'lot_row',
            format('lot has %s available and %s held; its moves say %s and %s',
                l.available_micro, l.held_micro, f.available_micro, f.held_micro)
        FROM true_lots AS l FULL JOIN lot_flows AS f ON f.wallet_id = l.wallet_id AND f.lot_version = l.version
        WHERE (l.available_micro::numeric, l.held_micro)
            IS DISTINCT FROM (f.available_micro, f.held_micro)
        UNION ALL
        SELECT l.wallet_id, l.version, 'lot_grant', 'the lot and the transfer that brought it differ'
        FROM lots AS l LEFT JOIN transfers AS t ON t.wallet_id = l.wallet_id AND t.version = l.version
        WHERE t.kind IS DISTINCT FROM 'grant' OR t.amount_micro IS DISTINCT FROM l.amount_micro
        UNION ALL
        SELECT t.wallet_id, t.version, 'lot_terms', 'the lot does not say what it said when it came'
        FROM transfers AS t
        LEFT JOIN tallybook.lots AS l
            ON l.wallet_id BETWEEN p_first AND p_last AND l.wallet_id = t.wallet_id AND l.version = t.version
        WHERE t.kind = 'grant' AND t.detail_digest IS DISTINCT FROM lot_digest_v1(l)
        UNION ALL
        SELECT t.wallet_id, t.version, 'hold_terms', 'the hold does not say what it said when it was placed'
        FROM transfers AS t
        LEFT JOIN tallybook.holds AS h
            ON h.wallet_id BETWEEN p_first AND p_last AND h.wallet_id = t.wallet_id AND h.version = t.version
        WHERE t.kind IN ('hold', 'delegate') AND t.detail_digest IS DISTINCT FROM CASE t.form
            WHEN 1 THEN hold_digest_v1(h) ELSE hold_digest_v2(
                h.app_id, h.session_user_id, h.placed_micro, h.estimate_micro, h.on_expiry, h.expires_at, h.placed_at,
                h.parent_version, h.budget_ids
            ) END
        UNION ALL
        SELECT n.wallet_id, n.version, 'note', 'a note of a transfer that does not exist'
        FROM notes AS n
        WHERE NOT EXISTS (SELECT 1 FROM transfers AS t WHERE t.wallet_id = n.wallet_id AND t.version = n.version)
        UNION ALL
        SELECT b.wallet_id, b.budget_id, 'budget', format('budget %s says %s spent and %s reserved; the ledger says %s and %s',
            b.budget_id, b.spent_micro, b.reserved_micro, s.spent_micro, coalesce(r.reserved_micro, 0))
        FROM budgets AS b
        INNER JOIN budget_spends AS s ON s.wallet_id = b.wallet_id AND s.budget_id = b.budget_id
        LEFT JOIN budget_holds AS r ON r.wallet_id = b.wallet_id AND r.budget_id = b.budget_id
        WHERE b.spent_micro <> s.spent_micro OR b.reserved_micro <> coalesce(r.reserved_micro, 0)
        UNION ALL
        SELECT w.wallet_id, w.version, 'front_lot', 'another lot burns before the one that the wallet burns'
        FROM wallets AS w INNER JOIN lots AS f ON f.wallet_id = w.wallet_id AND f.version = w.front_lot_version
        WHERE w.front_micro > 0 AND EXISTS (
            SELECT 1 FROM lots AS l
            WHERE l.wallet_id = w.wallet_id AND l.version <> f.version AND l.available_micro > 0
                AND (l.priority, coalesce(l.expires_at, 'infinity'), l.version)
                < (f.priority, coalesce(f.expires_at, 'infinity'), f.version)
        )
        UNION ALL
        SELECT f.wallet_id, f.wallet_version, 'refusal', format('the answer to key %L was changed', f.key)
        FROM tallybook.refusals AS f
        WHERE f.wallet_id BETWEEN p_first AND p_last AND f.digest IS DISTINCT FROM refusal_digest_v1(f)
        UNION ALL
        SELECT t.wallet_id, t.version, 'transfer_lots',
            format('moves %s of its lots instead of %s', coalesce(m.amount_micro, 0), t.amount_micro)
        FROM transfers AS t LEFT JOIN moved AS m ON m.wallet_id = t.wallet_id AND m.version = t.version
        WHERE coalesce(m.amount_micro, 0) <> CASE WHEN t.debit = 'debt' THEN 0 ELSE t.amount_micro END
        UNION ALL
        SELECT t.wallet_id, t.version, 'note', 'the note is not the one that was written with the transfer'
        FROM notes AS n INNER JOIN transfers AS t ON t.wallet_id = n.wallet_id AND t.version = n.version
        WHERE t.note_digest IS DISTINCT FROM note_digest_v1(n.salt, n.description, n.service, n.metadata)
        UNION ALL
        SELECT f.wallet_id, t.version, 'answered_twice', format('key %L was refused and booked', f.key)
        FROM refusals AS f INNER JOIN transfers AS t
            ON t.wallet_id = f.wallet_id AND t.app_id = f.app_id AND t.key = f.key
        UNION ALL
        SELECT w.wallet_id, w.version, 'zero_sum', 'debits and credits do not cancel out'
        FROM wallets AS w LEFT JOIN outside AS o ON o.wallet_id = w.wallet_id
        WHERE w.available_micro + w.held_micro - w.debt_micro <> coalesce(o.amount_micro, 0)
    ) AS found
    -- The first row is the one to look at.
    ORDER BY found.wallet_id, found.version, found.check_name
$$;
COMMENT ON FUNCTION tallybook.verify_v3(bigint, bigint) IS
'Every broken promise of the wallets of a range, first wallet and first transfer first; no row means the books tie.';
