"""The checkers themselves: each planted fault is found, by the source that can see it."""

import json
from pathlib import Path

import pytest
import stripe
from contract import node_types, samples
from contract.conforms import assert_conforms
from contract.node_types import CACHE, EXPORTER, TOOL, Json, TypesMissingError, load_schema, schema

from stripe_sandbox import spec
from stripe_sandbox.kinds import API_VERSION


@pytest.mark.parametrize(
    "value",
    [
        samples.price(),
        samples.price() | {"product": samples.product()},
        samples.product(),
        samples.page(samples.price(), samples.price()),
        samples.event("price.created", samples.price()),
        {"id": "prod_1", "object": "product", "deleted": True},
    ],
    ids=["object", "expanded object", "product", "list", "event", "deleted object"],
)
def test_what_stripe_publishes_conforms(value: Json) -> None:
    assert_conforms(value)


def found_by(value: Json) -> dict[str, list[str]]:
    """Return the deviations by source."""
    return {"python": spec.check(value), "typescript": node_types.deviations(value)}


def without(value: Json, name: str) -> Json:
    """Return a copy that lacks a field."""
    return {key: item for key, item in value.items() if key != name}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (samples.price() | {"colour": "red"}, "price.colour: unknown field"),
        (without(samples.price(), "active"), "price.active: missing"),
        (samples.price() | {"active": None}, "price.active: null is not allowed"),
        (samples.price() | {"currency": 5}, "price.currency: expected str"),
        (samples.price() | {"type": "weekly"}, "price.type: 'weekly' is not one of"),
        (samples.price() | {"recurring": {"x": 1}}, "price.recurring.x: unknown field"),
        (samples.price() | {"metadata": {"n": 1}}, "price.metadata.n: expected str"),
        (
            samples.price() | {"product": without(samples.product(), "images")},
            "price.product.images: missing",
        ),
        (samples.page(samples.price()) | {"count": 1}, "list.count: unknown field"),
        (
            samples.page(without(samples.price(), "currency")),
            "list.data[0]: price.currency: missing",
        ),
        ({"object": "loyalty_card"}, "loyalty_card: no such object"),
    ],
)
def test_a_fault_that_both_sources_know_is_found_by_both(value: Json, problem: str) -> None:
    found = found_by(value)

    assert any(line.startswith(problem) for line in map(plain, found["python"]))
    assert any(line.startswith(problem) for line in found["typescript"])


def plain(line: str) -> str:
    """Word a deviation of the Python source as the other source does."""
    return (
        line.replace(": expected bool, got null", ": null is not allowed")
        .replace("list.data[0].currency", "list.data[0]: price.currency")
        .replace("list.data[0]: price: price.", "list.data[0]: price.")
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (
            samples.price() | {"currency_options": None},
            "price.currency_options: null is not allowed",
        ),
        (without(samples.price(), "lookup_key"), "price.lookup_key: missing"),
        (
            samples.event("product.created", samples.price()),
            "event.data.object.object: 'price' is not one of",
        ),
    ],
    ids=["null where Stripe leaves out", "left out where Stripe sends null", "wrong class"],
)
def test_what_only_the_declarations_can_see_is_found_by_them(value: Json, problem: str) -> None:
    found = found_by(value)

    assert found["python"] == []
    assert any(line.startswith(problem) for line in found["typescript"])


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (samples.price() | {"created": 1.5}, "price.created: expected int, got 1.5"),
        (samples.price() | {"unit_amount": 9.5}, "price.unit_amount: expected int, got 9.5"),
    ],
)
def test_a_fraction_for_an_integer_is_found_by_the_python_types(value: Json, problem: str) -> None:
    found = found_by(value)

    assert found == {"python": [problem], "typescript": []}


def test_a_boolean_is_no_number() -> None:
    found = found_by(samples.price() | {"created": True})

    assert found["python"] == ["price.created: expected int, got True"]
    assert found["typescript"] == ["price.created: expected number, got True"]


def test_a_fault_inside_an_event_is_found_by_both() -> None:
    event = samples.event("price.updated", samples.price() | {"colour": "red"})
    event["data"]["previous_attributes"] = {"shade": "dark"}

    found = found_by(event)

    assert any("data.object: price.colour: unknown" in line for line in found["python"])
    assert any("previous_attributes.shade: unknown" in line for line in found["python"])
    assert "event.data.object.colour: unknown field" in found["typescript"]
    assert "event.data.previous_attributes.shade: unknown field" in found["typescript"]


def test_previous_attributes_may_hold_part_of_a_hash() -> None:
    event = samples.event("price.updated", samples.price())
    event["data"]["previous_attributes"] = {"metadata": {"pack": None}}

    assert_conforms(event)


def test_an_event_type_that_does_not_exist_is_found_by_both() -> None:
    found = found_by(samples.event("price.exploded", samples.price()))

    assert any("event.type: 'price.exploded' is not one of" in line for line in found["python"])
    assert found["typescript"] == ["event: no such object of type price.exploded in the stripe declarations"]


def test_a_deleted_object_keeps_only_its_identity() -> None:
    stub = {"object": "product", "deleted": True}

    found = found_by(stub)

    assert found["python"] == ["product.id: missing"]
    assert found["typescript"] == ["product.id: missing"]


@pytest.mark.parametrize(
    ("path", "body", "problems"),
    [
        ("/v1/prices/price_1", samples.price(), []),
        ("/v1/prices", samples.page(samples.price()), []),
        (
            "/v1/prices",
            samples.page(samples.product()),
            ["answer.data[0].object: 'product' is not one of 'price'"],
        ),
        ("/v1/prices", samples.price(), ["answer: expected a list, got object 'price'"]),
    ],
)
def test_an_answer_is_held_against_what_its_route_returns(path: str, body: Json, problems: list[str]) -> None:
    route = spec.match("GET", path)

    assert route is not None
    found = spec.check_answer(route, body)
    assert set(problems) <= set(found)
    assert bool(found) == bool(problems)


def test_every_route_but_the_download_says_what_it_returns() -> None:
    foreign = {"object": "loyalty_card"}

    silent = [route.template for route in spec.routes() if not spec.check_answer(route, foreign)]

    assert silent == ["/v1/quotes/{quote}/pdf"]


def test_assert_conforms_names_the_object_and_every_deviation() -> None:
    faulty = samples.price() | {"colour": "red", "currency_options": None}

    with pytest.raises(AssertionError) as caught:
        assert_conforms(faulty)

    assert "price price_1" in str(caught.value)
    assert "python types: price.colour: unknown field" in str(caught.value)
    assert "typescript types: price.currency_options: null" in str(caught.value)


def test_both_sources_describe_the_version_that_the_sandbox_speaks() -> None:
    assert {stripe.api_version, schema()["x-api-version"]} == {API_VERSION}


def test_every_event_type_is_bound_to_a_class() -> None:
    events = schema()["x-events"]

    bound = schema()["$defs"][events["charge.dispute.funds_withdrawn"] + ".Data"]

    assert len(events) > 250
    assert bound["properties"]["object"] == {"$ref": "#/$defs/Dispute"}


def test_missing_npm_packages_are_named_with_the_command_that_installs_them(
    tmp_path: Path,
) -> None:
    for name in ("package.json", *EXPORTER):
        (tmp_path / name).write_bytes((TOOL / name).read_bytes())

    with pytest.raises(TypesMissingError, match="npm ci --prefix tools/stripe_types"):
        load_schema(tmp_path, tmp_path / "types.json")


def test_an_outdated_schema_is_built_again_and_comes_out_the_same(tmp_path: Path) -> None:
    cached = tmp_path / "types.json"
    cached.write_text(json.dumps({"x-source": {"stripe": "1.0.0"}}))

    built = load_schema(TOOL, cached)

    assert built == schema()
    assert cached.read_bytes() == CACHE.read_bytes()
