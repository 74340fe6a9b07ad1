# SPDX-License-Identifier: Apache-2.0
"""The child process of one build: `python -m insight_edge.compile.building.child`.

It gives itself bounds before it loads a toolchain, runs one backend's `build`
and writes what that says as a document. It outlives neither its parent nor its
memory; how it ended is for the parent to say (`compile.building.build`).
"""

import faulthandler
import importlib
import sys
from pathlib import Path

from insight_edge.bundle.lifeline import die_with
from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.toolchains.bounds import DISK_FULL_EXIT_CODE, bound, is_full
from insight_edge.compile.toolchains.temporary import keep_temporary_directories
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.runtime.usage_data import send_none


def main(arguments: list[str]) -> int:
    """Build the job in file 1 into directory 2, write the artifact document to file 3.

    Arguments 4 and 5 are the parent's process number and the largest file in bytes.
    """
    job_path, directory, result_path = map(Path, arguments[:3])
    parent, file_bytes = map(int, arguments[3:5])
    die_with(parent)
    send_none()
    bound(file_bytes)
    faulthandler.enable()
    try:
        job = decode_json(BuildJob, job_path.read_bytes())
        if job.keep:
            keep_temporary_directories()
        artifact = _build(job, directory)
        result_path.write_bytes(encode_json(artifact))
    except Exception as error:
        if is_full(error):
            return DISK_FULL_EXIT_CODE
        raise
    return 0


def _build(job: BuildJob, directory: Path) -> Artifact:
    module, _, name = job.plugin.partition(":")
    artifact: Artifact = getattr(importlib.import_module(module), name)().build(job, directory)
    return artifact


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
