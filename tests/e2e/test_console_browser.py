# SPDX-License-Identifier: Apache-2.0
"""The console in a real browser: the main path, by mouse and by keyboard, without a complaint."""

from collections.abc import Iterator

import pytest

from tests.fakes.console_browser import Browser, browsing, missing
from tests.fakes.console_model import MODEL
from tests.fakes.console_server import served_console
from tests.fakes.console_world import (
    ADMIN,
    HOSTILE,
    OPERATOR,
    PASSWORD,
    PROFILES,
    ConsoleWorld,
    cloud_of,
    filled_world,
)
from tests.fakes.measuring_world import bench_result, job_result, sent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ConsoleWorld, str]]:
    with (
        filled_world(tmp_path_factory.mktemp("world"), HOSTILE) as world,
        served_console(cloud_of(world)) as (visitor, _),
    ):
        yield world, visitor.address


@pytest.fixture
def world(served: tuple[ConsoleWorld, str]) -> ConsoleWorld:
    return served[0]


@pytest.fixture
def browser(
    served: tuple[ConsoleWorld, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """A browser that is not signed in; whatever it complains about fails the test."""
    folder = tmp_path_factory.mktemp("profile")
    with browsing(served[1], folder, viewport={"width": 1440, "height": 900}) as browser:
        yield browser
        assert browser.faults == []


def test_operator_walks_through_a_day(browser: Browser, world: ConsoleWorld) -> None:
    browser.page.goto(f"{browser.address}/devices")
    browser.page.wait_for_url("**/login?next=*")
    browser.sign_in(OPERATOR, PASSWORD)
    browser.page.wait_for_url("**/devices")
    find_device(browser, world)
    go_down_to_a_bundle(browser)
    look_at_drift(browser, world)
    label_one(browser, world)
    steer_a_rollout(browser, world)
    watch_a_job(browser, world)
    read_the_audit(browser)
    browser.page.click("text=Sign out")
    browser.page.wait_for_url("**/login")


def find_device(browser: Browser, world: ConsoleWorld) -> None:
    page = browser.page
    page.fill("[data-search]", "line-3-camera-2")
    browser.wait_for_count("#rows tbody tr", 1)
    page.wait_for_url("**/devices?text=line-3-camera-2*")
    with page.expect_event("load"):  # what was filtered is a page of its own, and loads anew
        page.go_back()
    browser.wait_for_text("h1", "Fleet")
    page.goto(f"{browser.address}/devices?text={world.names[0]}")
    page.click(f"#rows tbody a:text-is('{world.names[0]}')")
    page.wait_for_selector(".chart canvas")
    assert page.inner_text("h1") == world.names[0]


def go_down_to_a_bundle(browser: Browser) -> None:
    page = browser.page
    page.click("nav >> text=Models")
    page.click(f"tbody >> text='{MODEL}'")
    page.click(f"tbody >> text='{MODEL}:2' >> nth=0")
    page.wait_for_selector(".chart canvas")
    page.click("section:has(h2:text-is('Bundles')) tbody a >> nth=0")
    browser.wait_for_text("main", "openvino:int8")
    page.click("main .actions >> text=Drift")
    browser.wait_for_text("h1", f"Drift of {MODEL}:2")


def look_at_drift(browser: Browser, world: ConsoleWorld) -> None:
    page = browser.page
    page.goto(f"{browser.address}/drift/{world.bundles[2, PROFILES[0]]}")
    browser.wait_for_text("#sentence", "of image")
    page.wait_for_selector(".chart.heat canvas")
    page.click("text=The same as a table")
    assert page.locator("table.cells td.over").count() > 10


def label_one(browser: Browser, world: ConsoleWorld) -> None:
    page = browser.page
    page.click("nav >> text=Labelling")
    sample = page.get_attribute("[data-sample]", "data-sample")
    assert sample is not None
    page.evaluate("document.querySelector('[data-sample]').decode()")  # fails for no picture
    page.click("[value=class-4]")
    browser.wait_for_text("#card", "You said 4")
    assert page.get_attribute("[data-sample]", "data-sample") != sample
    assert world.cloud.labels.task(sample).label_by == OPERATOR


def steer_a_rollout(browser: Browser, world: ConsoleWorld) -> None:
    page = browser.page
    page.goto(f"{browser.address}/rollouts/{world.rollout}")
    page.fill("[name=reason]", "lunch")
    world.cloud.rollouts.pause(world.rollout, by="somebody else", now=world.now, reason="a look")
    browser.wait_for_text("#rollout", "paused by somebody else: a look")
    browser.wait_for_text("#steering", "Resume")
    assert page.input_value("[name=reason]") == "lunch"  # what is live leaves forms alone
    page.click("text=Resume")
    browser.wait_for_text("main", "It goes on.")
    browser.wait_for_text("#rollout", "lunch")


def watch_a_job(browser: Browser, world: ConsoleWorld) -> None:
    page = browser.page
    page.goto(f"{browser.address}/bundles/{world.bundles[3, PROFILES[0]]}")
    page.click("main .actions >> text=Measure")
    page.click(f"#measure tbody a:text-is('{world.job}')")
    page.wait_for_selector(".chart canvas")
    drawn = "echarts.getInstanceByDom(document.querySelector('.chart')).getOption().series.length"
    assert page.evaluate(drawn) == 2
    job = world.cloud.jobs.get(world.job)
    [left] = [one.device for one in world.cloud.jobs.members(job.id) if one.ended is None]
    said = job_result(job, left, bench_result(job, left, 0.06))
    world.cloud.jobs.take([sent(said)], world.now)
    browser.wait_for_text("#job", "3 of 4 devices done")
    page.wait_for_function(f"{drawn} === 3")
    page.goto(f"{browser.address}/bundles/{job.bundle}")
    page.click("#measure >> button:text-is('Measure')")
    browser.wait_for_text("main", "Devices are told at the worker's next turn.")
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("main .actions >> text=Withdraw")
    browser.wait_for_text("#job", "withdrawn")


def read_the_audit(browser: Browser) -> None:
    page = browser.page
    page.click("nav >> text=Audit")
    page.fill("[name=action]", "rollout.resume")
    browser.wait_for_count("#rows tbody tr", 1)
    assert OPERATOR in page.inner_text("#rows")


def test_hands_stay_on_the_keyboard(browser: Browser, world: ConsoleWorld) -> None:
    page = browser.page
    page.goto(f"{browser.address}/login")
    page.wait_for_selector("[name=name]:focus")  # the page gives it, once it is drawn
    page.keyboard.type(ADMIN)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{browser.address}/")  # with its scripts: they read the keys

    page.keyboard.press("g")
    page.keyboard.press("d")
    page.wait_for_url("**/devices")
    page.wait_for_selector("#rows tbody tr")
    page.keyboard.press("/")
    page.keyboard.type("line-4-camera-6")
    browser.wait_for_count("#rows tbody tr", 1)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog:not([open])", state="hidden")

    page.keyboard.press("g")
    page.keyboard.press("l")
    page.wait_for_url("**/labelling")
    page.wait_for_selector("[data-sample]")
    sample = page.get_attribute("[data-sample]", "data-sample")
    page.keyboard.press("7")
    browser.wait_for_text("#card", "You said 6")
    page.keyboard.press("s")
    browser.wait_for_text("#card", "Skipped")
    assert sample is not None
    label = world.cloud.labels.task(sample).label
    assert label is not None
    assert label.index == 6  # hostile names are no digits: their keys count from one

    page.keyboard.press("Tab")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"


def test_theme_is_remembered(browser: Browser) -> None:
    page = browser.page
    page.emulate_media(color_scheme="light")
    page.goto(f"{browser.address}/login")
    browser.sign_in(ADMIN, PASSWORD)
    ground = "getComputedStyle(document.body).backgroundColor"
    page.wait_for_selector("[data-turn-theme]")
    light = page.evaluate(ground)
    page.click("[data-turn-theme]")
    dark = page.evaluate(ground)
    assert light != dark
    page.reload()
    assert page.evaluate(ground) == dark
    assert page.get_attribute("html", "data-theme") == "dark"


def test_tablet_needs_no_sideways_scrolling(browser: Browser, world: ConsoleWorld) -> None:
    page = browser.page
    page.set_viewport_size({"width": 820, "height": 1100})
    page.goto(f"{browser.address}/login")
    browser.sign_in(ADMIN, PASSWORD)
    page.wait_for_selector("nav")
    bundle = world.bundles[2, PROFILES[0]]
    for path in ("/", "/devices", f"/devices/{world.names[0]}", f"/bundles/{bundle}",
                 f"/drift/{bundle}", "/labelling", f"/rollouts/{world.rollout}"):  # fmt: skip
        page.goto(browser.address + path)
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wide) <= 0, path
