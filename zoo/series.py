# SPDX-License-Identifier: Apache-2.0
"""Time series for forecasters, cut into windows: what was, and what comes in the next steps.

The first 70 % of each series is trained on, the rest is proven on; scales are
those of the first part. Windows that follow one another overlap.
"""

import csv
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.member import Data, Rows
from zoo.shipped import shipped

TRAINING_SHARE = 0.7

Values = NDArray[np.float32]


def electricity(steps: int, horizon: int) -> Data:
    """Return hourly demand of electricity in Victoria in 2012, with hour and weekday."""
    path = shipped("statsmodels/tsa/stl/tests/results/mstl_elec_vic.csv")
    rows = _rows(path)
    times = [datetime.fromisoformat(row[0]) for row in rows]
    hours = np.array([time.hour for time in times]) / 24
    days = np.array([time.weekday() for time in times]) / 7
    return _windows(_numbers(rows), steps, horizon, cycles=(hours, days))


def carbon_dioxide(steps: int, horizon: int) -> Data:
    """Return weekly CO2 over Mauna Loa from 1958 to 2001, as change from the week before."""
    rows = _rows(shipped("statsmodels/datasets/co2/co2.csv"))
    weeks = np.array([int(row[0][4:6]) * 30.4 + int(row[0][6:8]) for row in rows]) / 365
    return _windows(np.diff(_numbers(rows)), steps, horizon, cycles=(weeks[1:],))


def blood_pressure(steps: int, horizon: int) -> Data:
    """Return arterial pressure over many beats of the heart, one odd one among them."""
    path = "aeon/datasets/data/KDD-TSAD_135/135_UCR_Anomaly_InternalBleeding16_TEST.csv"
    return _windows(_numbers(_rows(shipped(path))), steps, horizon)


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]


def _numbers(rows: list[list[str]]) -> NDArray[np.float64]:
    """Return the second column, gaps filled by straight lines."""
    values = np.array([float(row[1]) if row[1] else np.nan for row in rows])
    known = np.flatnonzero(np.isfinite(values))
    filled: NDArray[np.float64] = np.interp(np.arange(len(values)), known, values[known])
    return filled


def _windows(
    values: NDArray[np.float64],
    steps: int,
    horizon: int,
    *,
    cycles: tuple[NDArray[np.float64], ...] = (),
) -> Data:
    cut = int(len(values) * TRAINING_SHARE)
    scaled = (values - values[:cut].mean()) / values[:cut].std()
    turns = [turn(2 * np.pi * cycle) for cycle in cycles for turn in (np.sin, np.cos)]
    features = np.stack([scaled, *turns], axis=1).astype(np.float32)
    return Data(
        training=_cut(features[:cut], steps, horizon),
        verification=_cut(features[cut:], steps, horizon),
    )


def _cut(features: Values, steps: int, horizon: int) -> Rows:
    """Return windows (n, steps, features), the series itself the first, and what comes after."""
    starts = range(len(features) - steps - horizon + 1)
    windows = np.stack([features[start : start + steps] for start in starts])
    follow = [features[start + steps : start + steps + horizon, 0] for start in starts]
    return Rows(inputs={"x": windows}, labels=np.stack(follow))
