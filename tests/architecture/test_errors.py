# SPDX-License-Identifier: Apache-2.0
"""The tree drawn in errors.py is the tree of its classes."""

import inspect
import re

import pytest

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


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31mred", "back\rspace", "lost \udc80"])
def test_message_is_a_line_that_steers_no_terminal(name: str) -> None:
    said = str(errors.ModelError(f"output '{name}' is made by no operator"))
    assert said.isprintable()
    assert said.startswith("output '")
    assert said.endswith("' is made by no operator")
