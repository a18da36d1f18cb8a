"""Every setting, with the names that the five source documents use. Read by the roof only, passed down as values.

Checked once at start: what is wrong is said in one message that names the setting and what to do.
"""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tallybook.domain.diagnosis.pasted import PastedWrongError, as_copied
from tallybook.domain.errors import SettingsError

STRIPE_API_VERSION = "2026-10-28.endive"
"""Sent with every call to Stripe; equals what the pinned SDK speaks (checked at start)."""

# Versions that the outbound calls were tested with; 2023-10-16 is what document 001 sets.
STRIPE_API_VERSIONS_TESTED = (STRIPE_API_VERSION, "2023-10-16")
SECRET_LENGTH_MIN = 32
_DEFAULT_SECRETS = ("changeme", "secret", "your-secret", "your_secret", "default", "password")


class Settings(BaseSettings):
    """The settings of one installation; each field is the environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    # The database. Without DATABASE_URL an embedded PostgreSQL runs in DATA_DIR.
    database_url: SecretStr | None = None
    migration_database_url: SecretStr | None = None
    data_dir: Path = Path(".tallybook")
    postgres_port: int | None = Field(default=None, ge=1, le=65535)

    # Where the ledger is anchored outside the database, and how often.
    anchors_dir: Path | None = None
    anchor_every_seconds: int = Field(default=24 * 3600, ge=1)

    # When the worker compares Stripe with our books each day (UTC); "never" is None.
    reconcile_at: time | None = time(3, 30)

    # Where the service listens and where people reach it.
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    base_url: str | None = None
    frontend_url: str | None = None
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    next_public_api_url: str | None = None
    next_public_stripe_publishable_key: str | None = None
    next_public_stripe_customer_portal_url: str | None = None

    # Signs sessions and seals what must not lie in the database in the clear.
    secret_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("TALLYBOOK_SECRET_KEY", "SECRET_KEY")
    )
    session_token_seconds: int = Field(default=600, ge=60, le=3600)
    session_seconds: int = Field(default=30 * 24 * 3600, ge=3600)

    # Stripe.
    stripe_secret_key: SecretStr | None = None
    stripe_publishable_key: str | None = None
    stripe_webhook_secret: SecretStr | None = None
    stripe_api_version: str = STRIPE_API_VERSION
    stripe_api_base: str = "https://api.stripe.com"
    stripe_debug: bool = False
    stripe_allow_promotion_codes: bool = False
    stripe_automatic_tax: bool = False
    stripe_price_starter: str | None = None
    stripe_price_professional: str | None = None
    stripe_price_business: str | None = None
    stripe_price_pack_100: str | None = None
    stripe_price_pack_250: str | None = None
    stripe_price_pack_500: str | None = None
    stripe_price_pack_1000: str | None = None
    stripe_webhook_secret_stripe: SecretStr | None = None
    stripe_webhook_secret_credits: SecretStr | None = None
    stripe_webhook_secret_v1: SecretStr | None = None
    catalog_file: Path | None = None
    freeze_wallet_on_dispute: bool = False

    # Invoices (document 004); used when invoices are issued.
    default_currency: str = Field(default="usd", pattern="^[a-zA-Z]{3}$")
    invoice_due_days: int = Field(default=30, ge=0, le=365)
    company_name: str = "Tallybook"
    company_address: str = ""
    company_email: str = ""
    company_phone: str = ""
    invoice_prefix: str = Field(default="TB", pattern="^[A-Za-z0-9]{1,8}$")
    auto_send_invoices: bool = True

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
        return value

    @field_validator("reconcile_at", mode="before")
    @classmethod
    def _never(cls, value: object) -> object:
        return None if value == "never" else value

    @field_validator("reconcile_at")
    @classmethod
    def _plain_time(cls, value: time | None) -> time | None:
        if value is not None and value.tzinfo is not None:
            raise ValueError("say a time of day without a zone, such as 03:30: it is UTC; or never")
        return value

    @field_validator("stripe_api_version")
    @classmethod
    def _tested_version(cls, value: str) -> str:
        if value not in STRIPE_API_VERSIONS_TESTED:
            tested = ", ".join(STRIPE_API_VERSIONS_TESTED)
            raise ValueError(f"not a tested Stripe version: unset it, or use one of {tested}")
        return value

    @field_validator(
        "stripe_secret_key",
        "stripe_webhook_secret",
        "stripe_webhook_secret_stripe",
        "stripe_webhook_secret_credits",
        "stripe_webhook_secret_v1",
        "secret_key",
        mode="after",
    )
    @classmethod
    def _clean_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or value.get_secret_value() == "":
            # An empty signing secret would let anybody sign; it counts as not set.
            return None
        as_copied(value.get_secret_value(), whole=False)
        return value

    @field_validator(
        "stripe_publishable_key",
        "next_public_stripe_publishable_key",
        "stripe_price_starter",
        "stripe_price_professional",
        "stripe_price_business",
        "stripe_price_pack_100",
        "stripe_price_pack_250",
        "stripe_price_pack_500",
        "stripe_price_pack_1000",
    )
    @classmethod
    def _clean_text(cls, value: str | None) -> str | None:
        if value is not None:
            as_copied(value)
        return value

    @field_validator("stripe_publishable_key", "next_public_stripe_publishable_key")
    @classmethod
    def _publishable(cls, value: str | None) -> str | None:
        if value and value.startswith(("sk_", "rk_")):
            raise PastedWrongError(
                "secret_key_as_publishable",
                "is a secret key: give the one that starts with pk_, and roll this one",
            )
        return value

    @field_validator(
        "stripe_webhook_secret",
        "stripe_webhook_secret_stripe",
        "stripe_webhook_secret_credits",
        "stripe_webhook_secret_v1",
    )
    @classmethod
    def _whole_secrets(cls, value: SecretStr | None) -> SecretStr | None:
        for part in value.get_secret_value().split(",") if value else ():
            as_copied(part.strip())
        return value

    @field_validator("stripe_secret_key")
    @classmethod
    def _secret_key_form(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            as_copied(value.get_secret_value())
        if value and value.get_secret_value().startswith("pk_"):
            raise PastedWrongError(
                "publishable_key_as_secret",
                "is a publishable key: give the one that starts with sk_test_ or sk_live_",
            )
        if value and not value.get_secret_value().startswith(
            ("sk_test_", "sk_live_", "rk_test_", "rk_live_")
        ):
            raise PastedWrongError(
                "stripe_key_malformed", "is not a Stripe secret key: it starts with sk_test_ or sk_live_"
            )
        return value

    @field_validator("secret_key")
    @classmethod
    def _strong_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        text = value.get_secret_value()
        if len(text) < SECRET_LENGTH_MIN or text.lower().startswith(_DEFAULT_SECRETS):
            raise ValueError(
                "is too short or a known default: use 32 or more random characters (openssl rand -hex 32)"
            )
        return value

    @model_validator(mode="after")
    def _live_keys_meet_stripe(self) -> Settings:
        if self.livemode and self.stripe_api_base != "https://api.stripe.com":
            raise ValueError("STRIPE_API_BASE names a stand-in, but STRIPE_SECRET_KEY is a live key")
        if self.database_url is not None and self.secret_key is None:
            raise ValueError("TALLYBOOK_SECRET_KEY must be set when DATABASE_URL is (openssl rand -hex 32)")
        return self

    @property
    def livemode(self) -> bool:
        """Whether the Stripe key moves real money."""
        return (
            self.stripe_secret_key is not None and "_live_" in self.stripe_secret_key.get_secret_value()[:8]
        )

    @property
    def public_url(self) -> str:
        """Where browsers reach the service: ``BASE_URL``, else the address it listens on. No slash at the end."""
        return (self.base_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def pages_url(self) -> str:
        """Where customers come back to after Stripe: ``FRONTEND_URL``, else our own pages. No slash at the end."""
        return (self.frontend_url or self.public_url).rstrip("/")

    @property
    def own_origins(self) -> tuple[str, ...]:
        """Where browsers that may call us come from; nothing of it twice, no slash at the end."""
        named = (self.public_url, self.pages_url, self.next_public_api_url, *self.allowed_origins)
        return tuple(dict.fromkeys(origin.rstrip("/") for origin in named if origin))

    @property
    def own_addresses(self) -> frozenset[str]:
        """The hosts, with ports where named, that lead here."""
        named = (self.base_url, self.frontend_url, self.next_public_api_url)
        return frozenset(urlsplit(url).netloc for url in named if url)

    def webhook_secrets(self, path: str) -> tuple[str, ...]:
        """The signing secrets that an intake path accepts: its own, then the common ones (comma separated)."""
        own = {
            "stripe": self.stripe_webhook_secret_stripe,
            "credits": self.stripe_webhook_secret_credits,
            "v1": self.stripe_webhook_secret_v1,
        }[path]
        given = [secret.get_secret_value() for secret in (own, self.stripe_webhook_secret) if secret]
        return tuple(part.strip() for text in given for part in text.split(",") if part.strip())

    def price_overrides(self) -> dict[str, str]:
        """Stripe price ids that settings force, by lookup key."""
        named = {
            "plan_starter": self.stripe_price_starter,
            "plan_professional": self.stripe_price_professional,
            "plan_business": self.stripe_price_business,
            "pack_100": self.stripe_price_pack_100,
            "pack_250": self.stripe_price_pack_250,
            "pack_500": self.stripe_price_pack_500,
            "pack_1000": self.stripe_price_pack_1000,
        }
        return {key: price for key, price in named.items() if price}


def load(**overrides: object) -> Settings:
    """The settings from the environment and ``.env``.

    Raises:
        SettingsError: says each setting that is wrong and what to do; never shows a value.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as problem:
        errors = problem.errors(include_input=False, include_url=False)
        lines = [
            f"{'.'.join(str(part) for part in error['loc']).upper() or 'SETTINGS'}: {error['msg']}"
            for error in errors
        ]
        refusal = SettingsError("\n".join(lines))
        refusal.faults = tuple(
            (line.partition(": ")[0], _code(error.get("ctx", {}).get("error")), line.partition(": ")[2])
            for line, error in zip(lines, errors, strict=True)
        )
        raise refusal from None


def _code(fault: object) -> str:
    return fault.code if isinstance(fault, PastedWrongError) else SettingsError.code
