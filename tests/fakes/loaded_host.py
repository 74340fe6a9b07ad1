# SPDX-License-Identifier: Apache-2.0
"""A runtime host under load, to be killed: `python -m tests.fakes.loaded_host BUNDLE STATE`.

Two threads call without end. Once `FLUSHED` calls are surely counted it prints
`flushed`, then a line for every thousand further calls.
"""

import sys
import threading
from pathlib import Path

from insight_edge.documents.facts import Missing
from insight_edge.runtime import loading
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.seam import Engine
from tests.fakes.matrix import TOKEN, MatrixEngine, one_row

FLUSHED = 3000


def _engines(token: str | None = None) -> dict[str, Engine | Missing]:
    del token
    return {TOKEN: MatrixEngine()}


def main() -> None:
    bundle, state_dir = map(Path, sys.argv[1:])
    loading.engines = _engines
    runtime = Runtime.open(bundle, allow_unsigned=True, state_dir=state_dir)
    for index in range(1, FLUSHED + 1):
        runtime.infer(one_row(0.5))
        if index % 500 == 0:
            assert runtime._doors.health().answered == index
    sys.stdout.write("flushed\n")
    sys.stdout.flush()
    threading.Thread(target=call_without_end, args=(runtime,), daemon=True).start()
    call_without_end(runtime)


def call_without_end(runtime: Runtime) -> None:
    while True:
        for _ in range(1000):
            runtime.infer(one_row(float("nan")))
        sys.stdout.write("1000\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
