"""Requests read by the Python types: what is understood, and what Stripe refuses and how."""

import subprocess
import sys
from typing import Any

import pytest

from stripe_sandbox import spec
from stripe_sandbox.spec.annotations import (
    ListOf,
    MapOf,
    Page,
    Record,
    Shape,
    fields_of,
    options_of,
)
from stripe_sandbox.spec.conformance import response_classes
from stripe_sandbox.spec.source import ClassRef

Form = dict[str, Any]


def read(method: str, path: str, form: Form) -> Form:
    """Coerce a form by the route of a path."""
    route = spec.match(method, path)
    assert route is not None
    return spec.coerce(route, form)


@pytest.mark.parametrize(
    ("method", "path", "template"),
    [
        ("GET", "/v1/products/search", "/v1/products/search"),
        ("GET", "/v1/products/prod_1", "/v1/products/{id}"),
        ("get", "/v1/prices", "/v1/prices"),
        ("POST", "/v1/checkout/sessions/cs_1/expire", "/v1/checkout/sessions/{session}/expire"),
        (
            "GET",
            "/v1/customers/cus_1/payment_methods/pm_1",
            "/v1/customers/{customer}/payment_methods/{payment_method}",
        ),
        ("GET", "/v1/account", "/v1/account"),
    ],
)
def test_a_path_is_matched_to_its_route(method: str, path: str, template: str) -> None:
    route = spec.match(method, path)

    assert route is not None
    assert route.template == template


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/loyalty_cards"), ("DELETE", "/v1/prices/price_1"), ("GET", "/v1//prices")],
)
def test_what_stripe_does_not_have_matches_nothing(method: str, path: str) -> None:
    assert spec.match(method, path) is None


def test_a_route_names_its_parameters_and_its_answer() -> None:
    route = spec.match("GET", "/v1/prices")

    assert route is not None
    assert route.params == ClassRef("stripe.params._price_list_params", "PriceListParams")
    assert route.returns == "ListObject[Price]"


def test_a_form_becomes_typed_values() -> None:
    form = {
        "mode": "payment",
        "line_items": {"1": {"price": "price_b"}, "0": {"price": "price_a", "quantity": "2"}},
        "allow_promotion_codes": "true",
        "metadata": {"wallet": "7", "gone": ""},
        "success_url": "http://127.0.0.1/done",
        "expand": ["line_items"],
    }

    typed = read("POST", "/v1/checkout/sessions", form)

    assert typed == form | {
        "line_items": [{"price": "price_a", "quantity": 2}, {"price": "price_b"}],
        "allow_promotion_codes": True,
    }


@pytest.mark.parametrize(
    ("path", "form", "typed"),
    [
        ("/v1/prices", {"created": {"gte": "5"}}, {"created": {"gte": 5}}),
        ("/v1/prices", {"created": "5", "active": "false"}, {"created": 5, "active": False}),
        ("/v1/prices", {"lookup_keys": {"0": "a"}}, {"lookup_keys": ["a"]}),
        ("/v1/prices", {"lookup_keys": {"": "a"}}, {"lookup_keys": ["a"]}),
        ("/v1/balance", {"expand": {"0": "pending"}}, {"expand": ["pending"]}),
    ],
)
def test_lists_are_filtered_by_typed_values(path: str, form: Form, typed: Form) -> None:
    assert read("GET", path, form) == typed


@pytest.mark.parametrize(
    ("form", "typed"),
    [
        ({"trial_end": "now"}, {"trial_end": "now"}),
        ({"trial_end": "1795232085"}, {"trial_end": 1795232085}),
        ({"cancel_at": ""}, {"cancel_at": ""}),
        ({"metadata": ""}, {"metadata": ""}),
        ({"description": ""}, {"description": ""}),
        ({"description": "Team plan"}, {"description": "Team plan"}),
        (
            {"items": {"0": {"id": "si_1", "deleted": "true"}}},
            {"items": [{"id": "si_1", "deleted": True}]},
        ),
        ({"application_fee_percent": "2.5"}, {"application_fee_percent": 2.5}),
    ],
)
def test_unions_take_the_option_that_fits(form: Form, typed: Form) -> None:
    assert read("POST", "/v1/subscriptions/sub_1", form) == typed


def test_a_decimal_amount_stays_text() -> None:
    form = {"currency": "usd", "product": "prod_1", "unit_amount_decimal": "0.5"}

    assert read("POST", "/v1/prices", form) == form


SESSION = "/v1/checkout/sessions"


@pytest.mark.parametrize(
    ("path", "form", "code", "param", "message"),
    [
        (
            SESSION,
            {"colour": "red"},
            "parameter_unknown",
            "colour",
            "Received unknown parameter: colour",
        ),
        (
            SESSION,
            {"a": "1", "b": "2"},
            "parameter_unknown",
            "a",
            "Received unknown parameters: a, b",
        ),
        (
            SESSION,
            {"line_items": {"0": {"sku": "1"}}},
            "parameter_unknown",
            "line_items[0][sku]",
            "Received unknown",
        ),
        (
            SESSION,
            {"payment_method_types": ["card"]},
            "parameter_unknown",
            "payment_method_types",
            "Received",
        ),
        (SESSION, {"api_key": "x"}, "parameter_unknown", "api_key", "Received unknown parameter"),
        ("/v1/prices", {}, "parameter_missing", "currency", "Missing required param: currency."),
        (
            SESSION,
            {"line_items": {"0": {"price_data": {"unit_amount": "1"}}}},
            "parameter_missing",
            "line_items[0][price_data][currency]",
            "Missing required param: line_items[0][price_data][currency].",
        ),
        (
            SESSION,
            {"line_items": [{"quantity": "two"}]},
            "parameter_invalid_integer",
            "line_items[0][quantity]",
            "Invalid integer: two",
        ),
        (
            SESSION,
            {"expires_at": "1.5"},
            "parameter_invalid_integer",
            "expires_at",
            "Invalid integer: 1.5",
        ),
        (
            SESSION,
            {"customer": ""},
            "parameter_invalid_empty",
            "customer",
            "You passed an empty string for 'customer'.",
        ),
        (
            SESSION,
            {"mode": "loan"},
            None,
            "mode",
            "Invalid mode: must be one of payment, setup, or subscription",
        ),
        (
            SESSION,
            {"allow_promotion_codes": "yes"},
            None,
            "allow_promotion_codes",
            "Invalid boolean: yes",
        ),
        (SESSION, {"line_items": "price_1"}, None, "line_items", "Invalid array"),
        (SESSION, {"line_items": {"first": {}}}, None, "line_items", "Invalid array"),
        (SESSION, {"metadata": ["a"]}, None, "metadata", "Invalid object"),
        (SESSION, {"success_url": {"a": "b"}}, None, "success_url", "Invalid string"),
        (
            "/v1/prices",
            {"currency": "usd", "unit_amount_decimal": "1e999x"},
            None,
            "unit_amount_decimal",
            "Invalid decimal: 1e999x",
        ),
        (
            "/v1/prices",
            {"currency": "usd", "unit_amount_decimal": "Infinity"},
            None,
            "unit_amount_decimal",
            "Invalid decimal: Infinity",
        ),
    ],
)
def test_what_stripe_refuses_is_refused_with_its_code(
    path: str, form: Form, code: str | None, param: str, message: str
) -> None:
    with pytest.raises(spec.ParamError) as caught:
        read("POST", path, form)

    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.message.startswith(message)


def test_every_parameter_and_response_class_of_the_package_can_be_read() -> None:
    waiting = [route.params for route in spec.routes() if route.params]
    waiting.extend(response_classes().values())
    seen: set[ClassRef] = set()

    while waiting:
        ref = waiting.pop()
        if ref not in seen:
            seen.add(ref)
            for field in fields_of(ref).values():
                waiting.extend(records_in(field.shape))

    assert len(spec.routes()) > 600
    assert len(seen) > 5000


def records_in(shape: Shape) -> list[ClassRef]:
    """Return the classes that a shape mentions."""
    found: list[ClassRef] = []
    for option in options_of(shape):
        if isinstance(option, Record):
            found.append(option.ref)
        elif isinstance(option, ListOf | Page):
            found.extend(records_in(option.item))
        elif isinstance(option, MapOf):
            found.extend(records_in(option.value))
    return found


def test_the_first_match_of_a_new_process_takes_less_than_three_seconds() -> None:
    program = "from stripe_sandbox import spec; print(spec.match('GET', '/v1/prices').returns)"

    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=3, check=True
    )

    assert run.stdout == "ListObject[Price]\n"
