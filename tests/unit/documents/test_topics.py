# SPDX-License-Identifier: Apache-2.0
"""Topics are spelt one way and read back; what is none is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.documents.topics import (
    DOWN,
    UP,
    Kind,
    Topic,
    check_name,
    parse_topic,
    subscription,
)
from insight_edge.errors import DocumentError

names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,62}", fullmatch=True)


@given(names, names, st.sampled_from(Kind))
def test_topic_is_read_back(tenant: str, device: str, kind: Kind) -> None:
    topic = Topic(tenant, device, kind)
    assert parse_topic(str(topic)) == topic


@given(st.text(max_size=80))
def test_any_text_is_a_topic_or_is_refused(text: str) -> None:
    try:
        topic = parse_topic(text)
    except DocumentError:
        return
    assert str(topic) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "ie/v1", "ie/v1/default/d", "ie/v1/default/d/", "ie/v1/default/d/unknown",
        "ie/v1/default/d/report/x", "ie/v1/+/d/report", "ie/v1/default/#/report",
        "ie/v2/default/d/report", "x/ie/v1/default/d/report", "ie/v1/default//report",
        "ie/v1/default/D/report", "ie/v1/default/d/REPORT", "$share/g/ie/v1/default/d/report",
    ],
)  # fmt: skip
def test_what_is_no_topic_is_refused(text: str) -> None:
    with pytest.raises(DocumentError):
        parse_topic(text)


@pytest.mark.parametrize("name", ["", ".", "-a", "_a", "ä", "a\n", "a" * 64, "a/b", "a+b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(DocumentError, match="is not a name"):
        check_name("device", name)


def test_kinds_go_up_or_down_and_a_job_result_is_its_own_kind() -> None:
    assert set(Kind) == UP | DOWN
    assert not UP & DOWN
    assert parse_topic("ie/v1/default/d/job/result").kind is Kind.JOB_RESULT
    assert subscription(Kind.REPORT) == "ie/v1/+/+/report"
    assert subscription(Kind.REPORT, share="ingest") == "$share/ingest/ie/v1/+/+/report"
