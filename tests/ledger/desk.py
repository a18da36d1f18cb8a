"""A synchronous desk at a test's ledger: it posts, and reads back everything that the model says too."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from ledger.model import Model
from ledger.model_parts import Outcome
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tallybook.domain.ledger.requests import Posting
from tallybook.postgres.ledger import _rest

POST = """
SELECT * FROM tallybook.post_v2(
    %(now)s, true, %(ops)s::text[], %(wallets)s::bigint[], %(apps)s::integer[], %(amounts)s::bigint[],
    %(keys)s::text[], %(holds)s::bigint[], %(rests)s::jsonb[]
) ORDER BY ord
"""
POST_ALL = """
SELECT * FROM tallybook.post_all_v2(
    %(now)s, %(ops)s::text[], %(wallets)s::bigint[], %(apps)s::integer[], %(amounts)s::bigint[],
    %(keys)s::text[], %(holds)s::bigint[], %(rests)s::jsonb[]
) ORDER BY ord
"""
STATE = """
SELECT
    (SELECT jsonb_build_array(w.available_micro, w.held_micro, w.debt_micro, w.version,
            extract(epoch FROM w.updated_at))
        FROM tallybook.wallets AS w WHERE w.wallet_id = %(wallet)s) AS wallet,
    (SELECT jsonb_agg(jsonb_build_array(
            l.version, l.source, l.amount_micro, l.available_micro, l.held_micro, l.priority,
            extract(epoch FROM l.expires_at), l.reference
        ) ORDER BY l.version) FROM tallybook.lots_now AS l WHERE l.wallet_id = %(wallet)s) AS lots,
    (SELECT jsonb_agg(jsonb_build_array(
            h.version, h.app_id, h.placed_micro, h.captured_micro, h.released_micro, h.delegated_micro,
            (SELECT jsonb_object_agg(p.lot, p.micro) FROM unnest(h.lot_versions, h.lot_micros) AS p (lot, micro)
                WHERE p.micro > 0),
            extract(epoch FROM coalesce(h.extended_to, h.expires_at)), h.parent_version, h.budget_ids, h.settled_by
        ) ORDER BY h.version) FROM tallybook.holds AS h WHERE h.wallet_id = %(wallet)s) AS holds,
    (SELECT jsonb_agg(jsonb_build_array(b.budget_id, b.spent_micro, b.reserved_micro,
            extract(epoch FROM b.period_start))
        ORDER BY b.budget_id) FROM tallybook.budgets AS b WHERE b.wallet_id = %(wallet)s) AS budgets,
    (SELECT jsonb_agg(jsonb_build_array(
            t.kind, t.amount_micro, t.available_after, t.held_after, t.debt_after, t.app_id, t.hold_version,
            t.undoes_version, t.budget_ids, extract(epoch FROM t.created_at), (
                SELECT jsonb_object_agg(m.lot, m.micro) FROM (
                    SELECT x.lot_version AS lot, x.amount_micro AS micro FROM tallybook.lot_moves AS x
                    WHERE x.wallet_id = t.wallet_id AND x.version = t.version
                    UNION ALL SELECT t.on_lot_version, t.amount_micro WHERE t.on_lot_version IS NOT NULL
                ) AS m)
        ) ORDER BY t.version) FROM tallybook.transfers AS t
        WHERE t.wallet_id = %(wallet)s AND t.version > %(since)s) AS transfers
"""
APPS = """
INSERT INTO tallybook.apps (app_id, public_id, name, created_at, updated_at)
OVERRIDING SYSTEM VALUE SELECT n, 'app_model' || n, 'An app', now(), now() FROM generate_series(1, 2) AS n
"""
_numbers = itertools.count(1)
Row = dict[str, Any]


def moment(at: int) -> datetime:
    """A whole second as the ledger writes it down."""
    return datetime.fromtimestamp(at, UTC)


class Desk:
    """A connection of the superuser; nothing is committed unless a test does."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, row_factory=dict_row)
        self.one("SET TIME ZONE 'UTC'")

    def one(self, query: str, values: Mapping[str, Any] | None = None) -> Row:
        cursor = self.connection.execute(query, values)
        return (cursor.fetchone() or {}) if cursor.description else {}

    def a_wallet(self, at: int) -> int:
        """The wallet of a new user."""
        email = f"model{next(_numbers)}@example.com"
        user = self.one(
            "INSERT INTO tallybook.users (email, email_key, password_hash, sessions_valid_from, created_at, updated_at)"
            " VALUES (%(email)s, %(email)s, 'none', now(), now(), now()) RETURNING user_id",
            {"email": email},
        )["user_id"]
        row = self.one(
            "SELECT tallybook.open_wallet_v1(%(now)s, %(user)s, NULL) AS wallet",
            {"now": moment(at), "user": user},
        )
        return int(row["wallet"])

    def a_budget(
        self,
        wallet: int,
        at: int,
        *,
        parent: int | None,
        app: int | None,
        limit: int | None,
        period: str,
        keeper: int = 0,
    ) -> int:
        """A new budget; or for an app that is capped already, its cap with this limit."""
        row = self.one(
            "SELECT tallybook.open_budget_v1(%(at)s, %(wallet)s, %(parent)s, %(app)s, 'a budget', 'team', %(limit)s,"
            " %(period)s, %(keeper)s) AS budget",
            {
                "at": moment(at),
                "wallet": wallet,
                "parent": parent,
                "app": app,
                "limit": limit,
                "period": period,
                "keeper": keeper,
            },
        )
        return int(row["budget"])

    def post(self, at: int, requests: Sequence[Posting], *, whole: bool = False) -> list[Row]:
        """One call of the ledger's function; ``whole`` posts all of them or none."""
        values = {
            "now": moment(at),
            "ops": [r.op for r in requests],
            "wallets": [r.wallet_id for r in requests],
            "apps": [r.app_id for r in requests],
            "amounts": [r.amount_micro for r in requests],
            "keys": [r.key for r in requests],
            "holds": [r.hold_version for r in requests],
            "rests": [None if (rest := _rest(r)) is None else Jsonb(rest) for r in requests],
        }
        return list(self.connection.execute(POST_ALL if whole else POST, values))

    def state(self, wallet: int, since: int = 0) -> Row:
        """All that the ledger says of a wallet, and its transfers after one."""
        found = self.one(STATE, {"wallet": wallet, "since": since})
        return {name: value or [] for name, value in found.items()}

    def faults(self) -> list[Row]:
        self.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        return list(self.connection.execute("SELECT * FROM tallybook.verify_v3()"))


def outcome(row: Row) -> Outcome:
    """A row of the ledger's answers, as the model says it."""
    if row["code"] != "ok":
        return Outcome(row["code"])
    return Outcome(
        code="ok",
        version=row["version"],
        kind=row["kind"],
        amount=row["amount_micro"],
        released=row["released_micro"],
        repaid=row["repaid_micro"],
        owed=row["owed_micro"],
        balances=(row["available_micro"], row["held_micro"], row["debt_micro"]),
        last_version=row["wallet_version"],
        hold=row["hold_version"],
    )


def said(model: Model, since: int = 0) -> Row:
    """The model's state, as the desk reads the ledger's."""
    held: dict[int, int] = {}
    for hold in model.holds.values():
        for lot, part in hold.pins.items():
            held[lot] = held.get(lot, 0) + part

    def parts(of: Mapping[int, int]) -> dict[str, int] | None:
        return {str(lot): part for lot, part in of.items() if part} or None

    return {
        "wallet": [model.available, model.held, model.debt, len(model.transfers), model.at],
        "lots": [
            [
                x.version,
                x.source,
                x.amount,
                x.available,
                held.get(x.version, 0),
                x.priority,
                x.expires_at,
                x.reference,
            ]
            for x in model.lots.values()
        ],
        "holds": [
            [
                h.version,
                h.app,
                h.placed,
                h.captured,
                h.released,
                h.delegated,
                parts(h.pins),
                h.expires_at,
                h.parent,
                list(h.budgets) or None,
                h.settled_by,
            ]
            for h in model.holds.values()
        ],
        "budgets": [[b.budget_id, b.spent, b.reserved, b.start] for b in model.budgets.values()],
        "transfers": [
            [
                "clawback" if t.kind == "owe" else t.kind,
                t.amount,
                t.available,
                t.held,
                t.debt,
                t.app,
                t.hold,
                t.undoes,
                list(t.budgets) or None,
                t.at,
                parts(t.parts),
            ]
            for t in model.transfers[since:]
        ],
    }
