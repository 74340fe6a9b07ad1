# SPDX-License-Identifier: Apache-2.0
"""The child that does case after case in one environment: `python -m conformance.worker ROLE FD`.

Tasks come as lines on stdin, answers go as lines to the descriptor: toolchains
print what they like. It never decides what becomes of a case; a plug-in's
exception is an answer, and its crash is the parent's to see (`conformance.crew`).
"""

import functools
import importlib
import importlib.metadata
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from conformance.agreement import disagreement
from conformance.corpus import Asked, asked
from insight_edge.compile.job import BuildJob
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.target import target_from_token
from insight_edge.errors import InsightEdgeError
from insight_edge.runtime import installed, loading
from insight_edge.runtime.usage_data import send_none

Task = Mapping[str, Any]
Answer = dict[str, Any]


def read(task: Task) -> Answer:
    """Import and plan as `insight-edge check` does; write a job for each target that is built."""
    from conformance.reading import read_case

    return read_case(
        Path(task["model"]), Path(task["place"]), [target_from_token(t) for t in task["targets"]]
    )


def build(task: Task) -> Answer:
    """Build a job with its backend."""
    place = Path(task["place"])
    job = decode_json(BuildJob, Path(task["job"]).read_bytes())
    module, _, name = job.plugin.partition(":")
    artifact = getattr(importlib.import_module(module), name)().build(job, place)
    return {"artifact": encode_json(artifact).decode()}


def answer(task: Task) -> Answer:
    """Load a bundle as a device does and compare what it answers."""
    from insight_edge.bundle.open import open_bundle
    from insight_edge.runtime.loading import load_session

    bundle = open_bundle(task["bundle"], allow_unsigned=True)
    session = load_session(bundle, bundle.variant(), threads=1)
    try:
        for index, one in enumerate(stored(Path(task["asked"]))):
            found = session.infer(one.inputs)
            reason = disagreement(one.outputs, found, **task["allowed"])
            if reason is not None:
                np.savez(task["found"], **_numbered(found.values()))
                return {"wrong": reason, "set": index}
    finally:
        session.close()
    return {}


def prove(task: Task) -> Answer:
    """Ask the product's own proof about answers that a case contradicts."""
    from conformance.reading import proof_failure

    place = Path(task["place"])
    one = stored(place)[task["set"]]
    with np.load(task["found"]) as held:
        found = dict(zip(one.outputs, [held[f"a{i}"] for i in range(len(held))], strict=False))
    return {"failure": proof_failure(Path(task["job"]), one, found)}


def bare(task: Task) -> Answer:
    """Ask an engine itself, through its own loader."""
    from conformance.bare import ENGINES

    model = Path(task["model"])
    sets = asked(model)
    infer = ENGINES[task["engine"]](model, Path(task["place"]), sets[0])
    if infer is None:
        return {"unexecuted": True}
    for one in sets:
        reason = disagreement(one.outputs, infer(one.inputs), **task["allowed"])
        if reason is not None:
            return {"wrong": reason}
    return {}


ROLES: dict[str, Callable[[Task], Answer]] = {
    "read": read, "build": build, "answer": answer, "prove": prove, "bare": bare,
}  # fmt: skip


def stored(place: Path) -> list[Asked]:
    """Return the sets that the reading child has written as plain arrays."""
    found = []
    for path in sorted(place.glob("set-*.npz")):
        names = json.loads(path.with_suffix(".json").read_text())
        with np.load(path, allow_pickle=False) as held:
            sides = [
                {name: held[f"{side}{index}"] for index, name in enumerate(names[side])}
                for side in ("inputs", "outputs")
            ]
        found.append(Asked(inputs=sides[0], outputs=sides[1]))
    return found


def _numbered(values: Iterable[Any]) -> dict[str, Any]:
    return {f"a{index}": value for index, value in enumerate(values)}


def _done(role: str, task: Task) -> Answer:
    try:
        return ROLES[role](task)
    except InsightEdgeError as error:
        return {"error": str(error), "ours": True}
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever a toolchain raises)
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}", "ours": False}


def main(role: str, descriptor: int) -> None:
    """Do tasks until stdin ends."""
    send_none()
    # Nothing is installed meanwhile, and looking for plug-ins takes longer than most cases.
    for module, name in (
        (importlib.metadata, "entry_points"),
        (importlib.metadata, "version"),
        (installed, "release"),
        (loading, "plugins"),
    ):
        setattr(module, name, functools.cache(getattr(module, name)))
    with os.fdopen(descriptor, "w") as out:
        for line in sys.stdin:
            print(json.dumps(_done(role, json.loads(line))), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
