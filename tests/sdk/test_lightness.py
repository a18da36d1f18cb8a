"""The SDK is light: what importing it brings along."""

from __future__ import annotations

import subprocess
import sys


def loaded_after(statement: str) -> set[str]:
    program = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_sdk_imports_nothing_of_the_server_and_no_database_driver() -> None:
    loaded = loaded_after("import credit_sdk; credit_sdk.CreditSDK('https://x.example', api_key='k')")

    assert {"httpx", "tenacity", "credit_sdk"} <= loaded
    assert not loaded & {
        "tallybook",
        "stripe_sandbox",
        "stripe",
        "pydantic",
        "psycopg",
        "sqlalchemy",
        "asyncpg",
    }


def test_the_driver_is_loaded_with_a_postgresql_url_only() -> None:
    loaded = loaded_after("import credit_sdk; credit_sdk.CreditSDK('postgresql://u@localhost/db')")

    assert "psycopg" in loaded
