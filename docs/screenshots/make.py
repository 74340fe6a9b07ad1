# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: INP001 - a script, in no package
"""Take the pictures of the console: `python -m docs.screenshots.make`, in the repository's root.

They show a made-up working day (`tests/fakes/console_world.py`). Needs playwright and chromium.
"""

import sys
import tempfile
from pathlib import Path

from tests.fakes.console_browser import Browser, browsing, missing
from tests.fakes.console_server import served_console
from tests.fakes.console_world import (
    ADMIN,
    PASSWORD,
    PROFILES,
    ConsoleWorld,
    cloud_of,
    filled_world,
)

HERE = Path(__file__).parent
SIZE = {"width": 1160, "height": 725}
MAX_BYTES = 150_000


def main() -> None:
    """Write the pictures beside this file."""
    reason = missing()
    if reason is not None:
        sys.exit(f"error: {reason}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            filled_world(folder / "world") as world,
            served_console(cloud_of(world)) as (visitor, _),
            browsing(
                visitor.address, folder / "profile", viewport=SIZE, color_scheme="light"
            ) as browser,
        ):
            _take(browser, world)


def _take(browser: Browser, world: ConsoleWorld) -> None:
    page = browser.page
    page.goto(f"{browser.address}/login")
    browser.sign_in(ADMIN, PASSWORD)
    page.wait_for_selector("nav")
    for name, path in _pages(world).items():
        page.goto(browser.address + path)
        page.wait_for_selector(".chart canvas" if name in {"device", "drift", "job"} else "main h1")
        place = HERE / f"{name}.png"
        page.screenshot(path=place)
        length_bytes = place.stat().st_size
        sys.stdout.write(f"{place.name} {length_bytes} bytes\n")
        if length_bytes > MAX_BYTES:
            sys.exit(f"error: {place} is longer than {MAX_BYTES} bytes")
    if browser.faults:
        sys.exit("error: " + "; ".join(browser.faults))


def _pages(world: ConsoleWorld) -> dict[str, str]:
    bundle = world.bundles[2, PROFILES[0]]
    return {
        "fleet": "/devices",
        "device": f"/devices/{world.names[0]}",
        "drift": f"/drift/{bundle}",
        "labelling": "/labelling",
        "rollout": f"/rollouts/{world.rollout}",
        "job": f"/jobs/{world.job}",
        "bundle": f"/bundles/{bundle}",
    }


if __name__ == "__main__":
    main()
