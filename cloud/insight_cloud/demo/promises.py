# SPDX-License-Identifier: Apache-2.0
"""What the demo promises, and whether it happened: pure, over its figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from insight_cloud.demo.figures import Device
from insight_edge.errors import InsightEdgeError

TIME_BUDGET_S = 360.0
WINDOWS_BUDGET = 10
"""Windows from the shift to the alarm, on each device."""

WON_BACK = 0.5
"""Of the accuracy that the shift takes, at least."""


class BrokenPromiseError(InsightEdgeError):
    """Something that the demo promises did not happen."""


@dataclass(frozen=True, kw_only=True)
class Promise:
    """One thing that was promised, and the figure that shows it."""

    name: str
    kept: bool
    figure: str


@dataclass(frozen=True, kw_only=True)
class Story:
    """What happened, in figures.

    Attributes:
        shifted: whether the world changed.
        devices: what happened on each.
        alarms: opened in all.
        runs: retrainings that were opened.
        run_state: how the last ended; None without one.
        labelled: images of the pool that somebody labelled.
        final_labelled: images of the final split among them.
        cut_off: calls that may have been under way, or not counted yet, when an application was
            killed; 0 where none was.
        first_ahead_s: from the commit of the canary to the next device's being asked.
        wall_s: from the start to now.
    """

    shifted: bool
    devices: tuple[Device, ...]
    alarms: int
    runs: int
    run_state: str | None
    labelled: int
    final_labelled: int
    first_ahead_s: float | None
    cut_off: int
    wall_s: float


def promises(story: Story, *, in_time: bool = True) -> tuple[Promise, ...]:
    """Return every promise of the demo with its figure; that of time, only `in_time`."""
    common = _always(story.devices, story.cut_off)
    if in_time:
        common = (*common, _in_time(story.wall_s))
    return (*(_loop(story) if story.shifted else _quiet(story)), *common)


def _loop(story: Story) -> tuple[Promise, ...]:
    devices = story.devices
    waited = [device.windows_to_alarm for device in devices]
    early = sum(device.early_alarms for device in devices)
    alarmed = [count for count in waited if count is not None]
    return (
        _promise("no alarm before the world changed", early == 0, f"{early} alarms"),
        _promise(
            "accuracy on the final split falls, on every device",
            all(device.under.interval[1] < device.before.share for device in devices),
            _by_device(devices, lambda d: f"{d.before.share:.1%} → {d.under.share:.1%}"),
        ),
        _promise(
            f"an alarm within {WINDOWS_BUDGET} windows",
            bool(alarmed) and min(alarmed) <= WINDOWS_BUDGET,
            ", ".join("none" if count is None else str(count) for count in waited),
        ),
        _promise(
            "retrained on labels of the pool, none of the final split",
            story.run_state == "promoted" and story.labelled > 0 and story.final_labelled == 0,
            f"{story.labelled} labels, {story.final_labelled} of the final split",
        ),
        *(() if len(devices) == 1 else (_canary(story),)),
        _promise(
            f"at least {WON_BACK:.0%} of the loss is won back, on every device",
            all(_won_back(device) for device in devices),
            _by_device(devices, lambda d: f"{d.under.share:.1%} → {d.after.share:.1%}"),
        ),
    )


def _canary(story: Story) -> Promise:
    ahead_s = story.first_ahead_s
    figure = "-" if ahead_s is None else f"{ahead_s:.1f} s ahead"
    return _promise("the canary went first", ahead_s is not None and ahead_s >= 0, figure)


def _quiet(story: Story) -> tuple[Promise, ...]:
    return (
        _promise("no alarm", story.alarms == 0, f"{story.alarms} alarms"),
        _promise("no retraining", story.runs == 0, f"{story.runs} runs"),
    )


def _always(devices: Sequence[Device], cut_off: int) -> tuple[Promise, ...]:
    asked = sum(device.asked for device in devices)
    dropped = asked - sum(device.answered for device in devices)
    mixed = sum(device.mixed for device in devices)
    lost = sum(device.lost for device in devices)
    reported = sum(device.reported for device in devices)
    doubled = sum(max(0, device.reported - device.asked) for device in devices)
    return (
        _promise(
            "no inference dropped",
            dropped <= cut_off and asked > 0,
            f"{asked} asked, {dropped} dropped"
            + (f", {cut_off} cut off by kills" if cut_off else ""),
        ),
        _promise("no answer of mixed versions", mixed == 0, f"{mixed} mixed"),
        _promise(
            "every inference is in a report, once",
            _counted(devices, cut_off) and lost == 0,
            f"{reported} of {asked}; {lost} reports lost, {doubled} calls doubled",
        ),
    )


def _counted(devices: Sequence[Device], cut_off: int) -> bool:
    return all(one.answered - cut_off <= one.reported <= one.asked for one in devices)


def _in_time(wall_s: float) -> Promise:
    return _promise(f"under {TIME_BUDGET_S:g} s", wall_s < TIME_BUDGET_S, f"{wall_s:.0f} s")


def _won_back(device: Device) -> bool:
    loss = device.before.share - device.under.share
    return device.after.total > 0 and device.after.share - device.under.share >= WON_BACK * loss


def _by_device(devices: Sequence[Device], text: Callable[[Device], str]) -> str:
    return ", ".join(text(device) for device in devices)


def _promise(name: str, kept: bool, figure: str) -> Promise:
    return Promise(name=name, kept=kept, figure=figure)
