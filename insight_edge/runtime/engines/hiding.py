# SPDX-License-Identifier: Apache-2.0
"""Import an engine without what it would bring along: what a device has no use for."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden(module: str) -> Iterator[None]:
    """Let the import of a module fail within the block, as `sys.modules` is documented to.

    One that is imported already comes back afterwards.
    """
    kept = sys.modules.get(module)
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
        if kept is not None:
            sys.modules[module] = kept
