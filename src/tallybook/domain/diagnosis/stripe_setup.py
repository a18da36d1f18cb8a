"""Checks of how Stripe is set up: keys, signing secrets, prices, endpoints, versions. Pure; docs/operations says more.

The lists are those of the source documents' troubleshooting sections, and what goes wrong besides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from tallybook.domain.catalog.products import Product
from tallybook.domain.diagnosis.findings import Finding, fine, note, wrong
from tallybook.domain.money import MICRO
from tallybook.domain.payments.endpoints import INTAKE_URLS, Endpoint, EndpointFault
from tallybook.domain.payments.reports import PriceReport
from tallybook.domain.payments.sightings import SecretState, SecretUse, Sighting, drifted

RECENT = timedelta(days=7)
TAX_ADVICE = (
    "See the dashboard's settings of Tax, or switch STRIPE_AUTOMATIC_TAX off: until then nobody can pay."
)
_FOREIGN_SECRETS = {
    "sk_": "a secret key",
    "rk_": "a restricted key",
    "pk_": "a publishable key",
    "we_": "the endpoint's id",
}
_ENDPOINT_ADVICE = {
    EndpointFault.WRONG_PATH: f"Correct its URL: the path is one of {', '.join(INTAKE_URLS.values())}.",
    EndpointFault.DISABLED: "Mend what made it fail, then: tallybook webhooks register --url <its URL>",
    EndpointFault.OTHER_VERSION: "Make one of our version: tallybook webhooks register --url <its URL>",
    EndpointFault.MISSES_EVENTS: "Have it send what we work on: tallybook webhooks register --url <its URL>",
    EndpointFault.MORE_EVENTS: "Have it send no more than we work on: tallybook webhooks register --url <its URL>",
}
_HARMFUL = {EndpointFault.WRONG_PATH, EndpointFault.DISABLED, EndpointFault.MISSES_EVENTS}


def keys(
    *, configured: bool, livemode: bool, publishable_key: str | None, pages_url: str
) -> Iterator[Finding]:
    """The secret key, the publishable key beside it, and the addresses that go with live money."""
    if not configured:
        yield wrong(
            "stripe_key_missing",
            "Stripe key",
            "not set",
            "Set STRIPE_SECRET_KEY (sk_test_… to try things out).",
        )
    elif (
        publishable_key
        and publishable_key.startswith("pk_")
        and ("_live_" in publishable_key[:8]) != livemode
    ):
        yield wrong(
            "keys_of_two_modes",
            "Publishable key",
            f"of {_mode(live=not livemode)} mode, but STRIPE_SECRET_KEY is of {_mode(live=livemode)} mode",
            "Copy both keys from the same mode of the dashboard.",
        )
    elif publishable_key and not publishable_key.startswith("pk_"):
        yield wrong(
            "publishable_key_malformed",
            "Publishable key",
            "does not start with pk_",
            "Copy the publishable key of the dashboard's page of API keys.",
        )
    if livemode and not pages_url.startswith("https://"):
        yield wrong(
            "address_not_https",
            "Addresses",
            pages_url,
            "Live payments need https: set BASE_URL and FRONTEND_URL.",
        )


def signing_secrets(secrets: Mapping[str, Sequence[str]], uses: Sequence[SecretUse]) -> Iterator[Finding]:
    """The signing secrets of each intake path: whether they can be any, and which can be dropped."""
    for path, given in secrets.items():
        check = f"Webhook secret ({path})"
        foreign = next(
            (
                kind
                for secret in given
                for start, kind in _FOREIGN_SECRETS.items()
                if secret.startswith(start)
            ),
            None,
        )
        if not given:
            yield wrong(
                "webhook_secret_missing",
                check,
                "not set",
                "Set STRIPE_WEBHOOK_SECRET to the endpoint's signing secret (whsec_…).",
            )
        elif foreign is not None:
            yield wrong(
                "webhook_secret_is_no_secret",
                check,
                f"is {foreign}",
                "Copy the endpoint's signing secret (whsec_…), not its id or a key.",
            )
        elif not all(secret.startswith("whsec_") for secret in given):
            yield wrong(
                "webhook_secret_malformed",
                check,
                "does not start with whsec_",
                "Copy the endpoint's signing secret, not its id or a key.",
            )
        else:
            yield fine(check, f"{len(given)} live")
    for use in uses:
        if use.state is SecretState.SPARE:
            yield note(
                "webhook_secret_spare",
                f"Webhook secret ({use.intake_path})",
                f"no. {use.place} ({use.fingerprint}) was last needed {use.last_needed_at:%Y-%m-%d %H:%M}"
                if use.last_needed_at
                else f"no. {use.place} ({use.fingerprint}) is not needed",
                "Take it out of STRIPE_WEBHOOK_SECRET: it was rolled, and another one verifies events.",
            )


def price(product: Product, price_id: str, report: PriceReport | None) -> Finding | None:
    """A price that a product is sold at; None when it is as it must be. ``report`` is None if Stripe has none."""
    check, at = f"Price of {product.lookup_key}", price_id
    if price_id.startswith("prod_"):
        return wrong(
            "product_id_as_price",
            check,
            f"{at} is a product's id",
            "Copy the id that starts with price_, not the product's (prod_).",
        )
    if not price_id.startswith("price_"):
        return wrong(
            "price_id_malformed",
            check,
            f"{at} is not a price id",
            "Copy the id that starts with price_ from the product's page.",
        )
    if report is None:
        return wrong(
            "price_not_found",
            check,
            f"Stripe has no {at} in this mode and account",
            "Use a price of the same account and mode as STRIPE_SECRET_KEY: test and live have ids of their own.",
        )
    if not report.active:
        return wrong(
            "price_inactive",
            check,
            f"{at} is archived",
            "Activate it at Stripe, name another one, or run: tallybook catalog push",
        )
    if report.interval != product.interval or report.price is None:
        return wrong(
            "price_other_interval",
            check,
            f"{at} is paid {_every(report)}, the catalogue says {product.interval or 'once'}",
            "Use a price of the same interval: packs and packages are paid once, plans every month or year.",
        )
    if report.price.currency != product.price.currency:
        return wrong(
            "price_other_currency",
            check,
            f"{at} is in {report.price.currency}, the catalogue says {product.price.currency}",
            "Use a price in the catalogue's currency, or change the catalogue.",
        )
    if report.price != product.price:
        return note(
            "price_other_amount",
            check,
            f"{at} costs {report.price}, the catalogue says {product.price}",
            "Stripe's amount is charged: change the catalogue, or run tallybook catalog push.",
        )
    return None


def same_credits_other_price(on_sale: Sequence[Product]) -> Iterator[Finding]:
    """Documents 002 and 003 sell 1,000 credits for $10 and for $60; whoever sells both should know."""
    once = [product for product in on_sale if product.mode == "payment"]
    for number, one in enumerate(once):
        for other in once[number + 1 :]:
            if one.credits == other.credits and one.price != other.price:
                yield note(
                    "same_credits_other_price",
                    "Prices",
                    f"{one.credits.micro // MICRO:,} credits cost {one.price} as {one.lookup_key} and"
                    f" {other.price} as {other.lookup_key}",
                    "Switch one family off in the catalogue, unless you mean it.",
                )


def tax(missing: Sequence[str]) -> list[Finding]:
    """Whether Stripe can reckon the taxes that are switched on; ``missing`` is what it still wants to be told."""
    if not missing:
        return [fine("Stripe Tax", "set up")]
    return [wrong("tax_not_set_up", "Stripe Tax", f"Stripe misses {', '.join(missing)}", TAX_ADVICE)]


def endpoints(found: Sequence[Endpoint], *, livemode: bool) -> Iterator[Finding]:
    """Our endpoints at Stripe, each with what is wrong with it; and that there is one."""
    ours = [one for one in found if one.ours]
    working = [one for one in ours if not _HARMFUL.intersection(one.faults)]
    if not ours:
        advice = "Make one: tallybook webhooks register --url <address>" + INTAKE_URLS["v1"]
        said = ("endpoint_missing", "Webhook endpoint", "none at Stripe leads here", advice)
        # While things are tried out, the Stripe CLI may forward events instead.
        yield wrong(*said) if livemode else note(*said)
    elif working:
        yield fine("Webhook endpoint", ", ".join(one.report.url for one in working))
    for one in ours:
        for fault in one.faults:
            said = (str(fault), "Webhook endpoint", _described(one, fault), _ENDPOINT_ADVICE[fault])
            # Beside one that works, another may be half wrong.
            yield wrong(*said) if fault in _HARMFUL and not working else note(*said)


def undelivered(event_ids: Sequence[str]) -> Iterator[Finding]:
    """Events that Stripe could not deliver, and that are not in the inbox."""
    if event_ids:
        yield wrong(
            "deliveries_failing",
            "Webhook deliveries",
            f"{len(event_ids)} event(s) did not reach us, the newest {event_ids[0]}",
            "Check that Stripe reaches the URL, that the signing secret is this endpoint's, and both clocks.",
        )


def versions(sightings: Sequence[Sighting], now: datetime) -> Iterator[Finding]:
    """Versions of events that nobody tested, and that still come in."""
    recent = [
        one for one in sightings if one.last_seen_at >= now - RECENT and drifted(one.api_version or None)
    ]
    for version in sorted({one.api_version for one in recent}):
        last = max(one.last_seen_at for one in recent if one.api_version == version)
        paths = sorted({one.intake_path for one in recent if one.api_version == version})
        yield note(
            "stripe_version_drifted",
            "Stripe version",
            f"events of {version} come in on {', '.join(paths)}, last {last:%Y-%m-%d %H:%M}",
            "They are taken; have the endpoint send our version: tallybook webhooks register --url <its URL>",
        )


def other_mode(events: int, *, livemode: bool) -> Iterator[Finding]:
    """Events of the other mode: their endpoint, or our key, is of the wrong one."""
    if events:
        yield wrong(
            "events_of_other_mode",
            "Stripe events",
            f"{events} of {_mode(live=not livemode)} mode came in this week and were ignored",
            f"Register the endpoint in {_mode(live=livemode)} mode, and use its signing secret.",
        )


def _described(endpoint: Endpoint, fault: EndpointFault) -> str:
    report = endpoint.report
    said = {
        EndpointFault.WRONG_PATH: "has a path that takes no events",
        EndpointFault.DISABLED: "is disabled at Stripe",
        EndpointFault.OTHER_VERSION: f"sends version {report.api_version or 'of the account'}",
        EndpointFault.MISSES_EVENTS: "does not send every type that we work on",
        EndpointFault.MORE_EVENTS: "sends more types than we work on",
    }
    return f"{report.id} ({report.url}) {said[fault]}"


def _mode(*, live: bool) -> str:
    return "live" if live else "test"


def _every(report: PriceReport) -> str:
    if report.price is None:
        return "in tiers, or every few intervals"
    return report.interval or "once"
