# SPDX-License-Identifier: Apache-2.0
"""Any value of any document, found from the types of its fields."""

from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from insight_edge.documents.codec import Document

D = TypeVar("D", bound=Document)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    text,
)
plain = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=5,
)

_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: text,
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    NoneType: st.none(),
    Any: plain,
}


def documents(kind: type[D]) -> st.SearchStrategy[D]:
    """Return any document of a type, without unknown fields."""
    fields = msgspec.structs.fields(kind)
    values = {
        field.name: st.just(1) if field.name == "format" else _values(field.type)
        for field in fields
        if field.name != "unknown"
    }
    return st.builds(get_origin(kind) or kind, **values)


def _values(kind: Any) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in _SCALARS:
        return _SCALARS[kind]
    if origin is Literal:
        return st.sampled_from(arguments)
    inner = [_values(argument) for argument in arguments if argument is not Ellipsis]
    if origin in {Union, UnionType}:
        return st.one_of(inner)
    if origin is tuple and Ellipsis not in arguments:
        return st.tuples(*inner)
    if origin in {tuple, list}:
        return st.lists(inner[0], max_size=2).map(origin)
    return st.dictionaries(*inner, max_size=2) if origin is dict else documents(kind)
