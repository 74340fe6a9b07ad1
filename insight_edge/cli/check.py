# SPDX-License-Identifier: Apache-2.0
"""Verb `check`: can this model be compiled, for what, and will it fit there?

Nothing is built; `compile` plans in the same way and then builds. What is shown
is worked out by `compile.targets.preflight`, how it looks is for `cli.preflights`.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from insight_edge.cli.preflights import show_preflights
from insight_edge.cli.screen import Format
from insight_edge.compile.plugins.discovery import backends
from insight_edge.compile.profiles.reading import find_profile, shipped_profiles
from insight_edge.compile.reading import read_source
from insight_edge.compile.targets.plan import ask_toolchains
from insight_edge.compile.targets.preflight import Preflight, preflight
from insight_edge.documents.target import target_from_token
from insight_edge.errors import NothingShippableError, ToolchainMissingError


def check(
    model: Annotated[Path, Parameter(name=["--model", "-m"])],
    *,
    profile: tuple[str, ...] = (),
    target: tuple[str, ...] = (),
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    trust_pickle: bool = False,
    format: Format = "table",  # noqa: A002 - the flag is --format
) -> None:
    """Read a model and show for which hardware it can be built, and whether it fits there.

    INT8 is shown as if there were rows to calibrate with. A latency is a bound: it cannot be
    less. Exits 1 when for a profile no target can be built that fits, 2 when the model cannot be
    read, 4 when all that could be built lacks its toolchain.

    Args:
        model: an ONNX file, or what an importer reads.
        profile: id or TOML file of a hardware profile, repeatable; all shipped ones by default.
        target: only this backend:precision; give it again for more than one.
        all_: show every target of every profile; so it is for a single profile anyway.
        trust_pickle: let code in the model file run.
        format: how to print; CSV has every target.
    """
    with ThreadPoolExecutor(1) as reader:
        # The file is read in a child process; plug-ins and profiles are loaded meanwhile.
        reading = reader.submit(read_source, model, trust_pickle=trust_pickle)
        only = [target_from_token(token) for token in target]
        profiles = [find_profile(p) for p in profile] or list(shipped_profiles().values())
        found = backends()
        toolchains = ask_toolchains(found)
        source = reading.result()
    done = [preflight(found, source, each, only=only, toolchains=toolchains) for each in profiles]
    show_preflights(source.workload, done, format, every=all_ or len(done) == 1)
    _refuse_misfits(done)


def _refuse_misfits(done: Sequence[Preflight]) -> None:
    """Raise where no target passes for some profile.

    Raises:
        ToolchainMissingError: with toolchains that are not here some might, for all of those.
        NothingShippableError: for one of them none passes whatever is installed.
    """
    lost = [one for one in done if not one.passing]
    if not lost:
        return
    names = ", ".join(one.profile.id for one in lost if not one.lacks_toolchain)
    if not names:
        missing = [f.planned.refusal for f in lost[0].forecasts if f.planned.toolchain_missing]
        raise ToolchainMissingError(
            f"{lost[0].profile.id}: {missing[0]}", hint="pip install 'insight-edge[compile]'"
        )
    raise NothingShippableError(
        f"no target can be built that fits {names}",
        hint="what to change is said above; every target: --all",
    )
