# SPDX-License-Identifier: Apache-2.0
"""Models of scikit-learn: a small network, a random forest and gradient boosting."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from zoo.member import SEED, Card, Data
from zoo.tables import affairs, digits, segments
from zoo.writing import compiled_with, write_card, write_description, write_estimator, write_rows


@dataclass(frozen=True, kw_only=True)
class _Task:
    family: str
    table: Callable[[], Data]
    estimator: Callable[[float], Any]
    told: str
    data: str
    licence: str


def _mlp(effort: float) -> Any:
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    epochs = max(1, round(60 * effort))
    net = MLPClassifier((128, 64), max_iter=epochs, tol=0, n_iter_no_change=epochs + 1,
                        random_state=SEED)  # fmt: skip
    return make_pipeline(StandardScaler(), net)


def _forest(effort: float) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(max(2, round(200 * effort)), random_state=SEED)


def _boosting(effort: float) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(n_estimators=max(2, round(150 * effort)), random_state=SEED)


_TASKS = {
    "mlp": _Task(
        family="multi-layer perceptron",
        table=digits,
        estimator=_mlp,
        told="which digit 8 x 8 pixels are",
        data="scikit-learn 1.9.1: load_digits",
        licence="UCI Optical Recognition of Handwritten Digits, CC BY 4.0",
    ),
    "forest": _Task(
        family="random forest",
        table=segments,
        estimator=_forest,
        told="what a patch of an outdoor picture shows, by 18 figures of it",
        data="river 0.26.1: datasets/segment.csv.zip",
        licence="UCI Image Segmentation, CC BY 4.0",
    ),
    "boosting": _Task(
        family="gradient boosting",
        table=affairs,
        estimator=_boosting,
        told="whether a woman asked in 1974 had an affair",
        data="statsmodels 0.15.0: datasets/fair",
        licence="public domain",
    ),
}


def make_estimator(name: str, place: Path, effort: float) -> Card:
    """Write a classifier of scikit-learn."""
    import warnings

    task = _TASKS[name]
    data = task.table()
    estimator = task.estimator(effort)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of epochs that were not enough, as was asked for
        estimator.fit(data.training.inputs["X"], data.training.labels)
    calibration, verification = compiled_with(data)
    path = write_estimator(estimator, place)
    write_rows(place, calibration, verification)
    write_description(path, name=name, task="tabular-classification", classes=data.classes)
    return write_card(
        place,
        Card(
            name=name,
            family=task.family,
            file=path.name,
            task=task.told,
            data=f"{task.data}; 60 % trained on, 40 % proven on",
            licence=task.licence,
            metric="accuracy",
            value=float(estimator.score(verification.inputs["X"], verification.labels)),
            labelled=True,
            rows={
                "training": len(data.training),
                "calibration": len(calibration),
                "verification": len(verification),
            },
        ),
    )


make_mlp, make_forest, make_boosting = (partial(make_estimator, name) for name in _TASKS)
