# SPDX-License-Identifier: Apache-2.0
"""Verb `compile`: a model becomes a proven, measured bundle for each hardware profile."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.markup import escape

from insight_edge.cli.layers import row_told
from insight_edge.cli.progress import progress
from insight_edge.cli.screen import Format, err
from insight_edge.cli.trials import emit_trials
from insight_edge.documents.evidence import Trial
from insight_edge.documents.target import target_from_token
from insight_edge.errors import ConfigurationError, NothingShippableError

if TYPE_CHECKING:
    from insight_edge.compile.building.misses import Lookup


def compile_(
    *,
    model: Annotated[Path, Parameter(name=["--model", "-m"])],
    profile: Annotated[list[str], Parameter(name=["--profile"])],
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    calibration: Path | None = None,
    transforms: Path | None = None,
    fuse: bool = False,
    target: list[str] | None = None,
    max_drop: float | None = None,
    accept_unproven: Annotated[bool, Parameter(negative="")] = False,
    repair: float = 180.0,
    threads: int | None = None,
    rounds: int = 15,
    cache: Path | None = None,
    tuning: float = 0.0,
    trust_pickle: Annotated[bool, Parameter(negative="")] = False,
    explain_miss: Annotated[bool, Parameter(negative="")] = False,
    keep: Path | None = None,
    builder: Path | None = None,
    contenders: Annotated[bool, Parameter(negative="")] = False,
    measured: Path | None = None,
    format: Format = "table",  # noqa: A002 - the flag is --format
) -> None:
    """Compile a model: build every target, prove and measure each, ship the best.

    Exits 1 when no target survives its gates, 2 for input that cannot be used, 4
    when nothing could be tried for want of a toolchain.

    Args:
        model: a file of ONNX, torch.export, scikit-learn, XGBoost, LightGBM, Keras or TFLite; with
            --measured, a bundle that was compiled with --contenders.
        profile: hardware profile, an id or a TOML file; give it again for more than one.
        output: directory of the bundle; `{profile}` in it becomes the profile's id.
        calibration: .npz with rows by input name, and optionally labels.
        transforms: TOML file that declares the steps from the caller's inputs to the model's and
            from its outputs to the caller's, of a model without a description beside it.
        fuse: put the last steps before the model into its graph, so that the engine does them.
        target: only this backend:precision; give it again for more than one.
        max_drop: percentage points of the task metric that may be lost, proven; by default the
            profile's limit or 1, of which 0.5 may be lost as measured.
        accept_unproven: ship what too few rows could not prove.
        repair: seconds for leaving layers of INT8 that fails in floating point; 0 for none.
        threads: of the engine; as many as the profile has processors by default.
        rounds: of the interleaved measurement.
        cache: directory in which builds are kept between calls.
        tuning: seconds that every target which can be tuned looks for faster code; what it finds
            is kept in the cache.
        trust_pickle: let code in the model's file run.
        explain_miss: say for each target whether a kept build is taken and what differs if not;
            with --cache. As JSON it is `kept` of each trial.
        keep: new directory for all that is made on the way, failed trials too; builds anew.
        builder: folder shared with a machine that runs `insight-edge toolchain work FOLDER`, and
            builds there what cannot be built here.
        contenders: put every variant that is proven into the bundle, for a device to time them.
        measured: file of results of `insight-edge bench` on a device of the profile; the bundle's
            variants are chosen by them, and nothing is built.
        format: how to print the trials.
    """
    from insight_edge.bench.results import read_results
    from insight_edge.compile.compiler import compile_model
    from insight_edge.compile.profiles.reading import find_profile
    from insight_edge.compile.settings import Compilation, Settings
    from insight_edge.compile.settle import Settling, settle
    from insight_edge.documents.profile import HardwareProfile

    if measured is not None:
        needless = {
            "--calibration": calibration, "--transforms": transforms, "--fuse": fuse,
            "--target": target, "--cache": cache, "--keep": keep,
            "--builder": builder, "--tuning": tuning, "--contenders": contenders,
        }  # fmt: skip
        _refuse_needless([flag for flag, value in needless.items() if value])
    if explain_miss and cache is None:
        raise ConfigurationError(
            "without a cache nothing is kept, so nothing could be missed",
            hint="name the directory in which builds are kept: --cache DIRECTORY",
        )
    lookups: dict[str, Lookup] = {}

    def explain(token: str, found: "Lookup") -> None:
        lookups[token] = found
        err.print(escape(f"{token}: {found}"), soft_wrap=True)

    settings = Settings(
        only=tuple(target_from_token(token) for token in target or ()),
        max_drop_pp=max_drop,
        accept_unproven=accept_unproven,
        repair_s=repair,
        threads=threads,
        rounds=rounds,
        cache=cache,
        tuning_s=tuning,
        trust_pickle=trust_pickle,
        transforms=transforms,
        fuse=fuse,
        builder=builder,
        contenders=contenders,
        explain=explain if explain_miss else None,
    )
    profiles = [find_profile(name) for name in profile]
    places = [Path(str(output).replace("{profile}", found.id)) for found in profiles]
    if len(set(places)) < len(places):
        raise ConfigurationError(
            f"one output for {len(places)} profiles", hint="write -o 'bundles/{profile}'"
        )

    def compilation(name: str, found: HardwareProfile, place: Path) -> Compilation:
        if measured is not None:
            settling = Settling(
                bundle=model, results=read_results(measured), source=measured, profile_name=name
            )
            return settle(settling, found, place, accept_unproven=accept_unproven)
        with progress(found.id) as shown:
            return compile_model(
                model, found, place, samples=calibration,
                settings=replace(settings, keep=keep / found.id if keep else None),
                tell=shown.tell, watch=shown.watch, profile_name=name,
            )  # fmt: skip

    for name, found, place in zip(profile, profiles, places, strict=True):
        title = f"Trials for {found.id}"
        lookups.clear()
        try:
            done = compilation(name, found, place)
        except NothingShippableError as error:
            lost = [trial for trial in error.trials if isinstance(trial, Trial)]
            emit_trials(lost, format, title=title, lookups=lookups)
            raise
        emit_trials(done.evidence.trials, format, title=title, lookups=lookups)
        workload = done.evidence.workload
        if workload is not None and workload.called:
            err.print(escape(f"{found.id}: a row {row_told(workload)}"), soft_wrap=True)
        err.print(escape(f"{place}: {done.digest}"), soft_wrap=True)


def _refuse_needless(flags: list[str]) -> None:
    if flags:
        raise ConfigurationError(
            f"nothing is built with --measured, so {', '.join(flags)} cannot be meant",
            hint="give the bundle of contenders as --model, and the results",
        )
