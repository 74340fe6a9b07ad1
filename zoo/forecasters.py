# SPDX-License-Identifier: Apache-2.0
"""Forecasters of time series: an LSTM, a GRU and a temporal convolutional network."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from torch.nn.functional import mse_loss

from zoo.member import Card, Data
from zoo.series import blood_pressure, carbon_dioxide, electricity
from zoo.training import Schedule, answers, trained
from zoo.writing import (
    compiled_with,
    write_card,
    write_description,
    write_onnx,
    write_program,
    write_rows,
)


@dataclass(frozen=True, kw_only=True)
class _Task:
    family: str
    series: Callable[[int, int], Data]
    steps: int
    horizon: int
    told: str
    data: str
    licence: str
    schedule: Schedule


_TASKS = {
    "lstm": _Task(
        family="LSTM forecaster",
        series=electricity,
        steps=96,
        horizon=24,
        told="demand of electricity in the next 24 hours, from the last 96",
        data="statsmodels 0.15.0: tests/results/mstl_elec_vic.csv, hours of 2012",
        licence="BSD-3-Clause (statsmodels); Australian Energy Market Operator",
        schedule=Schedule(steps=200, batch=32, rate=2e-3),
    ),
    "gru": _Task(
        family="GRU forecaster",
        series=carbon_dioxide,
        steps=52,
        horizon=4,
        told="changes of CO2 over Mauna Loa in the next 4 weeks, from the last 52",
        data="statsmodels 0.15.0: datasets/co2, weeks from 1958 to 2001",
        licence="public domain",
        schedule=Schedule(steps=200, batch=32, rate=2e-3),
    ),
    "tcn": _Task(
        family="TCN forecaster",
        series=blood_pressure,
        steps=48,
        horizon=6,
        told="arterial pressure in the next 6 samples, from the last 48",
        data="aeon 1.6.0: datasets/data/KDD-TSAD_135, of the UCR Anomaly Archive",
        licence="BSD-3-Clause (aeon); UCR Time Series Anomaly Archive",
        schedule=Schedule(steps=200, batch=32, rate=2e-3),
    ),
}


def make_forecaster(name: str, place: Path, effort: float) -> Card:
    """Write a network that says what comes next."""
    task = _TASKS[name]
    data = task.series(task.steps, task.horizon)
    net = trained(name, data.training, task.schedule.shortened(effort), mse_loss, threads=1)
    calibration, verification = compiled_with(data)
    windows, truth = verification.inputs["x"], np.asarray(verification.labels)
    convolutional = name == "tcn"
    path = (
        write_onnx(net, windows, place, name="x")
        if convolutional
        else write_program(net, windows, place)
    )
    write_rows(place, calibration, verification)
    write_description(path, name=name, task="forecasting")
    error = float(np.abs(answers(net, windows) - truth).mean())
    lazy = float(np.abs(windows[:, -1:, 0] - truth).mean())
    return write_card(
        place,
        Card(
            name=name,
            family=task.family,
            file=path.name,
            task=task.told,
            data=f"{task.data}; trained on the first 70 %, proven on the rest",
            licence=task.licence,
            metric="mean absolute error over that of repeating the last value",
            value=error / lazy,
            labelled=True,
            rows={
                "training": len(data.training),
                "calibration": len(calibration),
                "verification": len(verification),
            },
            note="windows overlap",
        ),
    )


make_lstm, make_gru, make_tcn = (partial(make_forecaster, name) for name in _TASKS)
