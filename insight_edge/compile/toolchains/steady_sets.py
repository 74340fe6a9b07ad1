# SPDX-License-Identifier: Apache-2.0
"""Let a library walk its sets of objects in one order, so that it does the same each time.

Objects lie in a set by where they lie in memory, unless their class says
otherwise. tf2onnx keeps its nodes so, and simplifies whichever comes first:
one file became graphs of 253 to 255 nodes. Strings are not meant; their order is
fixed for a process by PYTHONHASHSEED.
"""

import itertools


def number_by_first_use(cls: type) -> None:
    """Hash the objects of a class by when they were first hashed, from now on.

    The same program hashes them in the same order. Equality stays what it is: identity.
    """
    numbers = itertools.count()

    def number(self: object) -> int:
        held = vars(self)
        if "_number" not in held:
            held["_number"] = next(numbers)
        found: int = held["_number"]
        return found

    cls.__hash__ = number  # type: ignore[method-assign, assignment]
