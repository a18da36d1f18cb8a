"""How a product is taxed at Stripe: whether tax comes on top of its price or is inside it, and what it is. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tallybook.domain.errors import CatalogError

UNSPECIFIED = "unspecified"
"""What Stripe says of a price that leaves it to the account's own setting."""
KEYS = frozenset({"tax_behavior", "tax_code"})
_BEHAVIORS = ("exclusive", "inclusive")
_CODE = re.compile(r"txcd_[0-9]{8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxing:
    """What the catalogue says of a product's tax; None leaves it to what is set at Stripe."""

    behavior: str | None = None
    code: str | None = None


def parse_taxing(at: str, line: Mapping[str, Any], common: Mapping[str, Any]) -> Taxing:
    """The tax of a product: what its own lines say, else what stands at the top of the file.

    Raises:
        CatalogError: names the key that is wrong and says what to do.
    """
    behavior = line.get("tax_behavior", common.get("tax_behavior"))
    if behavior is not None and behavior not in _BEHAVIORS:
        raise CatalogError(f"{at}.tax_behavior: use {' or '.join(_BEHAVIORS)}.")
    code = line.get("tax_code", common.get("tax_code"))
    if code is not None and not (isinstance(code, str) and _CODE.fullmatch(code)):
        raise CatalogError(f"{at}.tax_code: use one of Stripe's, such as txcd_10000000.")
    return Taxing(behavior=behavior, code=code)
