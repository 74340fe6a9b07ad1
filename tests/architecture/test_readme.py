# SPDX-License-Identifier: Apache-2.0
"""What the README and the examples tell people to do works, in the order told."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shipped `train.toml`, in which the README is followed."""
    place = tmp_path_factory.mktemp("readme")
    shutil.copy(ROOT / "examples" / "train.toml", place)
    for command in commands():
        follow(shlex.split(command), place)
    return place


def follow(words: list[str], place: Path) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        words, cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stderr}\n{done.stdout}"
    return done.stdout


@pytest.mark.slow
def test_readme_commands_work_in_order(folder: Path) -> None:
    assert (folder / "answers.npz").stat().st_size > 0


@pytest.mark.slow
def test_readme_python_runs(folder: Path) -> None:
    [block] = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert follow([sys.executable, "-c", block], folder).startswith("local/")


@pytest.mark.slow
def test_example_application_runs(folder: Path) -> None:
    script = str(ROOT / "examples" / "application.py")
    assert follow([sys.executable, script, "state", "digits.bundle", "digits/data.npz"], folder)


def test_readme_is_short_and_names_every_verb_that_it_calls() -> None:
    from insight_edge.cli.main import VERBS

    assert len(README.splitlines()) <= 150
    called = {words[1] for line in commands() if (words := shlex.split(line))[0] == "insight-edge"}
    assert called <= set(VERBS)


def test_every_link_in_the_documents_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []
