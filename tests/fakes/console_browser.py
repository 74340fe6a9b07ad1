# SPDX-License-Identifier: Apache-2.0
"""A real browser, and everything that goes wrong in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

PATIENCE_MS = 60_000
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Browser:
    """A page, and what it complained about.

    Attributes:
        faults: errors of the console and of pages, and requests to other hosts.
    """

    page: "Page"
    address: str
    faults: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note whatever goes wrong from now on."""
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("response", self._answered)

    def sign_in(self, name: str, password: str) -> None:
        self.page.fill("[name=name]", name)
        self.page.fill("[name=password]", password)
        self.page.press("[name=password]", "Enter")

    def wait_for_text(self, selector: str, text: str) -> None:
        """Wait until an element holds a text."""
        from playwright.sync_api import expect

        expect(self.page.locator(selector)).to_contain_text(text, timeout=PATIENCE_MS)

    def wait_for_count(self, selector: str, count: int) -> None:
        """Wait until there are so many elements."""
        from playwright.sync_api import expect

        expect(self.page.locator(selector)).to_have_count(count, timeout=PATIENCE_MS)

    def _said(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.faults.append(f"console {message.type}: {message.text}")

    def _answered(self, response: Any) -> None:
        if response.status >= 400:
            asked = response.request
            self.faults.append(f"{response.status} for {asked.method} {asked.url}")

    def _asked(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:")):
            self.faults.append(f"asked for {url}")


def missing() -> str | None:
    """Return why there is no browser here, None where there is."""
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "playwright is not installed"
    return None if shutil.which("chromium") else "there is no chromium"


@contextmanager
def browsing(address: str, folder: Path, **options: Any) -> Iterator[Browser]:
    """Open a browser with a profile of its own, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        context = started.chromium.launch_persistent_context(
            str(folder),
            executable_path=shutil.which("chromium"),
            headless=True,
            args=list(FLAGS),
            **options,
        )
        try:
            browser = Browser(page=context.pages[0], address=address)
            browser.page.set_default_timeout(PATIENCE_MS)
            browser.watch()
            yield browser
        finally:
            context.close()
