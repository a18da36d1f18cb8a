"""The SDK against the service: a reconciliation is asked for and awaited, its findings are read and acknowledged."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from running_service import Running
from sdk.scripted_service import Step, scripted

from credit_sdk import AsyncClient, Client
from credit_sdk.answers_of_reconciliations import Reconciliation
from credit_sdk.errors import AdminRequiredError, CreditError

PATIENCE_SECONDS = 60.0


def a_finding(running: Running) -> str:
    """A payment that Stripe knows nothing of, as a reconciliation of long ago found it."""
    with psycopg.connect(running.database.superuser_url, autocommit=True) as connection:
        row = connection.execute(
            "WITH run AS (INSERT INTO tallybook.reconciliations (status, applies, asked_by, requested_at)"
            " VALUES ('done', false, 'operator command line', now()) RETURNING reconciliation_id)"
            " INSERT INTO tallybook.reconciliation_findings (code, kind, object_id, severity, expected, found,"
            " first_seen_at, last_seen_at, last_run)"
            " SELECT 'granted_not_paid', 'checkout_session', 'cs_nobodys', 'difference', 'not paid', 'paid',"
            " now(), now(), reconciliation_id FROM run RETURNING finding_id"
        ).fetchone()
    assert row is not None
    return f"fnd_{row[0]}"


def test_a_reconciliation_is_asked_for_awaited_and_listed(running: Running) -> None:
    until = datetime.now(UTC) - timedelta(hours=1)
    with Client(running.base_url, session_token=running.admin_token()) as admin:
        asked = admin.reconciliations.ask(since=until - timedelta(days=1), until=until)
        looked = asked
        deadline = time.monotonic() + PATIENCE_SECONDS
        while looked.status != "done":
            assert time.monotonic() < deadline, looked
            time.sleep(0.1)
            looked = admin.reconciliations.get(asked.id)
        page = admin.reconciliations.list(limit=1)
        with pytest.raises(CreditError) as unknown:
            admin.reconciliations.get("rec_999")

    assert (asked.apply, asked.until, looked.differences, looked.error) == (False, until, 0, None)
    assert looked.finished_at is not None
    assert page.data == (looked,)
    assert unknown.value.code == "not_found"


def test_a_finding_is_read_and_acknowledged(running: Running) -> None:
    finding = a_finding(running)
    with (
        Client(running.base_url, session_token=running.admin_token()) as admin,
        Client(running.base_url, api_key=running.api_key) as app,
    ):
        [found] = admin.reconciliations.findings(severity="difference", code="granted_not_paid").data
        settled = admin.reconciliations.acknowledge(finding, "a gift")
        with pytest.raises(CreditError) as unknown:
            admin.reconciliations.acknowledge("fnd_999", "a gift")
        [kept] = admin.reconciliations.findings(status="acknowledged").data
        assert admin.reconciliations.findings().data == ()
        for call in (app.reconciliations.ask, app.reconciliations.list, app.reconciliations.findings):
            with pytest.raises(AdminRequiredError):
                call()

    assert (found.id, found.object, found.status, found.repair) == (finding, "cs_nobodys", "open", None)
    assert (settled.status, settled.reason) == ("acknowledged", "a gift")
    assert unknown.value.code == "not_found"
    assert kept == settled


async def test_the_awaited_client_asks_for_reconciliations_too(running: Running) -> None:
    token = await asyncio.to_thread(running.admin_token)
    async with AsyncClient(running.base_url, session_token=token) as admin:
        asked = await admin.reconciliations.ask(apply=True)
        page = await admin.reconciliations.list()

    assert isinstance(asked, Reconciliation)
    assert asked.apply
    assert [one.id for one in page.data] == [asked.id]


def test_a_reconciliation_that_may_have_been_asked_for_is_not_asked_for_again() -> None:
    failed = Step(status=503, body={"code": "database_unavailable", "detail": "Away."})

    with (
        scripted(failed) as service,
        Client(service.base_url) as client,
        pytest.raises(CreditError) as refused,
    ):
        client.reconciliations.ask()

    assert refused.value.may_have_acted
    assert not refused.value.retryable
    assert [(got.method, got.path, got.body) for got in service.received] == [
        ("POST", "/v1/reconciliations", {})
    ]
