"""What happens when the sandbox itself fails, is asked nonsense, or is started wrongly."""

import json
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import stripe

from sandbox.process import Running, start

pytestmark = pytest.mark.timeout(60)


def test_a_failure_leaves_nothing_behind_and_is_repeated_under_its_key(tmp_path: Path) -> None:
    store = tmp_path / "books.sqlite"
    sandbox = start(store)
    try:
        product = sandbox.client().v1.products.create({"name": "Before"})
        with closing(sqlite3.connect(store)) as books:
            sound = books.execute("SELECT body FROM objects WHERE id = ?", (product.id,)).fetchone()
        with sandbox.http() as http:
            answers = []
            for body in ("{}", sound[0]):
                with closing(sqlite3.connect(store)) as books:
                    books.execute("UPDATE objects SET body = ? WHERE id = ?", (body, product.id))
                    books.commit()
                answers.append(
                    http.post(
                        f"/v1/products/{product.id}",
                        data={"name": "After"},
                        headers={"Idempotency-Key": "once"},
                    )
                )
            now = http.get(f"/v1/products/{product.id}").json()["name"]
    finally:
        sandbox.stop()

    assert [answer.status_code for answer in answers] == [500, 500]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["error"]["type"] == "api_error"
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert now == "Before"


def test_a_session_whose_time_is_over_expires_by_itself(tmp_path: Path) -> None:
    store = tmp_path / "books.sqlite"
    sandbox = start(store)
    try:
        client = sandbox.client()
        line = {"currency": "usd", "unit_amount": 500, "product_data": {"name": "Late"}}
        session = client.v1.checkout.sessions.create(
            {  # type: ignore[arg-type]
                "mode": "payment",
                "line_items": [{"price_data": line, "quantity": 1}],
                "success_url": "https://shop.example/",
            }
        )
        with closing(sqlite3.connect(store)) as books:
            books.execute(
                "UPDATE objects SET body = json_set(body, '$.expires_at', 1) WHERE id = ?", (session.id,)
            )
            books.commit()
        end = time.monotonic() + 10
        while client.v1.checkout.sessions.retrieve(session.id).status != "expired":
            assert time.monotonic() < end
            time.sleep(0.05)
        story = client.v1.events.list({"types": ["checkout.session.*"]}).data
    finally:
        sandbox.stop()

    assert [event.type for event in story] == ["checkout.session.expired"]


def test_a_refusal_undoes_what_was_begun(sandbox: Running) -> None:
    client = sandbox.client()
    taken = {"currency": "usd", "unit_amount": 500, "lookup_key": "taken-already"}
    client.v1.prices.create(taken | {"product_data": {"name": "First"}})  # type: ignore[arg-type]
    before = client.v1.events.list({"limit": 1}).data[0].id

    with pytest.raises(stripe.InvalidRequestError, match="already uses that lookup key"):
        client.v1.prices.create(taken | {"product_data": {"name": "Half made"}})  # type: ignore[arg-type]

    names = [product.name for product in client.v1.products.list({"limit": 100}).data]
    assert "Half made" not in names
    assert client.v1.events.list({"limit": 1}).data[0].id == before


def test_a_kill_in_the_middle_of_work_loses_nothing_acknowledged(tmp_path: Path) -> None:
    store = tmp_path / "books.sqlite"
    first = start(store)
    acknowledged: list[str] = []

    def work(worker: int) -> int:
        with httpx.Client(base_url=first.base_url, trust_env=False) as http:
            for number in range(10_000):
                try:
                    answer = http.post(
                        "/v1/customers",
                        data={"name": f"{worker}-{number}"},
                        headers={"Authorization": "Bearer sk_test_killed"},
                    )
                except httpx.HTTPError:
                    return number
                acknowledged.append(answer.json()["id"])
        return 0

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(work, worker) for worker in range(4)]
        while len(acknowledged) < 100:
            assert not all(worker.done() for worker in workers)
        first.kill()
        interrupted = [worker.result(20) for worker in workers]
    second = start(store)
    try:
        client = second.client()
        params = {"limit": 100}
        kept = [one.id for one in client.v1.customers.list(params).auto_paging_iter()]  # type: ignore[arg-type]
        told = [
            event.data.object["id"]
            for event in client.v1.events.list(params).auto_paging_iter()  # type: ignore[arg-type]
        ]
    finally:
        second.stop()

    assert all(count > 0 for count in interrupted)
    assert set(acknowledged) <= set(kept)
    assert sorted(told) == sorted(kept)


@pytest.mark.parametrize(
    "body",
    [
        b"a[b=1",
        b"a[b]=1&a=2",
        b"a=1&a[b]=2",
        b"a[]=1&a[b]=2",
        b"metadata" + b"[x]" * 40 + b"=1",
        b"\xff\xfe=1",
        b"%ff=1",
        b"[x]=1",
        b"metadata[" + b"k" * 41 + b"]=1",
        b"metadata[k]=" + b"v" * 501,
        b"expand[]=nothing",
    ],
)
def test_nonsense_is_refused_and_never_a_failure(sandbox: Running, body: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    with sandbox.http() as http:
        answer = http.post("/v1/customers", content=body, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_json_bodies_and_giants_are_refused(sandbox: Running) -> None:
    with sandbox.http() as http:
        as_json = http.post("/v1/customers", json={"name": "x"})
        giant = http.post("/v1/customers", data={"name": "x" * 1_100_000})

    assert (as_json.status_code, giant.status_code) == (400, 413)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("checkout/sessions/cs_test_none/pay", {}),
        ("payment_intents/pi_none/settle", {}),
        ("events/evt_none/resend", {}),
        ("settings", {"latency_ms": -1}),
        ("settings", {"latency_ms": "soon"}),
        ("webhook_endpoints", {"url": "http://127.0.0.1:1"}),
    ],
)
def test_the_control_desk_refuses_what_it_cannot_do(
    sandbox: Running, path: str, body: dict[str, object]
) -> None:
    answer = httpx.post(f"{sandbox.base_url}/_sandbox/{path}", json=body, trust_env=False)

    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_taken_port_is_told_in_one_line(sandbox: Running) -> None:
    port = sandbox.base_url.rpartition(":")[2]

    second = subprocess.run(
        [sys.executable, "-m", "stripe_sandbox", "--port", port],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert second.returncode == 1
    assert "cannot listen" in second.stdout
    assert "Traceback" not in second.stderr


def test_it_listens_on_the_loopback_only_and_logs_no_keys(tmp_path: Path) -> None:
    log = tmp_path / "log"
    key = "sk_test_do_not_log_me"
    with log.open("w") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "stripe_sandbox", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
        )
        assert process.stdout is not None
        base_url = process.stdout.readline().strip().rpartition(" ")[2]
        process.stdout.close()
        answer = httpx.post(
            f"{base_url}/v1/webhook_endpoints",
            data={"url": "http://127.0.0.1:1/x", "enabled_events[]": "*"},
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
        )
        httpx.post(f"{base_url}/v1/customers", headers={"Authorization": f"Bearer {key}"}, trust_env=False)
        process.terminate()
        process.wait(10)

    assert base_url.startswith("http://127.0.0.1:")
    secret = json.loads(answer.text)["secret"]
    said = log.read_text()
    assert "Traceback" not in said
    assert key not in said
    assert secret not in said
