# SPDX-License-Identifier: Apache-2.0
"""TVM's runtime in this process: its library is loaded once, its threads are bounded for each call.

The library registers functions by name for the whole process, so a second one
cannot come beside it: every session runs on the first, and one built for another
release of TVM is refused until the process starts again. It is loaded from the
bundle where the artifact carries it, else from an installed apache-tvm, of which
nothing is imported.

TVM keeps a pool of worker threads for each *calling* thread. A caller whose
session has one thread never gets such a pool; the first call with more gets as
many workers as this process may use, which sleep, and as many of them work as
the session asked for.
"""

import ctypes
import os
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from insight_edge.runtime.engines.hiding import hidden
from insight_edge.runtime.processor import usable_threads

RUNTIME_FILES = ("libtvm_runtime.so", "libtvm_runtime_extra.so")
"""The second has sorting and the like; it needs the first."""

SHARE_ALL_CORES = -3
"""The pool's word for: work with this many threads, on whichever processors."""

_ENVIRONMENT = {
    "TVM_NUM_THREADS": "1",  # of callers that have asked for nothing
    "TVM_BIND_THREADS": "0",  # or it would pin the caller's own thread as well
    "TVM_THREAD_POOL_SPIN_COUNT": "0",  # on a device a core that waits busily is heat
}


class _Runtime:
    """What of TVM this process has loaded."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.release = ""
        self.files: set[str] = set()
        self.ffi: Any = None
        self.configure: Any = None


_RUNTIME = _Runtime()
_CALLER = threading.local()


def load_runtime(carried: Sequence[Path], release: str) -> Any:
    """Return the module `tvm_ffi` with TVM's runtime behind it.

    Args:
        carried: the runtime's libraries that come with the artifact; none where an installed
            apache-tvm has to bring them.
        release: of TVM, that the artifact was built with; empty where nobody says.

    Raises:
        ValueError: this process runs another release already.
        FileNotFoundError: nobody brings the runtime.
        OSError: it cannot be loaded.
    """
    with _RUNTIME.lock:
        if release and _RUNTIME.release and _series(_RUNTIME.release) != _series(release):
            raise ValueError(
                f"this process runs TVM {_RUNTIME.release} already, and the artifact is of "
                f"{release}: start the process again"
            )
        ffi = _RUNTIME.ffi or _import_ffi()
        for path in carried or _installed():
            if path.name not in _RUNTIME.files:
                ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
                _RUNTIME.files.add(path.name)
        _RUNTIME.configure = ffi.get_global_func("runtime.config_threadpool")
        _RUNTIME.release, _RUNTIME.ffi = _RUNTIME.release or release, ffi
    return ffi


def use_threads(count: int) -> None:
    """Let compiled code that this thread calls from now on work with so many threads."""
    if getattr(_CALLER, "threads", 1) == count:
        return
    if not hasattr(_CALLER, "threads"):
        _configure(max(count, usable_threads()))
    _configure(count)
    _CALLER.threads = count


def _configure(count: int) -> None:
    # Only how many names the list has matters, because threads are not pinned.
    _RUNTIME.configure(SHARE_ALL_CORES, count, [str(index) for index in range(count)])


def _series(release: str) -> list[str]:
    return release.split(".")[:2]


def _installed() -> list[Path]:
    """Return the runtime's libraries of an installed apache-tvm.

    Raises:
        FileNotFoundError: there is none.
    """
    spec = find_spec("tvm")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = [Path(folder) / "lib" / name for folder in folders for name in RUNTIME_FILES]
    if not found or not found[0].exists():
        raise FileNotFoundError(
            "the artifact does not carry TVM's runtime, and apache-tvm is not installed"
        )
    return [path for path in found if path.exists()]


def _import_ffi() -> Any:
    """Import tvm_ffi without torch, which it takes along wherever it is installed."""
    os.environ.update(_ENVIRONMENT)
    with hidden("torch"):
        import tvm_ffi
    return tvm_ffi
