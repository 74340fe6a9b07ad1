# SPDX-License-Identifier: Apache-2.0
"""Whatever is asked, as the OpenAPI document has it or nearly so, is answered and never breaks.

Requests are drawn from the document itself: values of the type it says, and others.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.operators import DEVICE, MODEL, Operators, open_operators

SLOW = ("/v1/users", "/v1/session", "/v1/tokens")
"""Passwords are hashed there, slowly on purpose."""

DEVICE_DOOR = ("/v1/enrol", "/v1/samples")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
WORDS = st.sampled_from(
    ["", "0", "-1", "9" * 30, "1e999", "NaN", "null", "true", "..", "a/b", "\0"]
)
MOMENTS = st.sampled_from(
    ["2026-11-21T00:00:00Z", "2026-11-20", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(2**62, 2**70),
    st.floats(allow_nan=False),
    TEXT,
    WORDS,
    st.lists(st.integers(), max_size=2),
    st.dictionaries(TEXT, st.integers(), max_size=2),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operators]:
    with open_operators(tmp_path_factory.mktemp("fuzz")) as made:
        yield made


def value_of(
    schema: dict[str, Any], whole: dict[str, Any], depth: int = 0
) -> st.SearchStrategy[Any]:
    """Return values that a schema allows, more or less."""
    schema = resolved(schema, whole)
    for many in ("anyOf", "oneOf", "allOf"):
        if many in schema:
            return st.one_of([value_of(one, whole, depth) for one in schema[many]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"]) | WORDS
    kind = schema.get("type")
    if kind == "object" and depth < 4:
        fields = schema.get("properties", {})
        return st.fixed_dictionaries(
            {}, optional={n: value_of(one, whole, depth + 1) for n, one in fields.items()}
        )
    if kind == "array" and depth < 4:
        return st.lists(value_of(schema.get("items", {}), whole, depth + 1), max_size=3)
    return _plain(kind, schema) | ODD


def _plain(kind: str | None, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if schema.get("format") == "date-time":
        return MOMENTS
    if kind == "integer":
        return st.integers(int(schema.get("minimum", -5)), int(schema.get("maximum", 500)))
    if kind == "number":
        return st.floats(0, 1)
    if "examples" in schema:
        return st.sampled_from(schema["examples"])
    return TEXT | WORDS


def resolved(schema: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """Return a schema itself where it only names another."""
    while "$ref" in schema:
        found: dict[str, Any] = whole
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def likely(schema: dict[str, Any], whole: dict[str, Any]) -> Any:
    """Return one value that a schema allows."""
    schema = resolved(schema, whole)
    if schema.get("examples"):
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return likely(schema["anyOf"][0], whole)
    if schema.get("type") == "object":
        return {n: likely(one, whole) for n, one in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [likely(schema.get("items", {}), whole)]
    return {"integer": 1, "number": 0.5, "boolean": True}.get(schema.get("type", ""), "x")


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every place in a value, itself too."""
    yield ()
    keys: list[Any] = list(value) if isinstance(value, dict) else []
    if isinstance(value, list):
        keys = list(range(len(value)))
    for key in keys:
        yield from ((key, *way) for way in places(value[key]))


def replaced(value: Any, way: tuple[Any, ...], odd: Any) -> Any:
    """Return a value with something else in one place."""
    if not way:
        return odd
    made = value.copy()
    made[way[0]] = replaced(value[way[0]], way[1:], odd)
    return made


ODDITIES: list[Any] = [
    None,
    True,
    -1,
    2**63,
    2**70,
    10**400,
    1e308,
    "",
    "\0",
    "é" * 300,
    "x" * 70_000,
    [],
    {},
]


def oddities(world: Operators) -> Iterator[tuple[str, str, dict[str, Any], Any]]:
    """Yield a request of every route for every odd value in every place, all else likely."""
    whole = world.app.openapi()
    known = {"device": DEVICE, "model": MODEL, "bundle": world.bundle, "task": world.task}
    for template, item in whole["paths"].items():
        if not template.startswith("/v1/") or template.startswith((*SLOW, *DEVICE_DOOR)):
            continue
        for method, operation in item.items():
            given = operation.get("parameters", [])
            values = {p["name"]: known.get(p["name"]) or likely(p["schema"], whole) for p in given}
            for parameter in given:
                for odd in ODDITIES:
                    yield _with(method, template, given, values | {parameter["name"]: odd})
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is not None:
                body = likely(content["schema"], whole)
                for way in places(body):
                    for odd in ODDITIES:
                        made = _with(method, template, given, values)
                        yield *made[:3], replaced(body, way, odd)


def _with(
    method: str, template: str, given: list[dict[str, Any]], values: dict[str, Any]
) -> tuple[str, str, dict[str, Any], Any]:
    query = {}
    for parameter in given:
        value = values[parameter["name"]]
        if parameter["in"] == "path":
            text = str(value if value != 10**400 else 10**40)[:2000].replace("/", "_") or "_"
            template = template.replace("{" + parameter["name"] + "}", text)
        elif parameter["in"] == "query":
            query[parameter["name"]] = value if value != 10**400 else 10**40
    return method.upper(), template, query, None


def test_an_odd_value_in_any_place_breaks_nothing(world: Operators) -> None:
    broken = []
    for method, path, query, body in oddities(world):
        answer = world.ask(method, path, body, asked=query)
        if answer.status >= 500:
            broken.append((method, path[:80], str(query)[:80], str(body)[:80], answer.status))
    assert broken == []


@st.composite
def requests(draw: st.DrawFn, world: Operators) -> tuple[str, str, dict[str, Any], Any]:
    """Draw a request of some route."""
    whole = world.app.openapi()
    paths = [p for p in whole["paths"] if p.startswith("/v1/") and not p.startswith(SLOW)]
    template = draw(st.sampled_from([p for p in paths if p not in DEVICE_DOOR]))
    method = draw(st.sampled_from(sorted(whole["paths"][template])))
    operation = whole["paths"][template][method]
    known = {"device": DEVICE, "model": MODEL, "bundle": world.bundle, "task": world.task}
    known |= {"which": "1", "deployment": "default"}
    query: dict[str, Any] = {}
    for parameter in operation.get("parameters", ()):
        name, schema = parameter["name"], parameter.get("schema", {})
        if parameter["in"] == "path":
            likely = st.just(known[name]) if name in known else st.just("1")
            text = draw(likely | TEXT | WORDS).replace("/", "_") or "_"
            template = template.replace("{" + name + "}", text)
        elif parameter["in"] == "query" and draw(st.booleans()):
            query[name] = draw(value_of(schema, whole))
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    body = None if content is None else draw(value_of(content["schema"], whole) | ODD)
    return method.upper(), template, query, body


@settings(
    max_examples=300,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_no_request_breaks_the_api(world: Operators, data: st.DataObject) -> None:
    method, path, query, body = data.draw(requests(world))
    answer = world.ask(method, path, body, asked=query)
    assert answer.status < 500, answer.body
    if answer.status >= 400:
        assert "\n" not in answer.json["detail"]
