# SPDX-License-Identifier: Apache-2.0
"""The systemd unit says what was asked, and nothing else can be slipped in."""

import shutil
import subprocess
from pathlib import Path

import pytest

from insight_edge.errors import ConfigurationError
from insight_edge.fleet.unit import NAME, unit_text

PROGRAM, STATE = Path("/opt/insight-edge/bin/insight-edge"), Path("/var/lib/insight-edge")


def test_unit_runs_the_agent_as_that_user_with_few_rights() -> None:
    text = unit_text(PROGRAM, STATE, "edge")
    assert f"ExecStart={PROGRAM} agent run --state {STATE}\n" in text
    assert "\nUser=edge\n" in text
    assert f"\nReadWritePaths={STATE}\n" in text
    assert "\nCapabilityBoundingSet=\n" in text
    assert "\nOOMPolicy=continue\n" in text, "a job that is ended for want of memory ends no agent"
    assert "\nKillMode=process\n" in text, "what serves goes on without the agent"


@pytest.mark.parametrize(
    ("program", "state", "user"),
    [
        (Path("insight-edge"), STATE, "edge"),
        (PROGRAM, Path("state"), "edge"),
        (PROGRAM, Path("/var/lib/a b"), "edge"),
        (PROGRAM, Path("/var/lib/x\nExecStartPre=/bin/sh"), "edge"),
        (PROGRAM, Path("/var/lib/%i"), "edge"),
        (PROGRAM, STATE, "edge\nUser=root"),
        (PROGRAM, STATE, ""),
    ],
)
def test_what_means_more_to_systemd_is_refused(program: Path, state: Path, user: str) -> None:
    with pytest.raises(ConfigurationError):
        unit_text(program, state, user)


def test_systemd_understands_it(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not on this machine")
    program = shutil.which("true") or "/bin/true"
    (tmp_path / NAME).write_text(unit_text(Path(program), tmp_path, "root"))
    done = subprocess.run(
        [analyze, "verify", tmp_path / NAME], capture_output=True, text=True, check=False
    )
    assert NAME not in done.stderr, done.stderr
