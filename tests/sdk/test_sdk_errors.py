"""The SDK's exceptions and the service's codes."""

from __future__ import annotations

import pickle

import pytest

from credit_sdk import errors, requests
from credit_sdk.errors import BY_CODE, OWN_CODES, CreditError, refusal
from tallybook.domain.errors import all_codes


def test_every_code_of_the_service_has_its_own_class_and_none_is_left_over() -> None:
    assert set(BY_CODE) - OWN_CODES == set(all_codes())


def test_every_class_is_exported_by_its_name() -> None:
    assert {kind.__name__ for kind in BY_CODE.values()} <= set(errors.__all__)


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_a_code_becomes_its_class(code: str) -> None:
    found = refusal(code, status=402, facts={"shortfall_micro": 1})

    assert type(found) is BY_CODE[code]
    assert (found.code, found.status, found.facts) == (code, 402, {"shortfall_micro": 1})
    assert found.message


def test_an_unknown_code_is_a_plain_credit_error_with_that_code() -> None:
    found = refusal("from_the_future", "Later.", status=418)

    assert type(found) is CreditError
    assert (found.code, found.status, str(found)) == ("from_the_future", 418, "Later. [from_the_future]")


def test_an_error_survives_the_way_from_a_worker_process() -> None:
    error = refusal("insufficient_credits", "Short.", status=402, facts={"shortfall_micro": 7})
    error.idempotency_key = "job-1"

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - its own bytes

    assert type(copy) is type(error)
    assert (copy.message, copy.status, copy.facts, copy.idempotency_key) == (
        "Short.",
        402,
        {"shortfall_micro": 7},
        "job-1",
    )


def test_a_refusal_for_want_of_credits_says_what_would_help() -> None:
    offer = {"lookup_key": "pack_100", "quantity": 1}
    facts = {
        "shortfall_micro": 1,
        "offers": [offer],
        "pay_url": "http://x/pay/tbp_1",
        "resume_token": "tbj_1",
    }

    helped = errors.refusal("insufficient_credits", facts=facts)
    bare = errors.refusal("insufficient_credits", facts={"shortfall_micro": 1})

    assert isinstance(helped, errors.InsufficientCreditsError)
    assert isinstance(bare, errors.InsufficientCreditsError)
    assert (helped.offers, helped.pay_url, helped.resume_token) == ([offer], "http://x/pay/tbp_1", "tbj_1")
    assert (bare.offers, bare.pay_url, bare.resume_token) == ([], None, None)


def test_a_resumed_spend_is_not_taken_from_a_lease_which_would_settle_under_the_refused_key() -> None:
    assert requests.spend(1, 5).coverable
    assert not requests.spend(1, 5, idempotency_key="job", resume="tbj_1").coverable
