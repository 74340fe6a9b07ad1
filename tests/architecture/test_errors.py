# SPDX-License-Identifier: Apache-2.0
"""The tree drawn in errors.py is the tree of its classes."""

import inspect
import re

from insight_edge import errors


def test_error_tree_is_the_one_drawn() -> None:
    drawn: list[tuple[int, str]] = [
        (len(match[1]), match[2])
        for match in re.finditer(r"^( +)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE)
    ]
    parents: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    for depth, name in drawn:
        while stack and stack[-1][0] >= depth:
            stack.pop()
        parents[name] = stack[-1][1] if stack else "Exception"
        stack.append((depth, name))
    defined = {
        name: kind.__base__.__name__
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, Exception) and kind.__base__ is not None
    }
    assert parents == defined
