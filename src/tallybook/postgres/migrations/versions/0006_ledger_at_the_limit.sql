-- What the second posting function needs: the front lot in the wallet's row, budgets, holds out of holds.

-- The front lot is the one that burns next. What is left of it stands in the wallet's row while it is the front, so that
-- a spend that fits into it writes no row of lots at all.
ALTER TABLE tallybook.wallets
ADD COLUMN front_lot_version bigint,
ADD COLUMN front_micro bigint NOT NULL DEFAULT 0 CHECK (front_micro >= 0),
ADD COLUMN next_due_at timestamptz,
ADD COLUMN has_caps boolean NOT NULL DEFAULT false,
ADD CHECK (front_lot_version IS NOT NULL OR front_micro = 0);
COMMENT ON COLUMN tallybook.wallets.front_lot_version IS 'The lot that burns next, if one was chosen; what its row says is left is out of date.';
COMMENT ON COLUMN tallybook.wallets.front_micro IS 'What is left of the front lot, in micro-credits.';
COMMENT ON COLUMN tallybook.wallets.next_due_at IS 'No hold and no lot of the wallet expires before; null when none does.';
COMMENT ON COLUMN tallybook.wallets.has_caps IS 'Whether its owner has set a cap for some app.';

UPDATE tallybook.wallets AS w SET next_due_at = due.at
FROM (
    SELECT x.wallet_id, min(x.expires_at) AS at
    FROM (
        SELECT h.wallet_id, h.expires_at FROM tallybook.holds AS h WHERE h.settled_at IS NULL
        UNION ALL
        SELECT l.wallet_id, l.expires_at FROM tallybook.lots AS l
        WHERE l.expires_at IS NOT NULL
    ) AS x GROUP BY x.wallet_id
) AS due WHERE due.wallet_id = w.wallet_id;

ALTER TABLE tallybook.transfers
ADD COLUMN on_lot_version bigint,
ADD COLUMN parent_version bigint,
ADD COLUMN undoes_version bigint,
ADD COLUMN budget_ids bigint[],
ADD COLUMN legs smallint,
ADD COLUMN form smallint NOT NULL DEFAULT 1 CHECK (form IN (1, 2)),
DROP CONSTRAINT transfers_check,
DROP CONSTRAINT transfers_check1,
ADD CHECK (debit <> credit OR kind IN ('delegate', 'return')),
ADD CHECK ((kind, debit, credit) IN (
    ('spend', 'available', 'usage'), ('hold', 'available', 'held'), ('capture', 'held', 'usage'),
    ('release', 'held', 'available'),
    ('grant', 'purchases', 'available'), ('grant', 'subscriptions', 'available'),
    ('grant', 'promotions', 'available'), ('grant', 'adjustments', 'available'),
    ('grant', 'usage', 'available'), ('grant', 'refunded', 'available'),
    ('grant', 'disputed', 'available'), ('spend', 'available', 'adjustments'),
    ('clawback', 'available', 'refunded'), ('clawback', 'available', 'disputed'),
    ('clawback', 'debt', 'refunded'), ('clawback', 'debt', 'disputed'),
    ('repay', 'available', 'debt'), ('expire', 'available', 'expired'),
    ('delegate', 'held', 'held'), ('return', 'held', 'held'), ('give_back', 'usage', 'available')
));
COMMENT ON COLUMN tallybook.transfers.on_lot_version IS
'The one lot that it fell on; when null, lot_moves says on which ones.';
COMMENT ON COLUMN tallybook.transfers.parent_version IS 'The hold that a sub-hold was taken out of, or went back to.';
COMMENT ON COLUMN tallybook.transfers.undoes_version IS 'The spend or capture whose credits it gives back.';
COMMENT ON COLUMN tallybook.transfers.budget_ids IS 'The budgets that it counts at, the named one first.';
COMMENT ON COLUMN tallybook.transfers.legs IS 'On the first transfer of a request: how many it made.';
COMMENT ON COLUMN tallybook.transfers.form IS 'How its digest was made; 1 until revision 0006.';
-- The planner is told that a wallet has many transfers. Counting few a wallet it might look a key up by the primary key's
-- first column alone, and read the whole history of a busy wallet for each spend.
ALTER TABLE tallybook.transfers ALTER COLUMN wallet_id SET (n_distinct = 100);
CREATE INDEX transfers_by_undone ON tallybook.transfers (wallet_id, undoes_version)
WHERE undoes_version IS NOT NULL;

-- Two fewer look-ups for each row; ledger verify finds an orphan.
ALTER TABLE tallybook.notes DROP CONSTRAINT notes_wallet_id_version_fkey;
ALTER TABLE tallybook.holds
DROP CONSTRAINT holds_wallet_id_version_fkey,
DROP CONSTRAINT holds_check,
DROP CONSTRAINT holds_check1,
DROP CONSTRAINT holds_check2,
DROP COLUMN remaining_micro,
ADD COLUMN delegated_micro bigint NOT NULL DEFAULT 0 CHECK (delegated_micro >= 0),
ADD COLUMN parent_version bigint,
ADD COLUMN budget_ids bigint[],
ADD COLUMN extended_to timestamptz,
ADD COLUMN settled_by text CHECK (settled_by IN ('capture', 'release', 'expiry'));
ALTER TABLE tallybook.holds
ADD COLUMN remaining_micro bigint
GENERATED ALWAYS AS (placed_micro - captured_micro - released_micro - delegated_micro) STORED,
ADD CHECK (estimate_micro BETWEEN 0 AND placed_micro),
ADD CHECK (captured_micro + released_micro + delegated_micro <= placed_micro),
ADD CHECK (CASE WHEN settled_at IS NULL
    THEN captured_micro + released_micro < placed_micro
    ELSE captured_micro + released_micro + delegated_micro = placed_micro END);
COMMENT ON COLUMN tallybook.holds.delegated_micro IS 'What sub-holds have taken out of it and not brought back.';
COMMENT ON COLUMN tallybook.holds.parent_version IS 'The hold that it was taken out of, if it is a sub-hold.';
COMMENT ON COLUMN tallybook.holds.budget_ids IS 'The budgets at which what is left of it is reserved, the named one first.';
COMMENT ON COLUMN tallybook.holds.extended_to IS 'The newest expiry, once it was extended; expires_at is the one it was placed with.';
COMMENT ON COLUMN tallybook.holds.settled_by IS 'What settled it; expiry means that it was left behind.';
DROP INDEX tallybook.holds_open_by_expiry;
CREATE INDEX holds_open_by_expiry ON tallybook.holds (coalesce(extended_to, expires_at)) WHERE settled_at IS NULL;
CREATE INDEX holds_left_behind ON tallybook.holds (wallet_id, version) WHERE settled_by = 'expiry';

ALTER TABLE tallybook.apps
DROP CONSTRAINT apps_permissions_check,
ADD CHECK (permissions <@ ARRAY[
    'read_user_info', 'read_credits', 'consume_credits', 'purchase_credits', 'grant_credits', 'exceed_holds'
]::text[]);

ALTER TABLE tallybook.lots DROP COLUMN held_micro;
ALTER TABLE tallybook.lots ADD CHECK (available_micro <= amount_micro);
CREATE INDEX lots_by_expiry ON tallybook.lots (expires_at) WHERE available_micro > 0 AND expires_at IS NOT NULL;

CREATE TABLE tallybook.budgets (
    wallet_id      bigint NOT NULL REFERENCES tallybook.wallets,
    budget_id      bigint GENERATED ALWAYS AS IDENTITY,
    parent_id      bigint,
    app_id         integer REFERENCES tallybook.apps,
    keeper_app_id  integer NOT NULL DEFAULT 0 REFERENCES tallybook.apps,
    name           text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    kind           text NOT NULL CHECK (length(kind) BETWEEN 1 AND 40),
    limit_micro    bigint CHECK (limit_micro >= 0),
    period         text NOT NULL DEFAULT 'none' CHECK (period IN ('none', 'day', 'week', 'month')),
    period_start   timestamptz NOT NULL,
    spent_micro    bigint NOT NULL DEFAULT 0 CHECK (spent_micro >= 0),
    reserved_micro bigint NOT NULL DEFAULT 0 CHECK (reserved_micro >= 0),
    depth          smallint NOT NULL CHECK (depth BETWEEN 1 AND 16),
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    PRIMARY KEY (wallet_id, budget_id),
    FOREIGN KEY (wallet_id, parent_id) REFERENCES tallybook.budgets
) WITH (fillfactor = 70);
COMMENT ON TABLE tallybook.budgets IS
'A tree of limits over one wallet. A node counts what is spent and reserved at itself and below; with an app it is a cap, applied unasked.';
COMMENT ON COLUMN tallybook.budgets.keeper_app_id IS
'The app that made it and may change it; 0 is the house, for the owner. No other app can name an app''s budget.';
COMMENT ON COLUMN tallybook.budgets.spent_micro IS 'Spent since period_start, in micro-credits; counts as zero once a new period has begun.';
COMMENT ON COLUMN tallybook.budgets.reserved_micro IS 'What open holds have left of it.';
CREATE UNIQUE INDEX budgets_cap_of_app ON tallybook.budgets (wallet_id, app_id) WHERE app_id IS NOT NULL;
CREATE INDEX budgets_by_parent ON tallybook.budgets (wallet_id, parent_id);

GRANT SELECT ON tallybook.budgets TO tallybook_runtime;
