"""What happens when the sandbox itself fails, is asked nonsense, or is started wrongly."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest

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
