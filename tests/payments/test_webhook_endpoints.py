"""Our endpoint at Stripe: registered once with the pinned version and our types, and judged by what is wrong."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from running_service import environment, run_cli

from payments.desk import OPERATOR, Till
from tallybook.domain.errors import AdminRequiredError, InvalidRequestError
from tallybook.domain.payments.endpoints import (
    INTAKE_URLS,
    EndpointFault,
    Step,
    judged,
    plan,
    registrable,
    subscribed_types,
)
from tallybook.domain.payments.handled import HANDLED_TYPES, left_alone_as
from tallybook.domain.payments.reports import EndpointReport
from tallybook.stripe.gateway import PINNED_API_VERSION
from tallybook.usecases import webhooks

pytestmark = pytest.mark.timeout(120)
URL = "https://pay.example" + INTAKE_URLS["v1"]
GOOD = EndpointReport(
    id="we_1",
    url=URL,
    enabled=True,
    api_version=PINNED_API_VERSION,
    event_types=subscribed_types(),
    deployment="d1",
)


def registered(till: Till) -> list[dict[str, Any]]:
    """The endpoints at Stripe, oldest first."""
    found = till.stripe_get("/v1/webhook_endpoints", limit=100)["data"]
    assert isinstance(found, list)
    return list(reversed(found))


async def test_a_dry_run_says_what_would_be_made_and_makes_nothing(bare_till: Till) -> None:
    done = await webhooks.register(bare_till.ctx, OPERATOR, url=URL, dry_run=True)

    assert (done.plan.step, done.endpoint_id, done.secret) == (Step.CREATE, None, None)
    assert registered(bare_till) == []
    assert bare_till.ask("SELECT count(*) FROM tallybook.audit_log") == [(0,)]


async def test_an_endpoint_is_made_once_with_our_version_and_exactly_our_types(bare_till: Till) -> None:
    first, *again = [
        await webhooks.register(bare_till.ctx, OPERATOR, url=URL, dry_run=False) for _ in range(3)
    ]

    [endpoint] = registered(bare_till)
    [[deployment]] = bare_till.ask("SELECT deployment_id::text FROM tallybook.stripe_account")
    assert (first.plan.step, first.endpoint_id) == (Step.CREATE, endpoint["id"])
    assert first.secret is not None
    assert first.secret.startswith("whsec_")
    assert endpoint["api_version"] == PINNED_API_VERSION
    assert set(endpoint["enabled_events"]) == subscribed_types()
    assert endpoint["metadata"] == {"tallybook_deployment": deployment}
    assert [(one.plan.step, one.secret) for one in again] == [(Step.KEEP, None)] * 2
    assert bare_till.ask("SELECT action, subject_id, after->>'endpoint' FROM tallybook.audit_log") == [
        ("webhook_endpoint.registered", URL, endpoint["id"])
    ]
    assert first.secret not in str(bare_till.ask("SELECT a FROM tallybook.audit_log AS a"))


async def test_two_who_register_at_once_make_one(bare_till: Till) -> None:
    done = await asyncio.gather(
        *(webhooks.register(bare_till.ctx, OPERATOR, url=URL, dry_run=False) for _ in range(4))
    )

    assert len(registered(bare_till)) == 1
    assert sorted(str(one.plan.step) for one in done) == ["create", "keep", "keep", "keep"]


async def test_an_endpoint_that_was_deleted_is_made_anew(bare_till: Till) -> None:
    first = await webhooks.register(bare_till.ctx, OPERATOR, url=URL, dry_run=False)
    bare_till.sandbox.http().delete(f"/v1/webhook_endpoints/{first.endpoint_id}")

    second = await webhooks.register(bare_till.ctx, OPERATOR, url=URL, dry_run=False)

    assert second.plan.step is Step.CREATE
    assert [endpoint["id"] for endpoint in registered(bare_till)] == [second.endpoint_id]
    assert second.secret != first.secret


async def test_an_endpoint_that_is_disabled_or_sends_other_types_is_mended(bare_till: Till) -> None:
    made = await webhooks.register(bare_till.ctx, OPERATOR, url=URL, dry_run=False)
    bare_till.stripe_post(f"/v1/webhook_endpoints/{made.endpoint_id}", disabled="true")
    tried = await webhooks.register(bare_till.ctx, OPERATOR, url=URL, dry_run=True)
    bare_till.stripe_post(f"/v1/webhook_endpoints/{made.endpoint_id}", **{"enabled_events[]": "invoice.paid"})

    mended = await webhooks.register(bare_till.ctx, OPERATOR, url=URL, dry_run=False)

    [endpoint] = registered(bare_till)
    assert (tried.plan.step, tried.plan.why) == (Step.UPDATE, ("it is disabled",))
    assert (mended.plan.step, mended.endpoint_id, mended.secret) == (Step.UPDATE, made.endpoint_id, None)
    assert mended.plan.why == ("it is disabled", "it sends other types of events")
    assert endpoint["status"] == "enabled"
    assert set(endpoint["enabled_events"]) == subscribed_types()


async def test_one_of_another_version_gets_a_sister_and_is_named_as_left_over(bare_till: Till) -> None:
    # Made by hand, as in the dashboard: it sends the account's version.
    old = bare_till.stripe_post("/v1/webhook_endpoints", url=URL, **{"enabled_events[]": "*"})

    done = await webhooks.register(bare_till.ctx, OPERATOR, url=URL, dry_run=False)
    found = {one.report.id: one for one in await webhooks.endpoints(bare_till.ctx, OPERATOR)}

    assert (done.plan.step, done.plan.leftovers) == (Step.CREATE, (old["id"],))
    assert found[str(done.endpoint_id)].faults == ()
    assert found[old["id"]].faults == (EndpointFault.OTHER_VERSION, EndpointFault.MORE_EVENTS)


async def test_only_admins_register_and_look(bare_till: Till) -> None:
    for asking in (
        webhooks.register(bare_till.ctx, bare_till.caller, url=URL, dry_run=True),
        webhooks.endpoints(bare_till.ctx, bare_till.caller),
        webhooks.secrets(bare_till.ctx, bare_till.caller),
    ):
        with pytest.raises(AdminRequiredError):
            await asking


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://pay.example/stripe/webhook", "path"),
        ("https://pay.example" + INTAKE_URLS["v1"] + "/", "path"),
        ("https://pay.example" + INTAKE_URLS["v1"] + "?a=1", "path"),
        ("http://pay.example" + INTAKE_URLS["v1"], "https"),
        ("pay.example" + INTAKE_URLS["v1"], "whole URL"),
        ("https://a:b@pay.example" + INTAKE_URLS["v1"], "whole URL"),
        ("https://[pay" + INTAKE_URLS["v1"], "not a URL"),
    ],
)
def test_pitfall_24_a_url_that_takes_no_events_is_refused(url: str, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=said):
        registrable(url, livemode=False)


def test_a_loopback_address_is_for_test_mode() -> None:
    url = "http://127.0.0.1:8000" + INTAKE_URLS["stripe"]

    assert registrable(url, livemode=False) == url
    with pytest.raises(InvalidRequestError, match="https"):
        registrable(url, livemode=True)


def test_of_several_that_fit_the_best_is_kept_and_the_rest_named() -> None:
    disabled = replace(GOOD, id="we_2", enabled=False)
    done = plan(
        URL, [disabled, GOOD, replace(GOOD, id="we_3", url=URL + "2")], api_version=PINNED_API_VERSION
    )

    assert (done.step, done.endpoint_id, done.leftovers) == (Step.KEEP, "we_1", ("we_2",))


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({}, ()),
        ({"url": "https://pay.example/webhook"}, (EndpointFault.WRONG_PATH,)),
        ({"enabled": False}, (EndpointFault.DISABLED,)),
        ({"api_version": "2023-10-16"}, (EndpointFault.OTHER_VERSION,)),
        ({"api_version": None}, (EndpointFault.OTHER_VERSION,)),
        ({"event_types": frozenset({"invoice.paid"})}, (EndpointFault.MISSES_EVENTS,)),
        ({"event_types": frozenset({"*"})}, (EndpointFault.MORE_EVENTS,)),
        ({"event_types": subscribed_types() | {"invoice.upcoming"}}, (EndpointFault.MORE_EVENTS,)),
    ],
)
def test_what_is_wrong_with_an_endpoint(changes: dict[str, Any], faults: tuple[EndpointFault, ...]) -> None:
    report = replace(GOOD, **changes)

    found = judged(
        report, addresses=frozenset({"pay.example"}), deployment="d1", api_version=PINNED_API_VERSION
    )

    assert found.ours
    assert found.faults == faults


@pytest.mark.parametrize(
    ("changes", "addresses", "ours"),
    [
        ({"deployment": "d1", "url": "https://elsewhere.example/x"}, {"pay.example"}, True),
        ({"deployment": "d2"}, {"pay.example"}, False),
        ({"deployment": None}, {"pay.example"}, True),
        ({"deployment": None, "url": "https://shop.example/hook"}, {"pay.example"}, False),
        # Whoever does not say where it is reached goes by the path.
        ({"deployment": None}, set(), True),
        ({"deployment": None, "url": "https://shop.example/hook"}, set(), False),
    ],
)
def test_whose_an_endpoint_is(changes: dict[str, Any], addresses: set[str], ours: bool) -> None:
    report = replace(GOOD, enabled=False, **changes)

    found = judged(report, addresses=frozenset(addresses), deployment="d1", api_version=PINNED_API_VERSION)

    assert (found.ours, bool(found.faults)) == (ours, ours)


def test_we_subscribe_to_what_we_work_on_and_to_nothing_that_never_matters() -> None:
    assert subscribed_types() >= HANDLED_TYPES
    assert {left_alone_as(kind) for kind in subscribed_types()} <= {None, "not_yet_handled"}


async def test_the_command_line_registers_lists_and_shows_secrets(bare_till: Till) -> None:
    env = environment(bare_till.database, bare_till.sandbox.base_url, 8000, "whsec_" + "of_the_tests")
    url = "http://127.0.0.1:8000" + INTAKE_URLS["stripe"]

    tried = await asyncio.to_thread(run_cli, env, "webhooks", "register", "--url", url, "--dry-run", "--json")
    made = await asyncio.to_thread(run_cli, env, "webhooks", "register", "--url", url, "--json")
    listed = await asyncio.to_thread(run_cli, env, "webhooks", "list", "--json")
    seen = await asyncio.to_thread(run_cli, env, "webhooks", "secrets", "--json")
    named = await asyncio.to_thread(
        run_cli, env, "webhooks", "fingerprint", "--secret", "whsec_" + "of_the_tests", "--json"
    )

    assert (tried["step"], tried["dry_run"], tried["secret"]) == ("create", True, None)
    assert (made["step"], made["secret"][:6]) == ("create", "whsec_")
    assert [(one["endpoint"], one["faults"]) for one in listed] == [(made["endpoint"], [])]
    assert [(one["path"], one["state"]) for one in seen] == [
        ("stripe", "not_seen"),
        ("credits", "not_seen"),
        ("v1", "not_seen"),
    ]
    assert {one["fingerprint"] for one in seen} == {named["fingerprint"]}
