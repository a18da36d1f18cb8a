"""The fault desk: deliveries twice, late, mixed up or never; API requests that fail; all off at first."""

import json
import os
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
import stripe

from sandbox.process import KEY, Running, start
from sandbox.receiver import Receiver

FAST = ("--retry-first", "0.05", "--retry-longest", "0.1")
CUSTOMERS = 40
pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def one() -> Iterator[Running]:
    """A sandbox for these tests only."""
    sandbox = start(options=FAST)
    yield sandbox
    sandbox.stop()


@pytest.fixture
def own(one: Running) -> Iterator[Running]:
    """The sandbox as it is at first: no faults, no endpoints, no customers."""
    yield one
    one.control("faults/reset")
    http = one.http()
    for kind in ("webhook_endpoints", "customers"):
        for found in http.get(f"/v1/{kind}", params={"limit": "100"}).json()["data"]:
            http.delete(f"/v1/{kind}/{found['id']}")


def listening(own: Running, receiver: Receiver) -> str:
    """Register the receiver."""
    made = own.control("webhook_endpoints", url=receiver.url, secret="whsec_" + "of_faults")
    return str(made["id"])


def customers(own: Running, count: int = CUSTOMERS) -> list[str]:
    """Make customers; gives back their ids in order."""
    http = own.http()
    return [http.post("/v1/customers", data={"name": f"Ada {n}"}).json()["id"] for n in range(count)]


def arrived(receiver: Receiver) -> list[str]:
    """The customers that deliveries told of, in the order in which they came."""
    return [json.loads(request.body)["data"]["object"]["id"] for request in receiver.requests]


def finished(own: Running) -> Counter[str]:
    """How many deliveries ended how."""
    [endpoint] = own.http().get("/v1/webhook_endpoints").json()["data"]
    rows = own.http().get("/_sandbox/deliveries", params={"endpoint": endpoint["id"]}).json()["data"]
    return Counter(row["status"] for row in rows)


def desk(own: Running) -> dict[str, object]:
    """All faults as the desk lists them."""
    listed = own.http().get("/_sandbox/faults").json()
    assert isinstance(listed, dict)
    return listed


def test_all_is_off_at_first_and_after_a_reset(own: Running, receiver: Receiver) -> None:
    listening(own, receiver)
    first = desk(own)

    own.control("faults/deliveries", drop=1, duplicate=1, delay_ms=60_000, seed=7)
    own.control("faults/api", kind="server_error", times=5)
    set_up = desk(own)
    own.control("faults/reset")
    made = customers(own, 5)
    receiver.wait(5)

    assert first["api"] == []
    assert first == desk(own)
    assert set_up != first
    assert sorted(arrived(receiver)) == sorted(made)


def test_deliveries_come_twice_by_chance_and_the_chance_can_be_repeated(
    own: Running, receiver: Receiver
) -> None:
    listening(own, receiver)
    counts = []
    for _ in range(2):
        receiver.requests.clear()
        own.control("faults/deliveries", duplicate=0.5, seed=11)
        customers(own)
        receiver.until(lambda: finished(own).keys() == {"succeeded"})
        faults = desk(own)["deliveries"]
        assert isinstance(faults, dict)
        twice = int(faults["duplicated"])
        receiver.wait(CUSTOMERS + twice)
        counts.append(twice)
        repeated = [count for count in Counter(arrived(receiver)).values() if count > 1]
        assert len(repeated) == twice

    assert counts[0] == counts[1]
    assert 0 < counts[0] < CUSTOMERS


def test_deliveries_are_lost_by_chance_and_say_so(own: Running, receiver: Receiver) -> None:
    listening(own, receiver)
    own.control("faults/deliveries", drop=0.5, seed=3)

    made = customers(own)
    receiver.until(lambda: "pending" not in finished(own))
    [endpoint] = own.http().get("/v1/webhook_endpoints").json()["data"]
    dropped = {"status": "dropped", "endpoint": endpoint["id"]}
    lost = own.http().get("/_sandbox/deliveries", params=dropped).json()["data"]

    assert 0 < len(lost) < CUSTOMERS
    assert {row["error"] for row in lost} == {"fault: drop"}
    assert len(set(arrived(receiver))) == len(made) - len(lost)


def test_deliveries_overtake_each_other(own: Running, receiver: Receiver) -> None:
    listening(own, receiver)
    own.control("faults/deliveries", shuffle_ms=1500, seed=5)

    made = customers(own)
    receiver.wait(CUSTOMERS)

    assert sorted(arrived(receiver)) == sorted(made)
    overtaken = sum(
        made.index(one) > made.index(next_one)
        for one, next_one in zip(arrived(receiver), arrived(receiver)[1:], strict=False)
    )
    assert overtaken > CUSTOMERS // 5


def test_a_delay_holds_deliveries_of_one_endpoint_only(own: Running, receiver: Receiver) -> None:
    slow = own.control("webhook_endpoints", url=receiver.url + "/slow", secret="whsec_" + "slow")["id"]
    quick = listening(own, receiver)
    own.control("faults/deliveries", delay_ms=600_000, endpoint=slow)

    customers(own, 3)
    receiver.wait(3)
    rows = own.http().get("/_sandbox/deliveries").json()["data"]

    assert {row["status"] for row in rows if row["endpoint"] == slow} == {"pending"}
    assert Counter(row["endpoint"] for row in rows if row["endpoint"] in (slow, quick)) == {slow: 3, quick: 3}


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("rate_limit", 429, "rate_limit"),
        ("lock_timeout", 429, "lock_timeout"),
        ("conflict", 409, "idempotency_key_in_use"),
        ("server_error", 500, None),
    ],
)
def test_the_next_requests_of_a_route_are_refused_and_leave_nothing(
    own: Running, kind: str, status: int, code: str | None
) -> None:
    own.control("faults/api", kind=kind, route="POST /v1/customers*", times=2)
    http = own.http()
    key = {"Idempotency-Key": os.urandom(8).hex()}

    answers = [http.post("/v1/customers", data={"name": "Ada"}, headers=key) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert answers[0].json()["error"].get("code") == code
    assert [one["id"] for one in http.get("/v1/customers").json()["data"]] == [answers[2].json()["id"]]
    assert desk(own)["api"][0]["hits"] == 2  # type: ignore[index]


def test_a_route_that_is_not_named_is_spared(own: Running) -> None:
    own.control("faults/api", kind="server_error", route="POST /v1/refunds*", times=1)

    assert own.http().post("/v1/customers", data={"name": "Ada"}).status_code == 200
    assert own.http().post("/v1/refunds", data={"charge": "ch_none"}).status_code == 500


def test_requests_fail_by_chance_and_the_chance_can_be_repeated(own: Running) -> None:
    rows = []
    for _ in range(2):
        fault = own.control("faults/api", kind="rate_limit", probability=0.5, seed=21)
        rows.append([own.http().get("/v1/balance").status_code for _ in range(20)])
        own.control(f"faults/{fault['id']}/end")

    assert rows[0] == rows[1]
    assert set(rows[0]) == {200, 429}
    assert own.http().get("/v1/balance").status_code == 200


def test_after_a_time_out_the_work_is_done_and_a_repeat_gets_its_answer(own: Running) -> None:
    own.control("faults/api", kind="time_out", route="POST /v1/customers", seconds=30)
    impatient = httpx.Client(base_url=own.base_url, auth=(KEY, ""), timeout=1)
    key = {"Idempotency-Key": os.urandom(8).hex()}

    with impatient, pytest.raises(httpx.ReadTimeout):
        impatient.post("/v1/customers", data={"name": "Ada"}, headers=key)
    done = [one["name"] for one in own.http().get("/v1/customers").json()["data"]]
    again = own.http().post("/v1/customers", data={"name": "Ada"}, headers=key)

    assert done == ["Ada"]
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert len(own.http().get("/v1/customers").json()["data"]) == 1


def test_the_official_sdk_sees_a_line_that_is_cut_as_a_failed_connection(own: Running) -> None:
    own.control("faults/api", kind="time_out", route="POST /v1/customers", seconds=0)

    with pytest.raises(stripe.APIConnectionError):
        own.client().v1.customers.create({"name": "Ada"})

    assert len(own.client().v1.customers.list().data) == 1


@pytest.mark.parametrize(
    ("path", "given", "param"),
    [
        ("faults/api", {}, "kind"),
        ("faults/api", {"kind": "fire"}, "kind"),
        ("faults/api", {"kind": "rate_limit", "probability": 2}, "probability"),
        ("faults/api", {"kind": "rate_limit", "times": "often"}, "times"),
        ("faults/api", {"kind": "rate_limit", "rout": "*"}, "rout"),
        ("faults/deliveries", {"drop": -1}, "drop"),
        ("faults/deliveries", {"drop": "nan"}, "drop"),
        ("faults/deliveries", {"endpoint": "we_none"}, "endpoint"),
        ("faults/fault_9/end", {}, "id"),
    ],
)
def test_nonsense_is_refused_by_name(own: Running, path: str, given: dict[str, object], param: str) -> None:
    answer = own.http().post(f"/_sandbox/{path}", json=given)

    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["param"] == param
    assert desk(own)["api"] == []
