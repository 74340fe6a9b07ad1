# SPDX-License-Identifier: Apache-2.0
"""Addresses, codings, pace, the line of calls, and counts as others read them."""

import asyncio
import gzip
import re
import threading
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.serve.calls import Calls
from insight_edge.serve.coding import decoded, encoded, json_length
from insight_edge.serve.exposition import exposition
from insight_edge.serve.head import Head
from insight_edge.serve.pace import LOOKED_AT, SHORT_NS, SMALL_BYTES, Pace
from insight_edge.serve.refusal import RefusedError
from insight_edge.serve.routes import Route, route
from insight_edge.serve.statistics import statistics
from insight_edge.serve.tally import Spent, Tally


def asking(**fields: str) -> Head:
    named = {name.replace("_", "-"): text for name, text in fields.items()}
    return Head("POST", "/v2", named, 0, keep_alive=True, expects=False)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v2", Route("server")),
        ("GET", "/v2/", Route("server")),
        ("GET", "/v2/health/live", Route("live")),
        ("GET", "/v2/models/stats", Route("all stats")),
        ("GET", "/v2/models/m", Route("model", "m")),
        ("GET", "/v2/models/a%20b%2Fc/ready", Route("model ready", "a b/c")),
        ("GET", "/v2/models/m/versions/3", Route("model", "m", "3")),
        ("POST", "/v2/models/m/versions/3/infer", Route("infer", "m", "3")),
        ("POST", "/v2/repository/index", Route("index")),
    ],
)
def test_address_means_one_thing(method: str, path: str, expected: Route) -> None:
    assert route(method, path) == expected


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v3", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/v2/models/m/versions", 404),
        ("GET", "/v2/models/m/config", 404),
        ("GET", "/v2/../metrics", 404),
        ("GET", "/v2/models/m/infer", 405),
        ("POST", "/v2", 405),
        ("HEAD", "/v2/health/live", 405),
    ],
)
def test_address_that_is_none_is_refused(method: str, path: str, status: int) -> None:
    with pytest.raises(RefusedError) as refused:
        route(method, path)
    assert refused.value.status == status
    assert not refused.value.closes


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "identity", "GZIP"]))
def test_body_is_decoded_as_it_was_encoded(body: bytes, coding: str) -> None:
    sent = {"gzip": gzip.compress(body), "deflate": zlib.compress(body)}.get(coding.lower(), body)
    assert decoded(asking(content_encoding=coding), sent, 300) == body
    packed, told = encoded(asking(accept_encoding=coding), body)
    assert decoded(asking(content_encoding=told or "identity"), packed, 300) == body


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        ("br", b"", 415),
        ("gzip, gzip", b"", 415),
        ("gzip", b"not gzip", 400),
        ("gzip", gzip.compress(b"abc", mtime=0)[:-4], 400),
        ("gzip", gzip.compress(b"abc", mtime=0) + b"more", 400),
        ("gzip", gzip.compress(bytes(10**6), mtime=0), 413),
        ("deflate", zlib.compress(bytes(10**6)), 413),
    ],
)
def test_body_that_is_not_what_it_says_is_refused(coding: str, body: bytes, status: int) -> None:
    with pytest.raises(RefusedError) as refused:
        decoded(asking(content_encoding=coding), body, 1000)
    assert refused.value.status == status


@pytest.mark.parametrize("asked", ["gzip, deflate", "gzip;q=0", "br", "*", ""])
def test_answer_is_not_compressed_for_who_takes_it_as_it_is(asked: str) -> None:
    assert encoded(asking(accept_encoding=asked), b"abc") == (b"abc", None)


@pytest.mark.parametrize("told", ["-1", "1.0", "", "9" * 30])
def test_length_of_json_is_digits(told: str) -> None:
    with pytest.raises(RefusedError):
        json_length(asking(inference_header_content_length=told))


def paced(*inferring_ns: int, bundle: str = "a", length: int = 100) -> Pace:
    pace = Pace()
    for taken_ns in inferring_ns:
        pace.add(bundle, length, taken_ns)
    return pace


def test_short_is_what_was_short_many_times() -> None:
    quick, slow = SHORT_NS // 2, SHORT_NS * 2
    assert not paced().is_short("a", 0)
    assert not paced(*[quick] * (LOOKED_AT - 1)).is_short("a", 100)
    assert paced(*[quick] * LOOKED_AT).is_short("a", 100)
    assert paced(slow, *[quick] * (LOOKED_AT - 1)).is_short("a", 100)
    assert not paced(*[slow] * LOOKED_AT).is_short("a", 100)


def test_short_says_nothing_of_other_bundles_and_larger_bodies() -> None:
    pace = paced(*[1] * LOOKED_AT)
    assert not pace.is_short("a", 101)
    assert not pace.is_short("b", 100)
    pace.add("b", 100, 1)
    assert not pace.is_short("b", 100)
    assert not paced(*[1] * LOOKED_AT, length=2 * SMALL_BYTES).is_short("a", 2 * SMALL_BYTES)


def test_line_that_is_full_refuses_and_goes_on() -> None:
    async def fill() -> tuple[list[int], RefusedError]:
        calls = Calls[int](asyncio.get_running_loop(), threads=1, waiting=1)
        gate, done = threading.Event(), list[int]()
        reached = {1: asyncio.Event(), 3: asyncio.Event()}

        def deliver(number: int) -> None:
            done.append(number)
            if len(done) in reached:
                reached[len(done)].set()

        def hold() -> int:
            gate.wait()
            return 0

        assert calls.submit(hold, deliver, short=False) is None
        assert calls.submit(lambda: 1, deliver, short=True) is None, "one is under way"
        assert (calls.running, calls.waiting) == (1, 1)
        with pytest.raises(RefusedError) as refused:
            calls.submit(lambda: 9, deliver, short=False)
        gate.set()
        await reached[1].wait()
        calls.submit(lambda: 2, deliver, short=False)
        await reached[3].wait()
        assert calls.submit(lambda: 7, deliver, short=True) == 7
        calls.close()
        return done, refused.value

    done, refused = asyncio.run(fill())
    assert done == [0, 1, 2]
    assert refused.status == 503
    assert ("Retry-After", "1") in refused.headers


def test_thread_that_was_busy_last_is_taken_first() -> None:
    async def ask() -> set[int]:
        loop = asyncio.get_running_loop()
        calls = Calls[int](loop, threads=3, waiting=0)
        seen = set()
        for _ in range(20):
            done: asyncio.Future[int] = loop.create_future()
            calls.submit(threading.get_ident, done.set_result, short=False)
            seen.add(await done)
        calls.close()
        return seen

    assert len(asyncio.run(ask())) == 1


def counted() -> Tally:
    tally = Tally()
    tally.requests["infer", 200] = 2
    model = tally.models['odd "name"\\', "3"]
    model.add(Spent(1000, 2000, 90_000, 3000), 4, now_s=12.5)
    model.add(Spent(0, 0, 10**10, 0), 1, now_s=13.5)
    model.add_failed(Spent(5, 5))
    return tally


LINE = re.compile(
    r'(# (HELP|TYPE) \w+ .+)|(\w+(\{(\w+="([^"\\\n]|\\["\\n])*",?)*\})? -?[0-9.e+-]+)'
)


def test_metrics_are_in_the_format_of_prometheus() -> None:
    text = exposition(counted(), {"ready": ("Whether.", 1)})
    lines = text.splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert text.endswith("\n")
    name = r'model="odd \"name\"\\",version="3"'
    assert f'insight_edge_serve_calls_total{{{name},outcome="answered"}} 2' in lines
    assert f'insight_edge_serve_call_seconds_bucket{{{name},le="0.0001"}} 1' in lines
    assert f'insight_edge_serve_call_seconds_bucket{{{name},le="+Inf"}} 2' in lines
    assert f"insight_edge_serve_call_seconds_count{{{name}}} 2" in lines
    assert "insight_edge_serve_ready 1" in lines


def test_statistics_add_up() -> None:
    [model] = statistics(counted()).model_stats
    assert (model.execution_count, model.inference_count, model.last_inference) == (2, 5, 13500)
    spent = model.inference_stats
    phases = (spent.queue, spent.compute_input, spent.compute_infer, spent.compute_output)
    assert sum(phase.ns for phase in phases) == spent.success.ns
    assert (spent.fail.count, spent.fail.ns) == (1, 10)
    assert statistics(counted(), "4").model_stats == ()
