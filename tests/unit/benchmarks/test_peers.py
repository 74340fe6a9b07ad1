# SPDX-License-Identifier: Apache-2.0
"""A peer in a process of its own, and what becomes of one that ends."""

import operator
import os
from functools import partial

import numpy as np
import pytest

from benchmarks.peers import Peer
from insight_edge.errors import MeasurementError

ROWS = np.arange(6, dtype=np.float32).reshape(3, 2)


def test_peer_answers_all_rows_and_times_single_ones() -> None:
    with Peer(partial(partial, operator.mul, 2), ROWS) as peer:
        np.testing.assert_array_equal(peer.answers, 2 * ROWS)
        durations = peer.block(7)
    assert durations.shape == (7,)
    assert (durations > 0).all()


def test_peer_that_ends_is_an_error() -> None:
    with pytest.raises(MeasurementError, match="ended"):
        Peer(partial(os._exit, 3), ROWS)
