# SPDX-License-Identifier: Apache-2.0
"""The child process of one import: `python -m insight_edge.compile.sources.import_child`.

It runs a converter in whichever environment it was started in and writes down
what that says. It outlives neither its parent nor its memory; how it ended is
for the parent to say (`compile.sources.importing`).
"""

import importlib
import sys
from pathlib import Path

from insight_edge.bundle.lifeline import die_with
from insight_edge.compile.sources.conversion import Conversion, ConversionJob
from insight_edge.compile.toolchains.bounds import DISK_FULL_EXIT_CODE, bound, is_full
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.errors import InputError, StorageError
from insight_edge.runtime.usage_data import send_none


def main(arguments: list[str]) -> int:
    """Convert as the job in file 1 says into directory 2, write the answer to file 3.

    Arguments 4 and 5 are the parent's process number and the largest file in bytes.
    """
    job_path, directory, result_path = map(Path, arguments[:3])
    parent, file_bytes = map(int, arguments[3:5])
    die_with(parent)
    send_none()
    bound(file_bytes)
    try:
        answer = _convert(decode_json(ConversionJob, job_path.read_bytes()), directory)
        result_path.write_bytes(encode_json(answer))
    except Exception as error:
        if isinstance(error, StorageError) or is_full(error):
            return DISK_FULL_EXIT_CODE
        raise
    return 0


def _convert(job: ConversionJob, directory: Path) -> Conversion:
    module, _, name = job.converter.partition(":")
    converter = getattr(importlib.import_module(module), name)
    try:
        converter(Path(job.model), directory, trust_pickle=job.trust_pickle)
    except StorageError:
        raise
    except InputError as error:
        return Conversion(refusal=str(error), hint=error.hint)
    return Conversion()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
