"""Starts the system's Chromium for browser tests, quietly: nothing here needs its maker's hosts."""

from __future__ import annotations

import os
import shutil

from playwright.sync_api import Browser, Playwright

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def launch(playwright: Playwright) -> Browser:
    """The browser; ``CHROMIUM`` names another binary than the one on the path."""
    binary = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert binary, "Chromium is missing: run tools/ensure_chromium"
    return playwright.chromium.launch(executable_path=binary, args=list(QUIET))
