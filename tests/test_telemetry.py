"""The access log's quick lines are what structlog would have written."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys
import structlog
from tallybook import telemetry
from tallybook.api.requests import log_request

as_json, level, fields = json.loads(sys.argv[1])
telemetry.configure(level=level, as_json=as_json)
quick = telemetry.request_lines(level=level, as_json=as_json)
with structlog.contextvars.bound_contextvars(request_id=fields[-1]):
    log_request(*fields)
if quick is not None:
    quick(*fields)
"""


def lines(method: str, path: str, request_id: str, *, as_json: bool = True, level: str = "info") -> list[str]:
    """What a process writes for one request: structlog's line, then the quick one."""
    asked = json.dumps([as_json, level, [method, path, 200, 1.25, request_id]])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, asked], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stderr.splitlines()


@pytest.mark.parametrize(
    ("method", "path", "request_id"),
    [
        ("GET", "/v1/wallets", "req_0123456789abcdef"),
        ("POST", '/é/\n"quoted"/\x7f', "given-by-the-caller"),
        ("GET", "/eyJh_abc.eyJi_abc.c_abc", "given-by-the-caller"),
        ("GET", "/postgresql://a_abc:b_abc@host", "given-by-the-caller"),
        ("GET", "/pay/tbp_a-_abc/done", "given-by-the-caller"),
        ("GET", f"/{'rk_live'}_abc", "given-by-the-caller"),
        ("GET", f"/{'whsec'}_abc", "given-by-the-caller"),
        ("GET", f"/{'tb_test'}_abc", "given-by-the-caller"),
        ("POST", f"/v1/{'sk_live'}_abc/{'whsec'}_abc/{'tb_live'}_abc", f"{'sk_test'}_abc"),
    ],
)
def test_a_quick_line_is_the_line_that_structlog_writes(method: str, path: str, request_id: str) -> None:
    written, ours = lines(method, path, request_id)

    cut = written.index('"timestamp"')
    assert ours[:cut] == written[:cut]
    assert json.loads(ours).keys() == json.loads(written).keys()
    assert "_abc" not in ours


def test_above_info_no_line_is_written() -> None:
    assert lines("GET", "/", "req_1", level="warning") == []


def test_lines_for_people_are_structlogs() -> None:
    assert len(lines("GET", "/", "req_1", as_json=False)) == 1
