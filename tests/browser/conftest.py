"""A real Chromium over a running service; one page a test, on a desktop or a phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chromium import launch
from playwright.sync_api import Browser, Page, sync_playwright
from running_service import EMAIL, PASSWORD, Running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium. It brings an event loop of its own, which must not outlive the tests of a module."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """An empty browser window; a script error on a page fails the test."""
    context = chromium.new_context(viewport={"width": 1100, "height": 850})
    errors: list[str] = []
    opened = context.new_page()
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.set_default_timeout(15_000)
    yield opened
    context.close()
    assert errors == []


@pytest.fixture
def customer(page: Page, running: Running) -> Page:
    """A window in which the customer is signed in and sees their credits."""
    page.goto(f"{running.base_url}/")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("#balance")
    return page
