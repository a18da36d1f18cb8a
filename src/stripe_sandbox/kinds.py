"""Names shared by the whole sandbox: the JSON type and the API version that it speaks.

Leaves all behaviour to the other modules.
"""

from typing import Any

Json = dict[str, Any]

API_VERSION = "2026-10-28.endive"
"""The only version whose shapes the sandbox renders; pinned by the ``stripe`` 16.1 package."""

ACCOUNT_ID = "acct_1TallybookSandbox"
