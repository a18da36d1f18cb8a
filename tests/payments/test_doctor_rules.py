"""The rules of doctor, one by one; settings that cannot be read; and that every code is documented."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from running_service import environment
from tidy import checks, tree

from payments.desk import Till, default_catalog
from payments.test_doctor import codes
from tallybook.domain.diagnosis import stripe_setup
from tallybook.domain.diagnosis.findings import Verdict
from tallybook.domain.errors import SettingsError
from tallybook.domain.money import Money
from tallybook.domain.payments.endpoints import INTAKE_URLS, EndpointFault, judged, subscribed_types
from tallybook.domain.payments.reports import EndpointReport, PriceReport
from tallybook.settings import load
from tallybook.stripe.gateway import PINNED_API_VERSION

pytestmark = pytest.mark.timeout(120)
SECRET = "whsec_" + "of_the_tests"


@pytest.mark.parametrize(
    ("key", "livemode", "code"),
    [
        ("pk_" + "live_1", False, "keys_of_two_modes"),
        ("pk_" + "test_1", True, "keys_of_two_modes"),
        ("whatever", False, "publishable_key_malformed"),
        ("pk_" + "test_1", False, None),
        (None, True, None),
    ],
)
def test_a_publishable_key_of_the_other_mode(key: str | None, livemode: bool, code: str | None) -> None:
    found = list(
        stripe_setup.keys(
            configured=True, livemode=livemode, publishable_key=key, pages_url="https://pay.example"
        )
    )

    assert codes(found) == ({code} if code else set())
    assert key is None or key not in str(found)


def test_live_money_wants_https_and_a_key() -> None:
    found = stripe_setup.keys(
        configured=False, livemode=True, publishable_key=None, pages_url="http://pay.example"
    )

    assert codes(list(found)) == {"stripe_key_missing", "address_not_https"}


def test_an_endpoint_that_is_missing_is_wrong_in_live_mode_only() -> None:
    assert [one.verdict for one in stripe_setup.endpoints([], livemode=True)] == [Verdict.WRONG]
    assert [one.verdict for one in stripe_setup.endpoints([], livemode=False)] == [Verdict.NOTE]


@pytest.mark.parametrize(
    ("changes", "fault", "verdict"),
    [
        ({"url": "https://pay.example/webhook"}, EndpointFault.WRONG_PATH, Verdict.WRONG),
        ({"enabled": False}, EndpointFault.DISABLED, Verdict.WRONG),
        ({"api_version": "2023-10-16"}, EndpointFault.OTHER_VERSION, Verdict.NOTE),
        ({"event_types": frozenset({"invoice.paid"})}, EndpointFault.MISSES_EVENTS, Verdict.WRONG),
        ({"event_types": frozenset({"*"})}, EndpointFault.MORE_EVENTS, Verdict.NOTE),
    ],
)
def test_an_endpoint_with_something_wrong(changes: Any, fault: EndpointFault, verdict: Verdict) -> None:
    good = EndpointReport(
        id="we_1",
        url="https://pay.example" + INTAKE_URLS["v1"],
        enabled=True,
        api_version=PINNED_API_VERSION,
        event_types=subscribed_types(),
        deployment=None,
    )

    def judge(report: EndpointReport) -> Any:
        addresses = frozenset({"pay.example"})
        return judged(report, addresses=addresses, deployment=None, api_version=PINNED_API_VERSION)

    bad = judge(replace(good, **changes))
    alone = list(stripe_setup.endpoints([bad], livemode=True))
    beside_a_good_one = list(stripe_setup.endpoints([judge(good), bad], livemode=True))

    assert [(one.code, one.verdict) for one in alone if one.code] == [(str(fault), verdict)]
    assert [(one.code, one.verdict) for one in beside_a_good_one if one.code] == [(str(fault), Verdict.NOTE)]


@pytest.mark.parametrize(
    ("setting", "value", "code"),
    [
        ("STRIPE_SECRET_KEY", "pk_" + "test_1", "publishable_key_as_secret"),
        ("STRIPE_SECRET_KEY", "whsec_" + "1", "stripe_key_malformed"),
        ("STRIPE_SECRET_KEY", '"sk_' + 'test_1"', "secret_has_quotes"),
        ("STRIPE_SECRET_KEY", "sk_" + "test_1\n", "secret_has_white_space"),
        ("STRIPE_SECRET_KEY", "sk_" + "test_1 2", "secret_has_white_space"),
        ("STRIPE_PUBLISHABLE_KEY", "sk_" + "test_1", "secret_key_as_publishable"),
        ("NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY", "rk_" + "test_1", "secret_key_as_publishable"),
        ("STRIPE_WEBHOOK_SECRET", " whsec_" + "1", "secret_has_white_space"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_" + "1,'whsec_" + "2'", "secret_has_quotes"),
        ("STRIPE_WEBHOOK_SECRET_V1", "whsec_" + "1 2", "secret_has_white_space"),
        ("STRIPE_PRICE_PACK_100", "'price_1'", "secret_has_quotes"),
        ("STRIPE_PRICE_PACK_100", "price_1 ", "secret_has_white_space"),
        ("STRIPE_API_VERSION", "2019-02-19", "settings_invalid"),
    ],
)
def test_settings_that_cannot_be_read_are_findings_too(
    bare_till: Till, setting: str, value: str, code: str
) -> None:
    env = environment(bare_till.database, bare_till.sandbox.base_url, 8000, SECRET) | {setting: value}

    done = subprocess.run(
        [sys.executable, "-m", "tallybook", "doctor", "--json"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert [(one["check"], one["code"], one["verdict"]) for one in found] == [(setting, code, "wrong")]
    assert value.strip() not in done.stdout + done.stderr


def test_several_secrets_with_spaces_after_the_commas_are_fine() -> None:
    found = load(_env_file=None, stripe_webhook_secret="whsec_" + "1, whsec_" + "2")

    assert found.webhook_secrets("v1") == ("whsec_" + "1", "whsec_" + "2")


def test_a_price_in_tiers_sells_nothing() -> None:
    product = next(one for one in default_catalog().products if one.lookup_key == "pack_100")
    report = PriceReport(
        id="price_1",
        product_id="prod_1",
        product_name="",
        product_description=None,
        price=None,
        interval=None,
        lookup_key=None,
        active=True,
    )

    tiers = stripe_setup.price(product, "price_1", report)
    good = stripe_setup.price(product, "price_1", replace(report, price=Money(product.price.minor, "usd")))

    assert tiers is not None
    assert tiers.code == "price_other_interval"
    assert good is None


def _said() -> set[str]:
    """Every code that the source can say."""
    found = {SettingsError.code, *(str(fault) for fault in EndpointFault)}
    for path in (
        "src/tallybook/usecases/doctor.py",
        "src/tallybook/domain/diagnosis/stripe_setup.py",
        "src/tallybook/domain/diagnosis/pasted.py",
        "src/tallybook/settings.py",
    ):
        for node in ast.walk(tree.parsed(path)):
            match node:
                case ast.Call(func=ast.Name(id="wrong" | "note" | "PastedWrongError"), args=[first, *_]):
                    found |= set(re.findall(r"'([a-z_]+)'", ast.unparse(first)))
                case ast.Assign(
                    targets=[ast.Name(id="said")], value=ast.Tuple(elts=[ast.Constant(value=str(code)), *_])
                ):
                    found.add(code)
    return found


def test_every_code_is_documented_and_every_documented_one_is_said() -> None:
    documented = {row[0] for row in checks.table_rows(tree.text("docs/operations/doctor.md"))} - {"code"}

    assert documented == _said()
