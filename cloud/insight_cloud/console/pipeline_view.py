# SPDX-License-Identifier: Apache-2.0
"""What the page of a run shows: every step with its sentence. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from insight_cloud.console import words
from insight_cloud.console.tags import Tag, tag_of
from insight_cloud.pipelines.rules import Run

MAX_FACTS = 40
MAX_TEXT = 200


@dataclass(frozen=True, kw_only=True)
class StepLine:
    """A step as it is shown."""

    name: str
    tag: Tag
    text: str
    progress: float | None
    started: datetime
    took: str


def step_lines(run: Run) -> tuple[StepLine, ...]:
    """Return the steps that have begun, in order."""
    return tuple(
        StepLine(
            name=step.name,
            tag=tag_of(step.state.value),
            text=step.text,
            progress=step.progress,
            started=step.started,
            took=words.MISSING
            if step.ended is None
            else words.span((step.ended - step.started).total_seconds()),
        )
        for step in run.steps
    )


def facts_of(run: Run) -> tuple[tuple[str, str], ...]:
    """Return what the steps found, as far as it is read at a glance."""
    return tuple((name, _text(value)) for name, value in sorted(run.facts.items())[:MAX_FACTS])


def _text(value: Any) -> str:
    if isinstance(value, float):
        return words.figure(value)
    text = str(value)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} …"
