"""Settings: the documents' names are read, and what is wrong is said without showing a value."""

from __future__ import annotations

from typing import Any

import pytest

from tallybook.domain.errors import SettingsError
from tallybook.settings import STRIPE_API_VERSION, Settings, load

LIVE = "sk_" + "live_" + "x" * 24
STRONG = "0123456789abcdef0123456789abcdef"


def given(monkeypatch: pytest.MonkeyPatch, **values: str) -> Settings:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("TALLYBOOK_SECRET_KEY", raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load(_env_file=None)


def test_nothing_needs_to_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch)

    assert settings.database_url is None
    assert settings.stripe_api_version == STRIPE_API_VERSION
    assert settings.webhook_secrets("stripe") == ()


def test_the_documents_names_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(
        monkeypatch,
        STRIPE_API_VERSION="2023-10-16",
        STRIPE_DEBUG="true",
        FRONTEND_URL="https://shop.example/",
        BASE_URL="https://api.example",
        STRIPE_PRICE_STARTER="price_1",
        STRIPE_PRICE_PACK_1000="price_2",
        DEFAULT_CURRENCY="usd",
        INVOICE_DUE_DAYS="30",
        COMPANY_NAME="AgentHub",
        INVOICE_PREFIX="AH",
        AUTO_SEND_INVOICES="true",
        NEXT_PUBLIC_API_URL="http://localhost:8000",
        NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY="pk_test_x",
        ALLOWED_ORIGINS="https://a.example, https://b.example/",
    )

    assert settings.pages_url == "https://shop.example"
    assert settings.public_url == "https://api.example"
    assert settings.price_overrides() == {"plan_starter": "price_1", "pack_1000": "price_2"}
    assert settings.allowed_origins == ("https://a.example", "https://b.example")
    assert (settings.invoice_prefix, settings.invoice_due_days) == ("AH", 30)


def test_each_intake_path_has_its_own_secrets_and_the_common_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = given(
        monkeypatch,
        STRIPE_WEBHOOK_SECRET="whsec_new,whsec_old",
        STRIPE_WEBHOOK_SECRET_CREDITS="whsec_credits",
    )

    assert settings.webhook_secrets("stripe") == ("whsec_new", "whsec_old")
    assert settings.webhook_secrets("credits") == ("whsec_credits", "whsec_new", "whsec_old")


def test_an_empty_webhook_secret_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch, STRIPE_WEBHOOK_SECRET="")

    assert settings.webhook_secrets("v1") == ()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"STRIPE_SECRET_KEY": "pk_test_x"}, "STRIPE_SECRET_KEY"),
        ({"STRIPE_SECRET_KEY": " sk_test_x"}, "white space"),
        ({"STRIPE_WEBHOOK_SECRET": "whsec_x\n"}, "white space"),
        ({"STRIPE_API_VERSION": "1999-01-01"}, "STRIPE_API_VERSION"),
        ({"TALLYBOOK_SECRET_KEY": "short"}, "too short"),
        ({"TALLYBOOK_SECRET_KEY": "changeme" * 8}, "known default"),
        ({"DATABASE_URL": "postgresql://u@h/d"}, "TALLYBOOK_SECRET_KEY"),
        ({"STRIPE_SECRET_KEY": LIVE, "STRIPE_API_BASE": "http://127.0.0.1:12111"}, "live key"),
        ({"PORT": "70000"}, "PORT"),
        ({"INVOICE_DUE_DAYS": "-1"}, "INVOICE_DUE_DAYS"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        given(monkeypatch, **values)

    assert said in refused.value.message
    assert not any(value.strip() in refused.value.message for value in values.values() if len(value) > 8)


def test_secrets_do_not_show_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets: dict[str, Any] = {"STRIPE_SECRET_KEY": "sk_test_hidden", "TALLYBOOK_SECRET_KEY": STRONG}

    printed = repr(given(monkeypatch, **secrets))

    assert not any(value in printed for value in secrets.values())
