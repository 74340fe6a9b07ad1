# SPDX-License-Identifier: Apache-2.0
"""Models of frameworks that the workshop's environment does not have, made where they are.

Run as a file by the interpreter of a toolchain's environment: arguments are the
token of the framework, what to make and the path to save it to. `rows.npz`
beside it has rows and the framework's own answers. Nothing heavy is imported by
tests that ask for one.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Framework:
    """Where a framework is, and how its files are called."""

    environment: str
    suffix: str


FRAMEWORKS = {
    "xgboost": Framework(environment="toolchain-trees", suffix=".ubj"),
    "lightgbm": Framework(environment="toolchain-trees", suffix=".txt"),
    "tensorflow": Framework(environment="toolchain-tensorflow", suffix=".keras"),
    "tflite": Framework(environment="toolchain-tensorflow", suffix=".tflite"),
}


def made_apart(token: str, path: Path, kind: str = "regression") -> Path:
    """Have a model made in the framework's environment; skip where that is not installed."""
    import pytest

    from insight_edge.compile.toolchains.environments import environment_python
    from insight_edge.errors import ToolchainMissingError

    try:
        python = environment_python(FRAMEWORKS[token].environment)
    except ToolchainMissingError as error:
        pytest.skip(f"{error} ({error.hint})")
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [str(python), __file__, token, kind, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return path


def _table(classes: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    rows = random.normal(size=(300, 5)).astype(np.float32)
    score = rows[:, 0] + rows[:, 1] * rows[:, 2]
    if not classes:
        return rows, score
    return rows, np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))


def _xgboost(kind: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    import xgboost

    if kind == "stopped":
        return _stopped_early(path)
    objectives = {
        "regression": "reg:squarederror",
        "poisson": "count:poisson",
        "dart": "reg:squarederror",
        "linear": "reg:squarederror",
        "binary": "binary:logistic",
        "logistic": "reg:logistic",
        "logitraw": "binary:logitraw",
        "classes": "multi:softprob",
        "softmax": "multi:softmax",
        "rank": "rank:pairwise",
        "missing": "binary:logistic",
        "categories": "reg:squarederror",
    }
    classes = {"classes": 3, "softmax": 3, "regression": 0, "poisson": 0, "dart": 0, "linear": 0}
    rows, answers = _table(0 if kind == "categories" else classes.get(kind, 2))
    asked = {"objective": objectives[kind], "max_depth": 3, "nthread": 1}
    asked |= {"num_class": 3} if kind in {"classes", "softmax"} else {}
    asked |= {"booster": "dart", "rate_drop": 0.3} if kind == "dart" else {}
    asked |= {"booster": "gblinear"} if kind == "linear" else {}
    options = {}
    if kind == "missing":
        rows[::3, 0] = np.nan
    if kind == "categories":
        rows[:, 0] = np.arange(len(rows)) % 6
        answers = answers + np.asarray([3, -2, 5, 0, -4, 1])[np.arange(len(rows)) % 6]
        options = {"feature_types": ["c", "q", "q", "q", "q"], "enable_categorical": True}
        asked |= {"max_cat_to_onehot": 1}
    if kind == "rank":
        options = {"group": [len(rows)]}
    data = xgboost.DMatrix(rows, np.abs(answers), **options)
    booster = xgboost.train(asked, data, 8)
    booster.save_model(path)
    return rows, booster.predict(data).reshape(len(rows), -1)


def _stopped_early(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A wrapper that goes on for three trees after its best, and answers without those."""
    import xgboost

    rows, labels = _table(3)
    model = xgboost.XGBClassifier(n_estimators=200, early_stopping_rounds=3, n_jobs=1)
    model.fit(rows[::2], labels[::2], eval_set=[(rows[1::2], labels[1::2])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    model.save_model(path)
    return rows, model.predict_proba(rows)


def _lightgbm(kind: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    import lightgbm

    classes = {"classes": 3, "binary": 2, "missing": 2, "steep": 2, "shares": 2}
    rows, answers = _table(classes.get(kind, 0))
    rows = np.asarray(rows, np.float64) / 3  # thresholds that are no float32
    objectives = {"classes": "multiclass", "binary": "binary", "missing": "binary"}
    objectives |= {"poisson": "poisson", "fair": "fair"}
    objectives |= {"steep": "binary", "shares": "cross_entropy"}
    asked = {"objective": objectives.get(kind, "regression"), "verbose": -1, "num_threads": 1}
    asked |= {"num_class": 3} if kind == "classes" else {}
    asked |= {"zero_as_missing": True} if kind == "zeros" else {}
    asked |= {"sigmoid": 0.7} if kind == "steep" else {}
    if kind == "zeros":
        rows[::3, 0] = 0
    if kind == "forest":
        asked |= {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}
    if kind == "missing":
        rows[::3, 0] = np.nan
    options = {}
    if kind == "categories":
        rows[:, 0] = np.arange(len(rows)) % 6
        answers = answers + np.asarray([3, -2, 5, 0, -4, 1])[np.arange(len(rows)) % 6]
        options = {"categorical_feature": [0]}
    data = lightgbm.Dataset(rows, np.abs(answers), **options)
    booster = lightgbm.train(asked, data, 8)
    booster.save_model(path)
    rows = rows.astype(np.float32)
    return rows, booster.predict(rows).reshape(len(rows), -1)


def _keras(kind: str) -> Any:
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    if kind == "regression":
        given = layers.Input((5,), name="x")
        model = keras.Sequential([given, layers.Dense(8, "gelu"), layers.Dense(2)])
    elif kind == "image":
        stack = [layers.Input((12, 12, 3)), layers.Conv2D(4, 3), layers.BatchNormalization()]
        stack += [layers.ReLU(), layers.DepthwiseConv2D(3, padding="same")]
        stack += [layers.GlobalAveragePooling2D(), layers.Dense(3, "softmax", name="classes")]
        model = keras.Sequential(stack)
    elif kind == "scaled":
        scaling = layers.Normalization(mean=np.arange(4.0), variance=np.arange(1.0, 5.0))
        model = keras.Sequential([layers.Input((4,)), scaling, layers.Dense(2)])
    elif kind == "words":
        names = layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot", name="names")
        inner = keras.Sequential([layers.Input((1,), dtype="string"), names])
        model = keras.Sequential([layers.Input((1,), dtype="string"), inner, layers.Dense(2)])
    elif kind == "ids":
        ids = layers.IntegerLookup(vocabulary=[3, 5], name="names")
        model = keras.Sequential([layers.Input((1,), dtype="int64"), ids, layers.Embedding(3, 2)])
    elif kind == "stateful":
        given = layers.Input(batch_shape=(1, 6, 4))
        model = keras.Model(given, layers.LSTM(3, stateful=True)(given))
    elif kind == "series":
        stack = [layers.Input((12, 4)), layers.LSTM(8, return_sequences=True), layers.GRU(4)]
        model = keras.Sequential([*stack, layers.Dense(2)])
    elif kind == "attention":
        given = layers.Input((10, 16), name="tokens")
        mixed = layers.LayerNormalization()(layers.MultiHeadAttention(2, 8)(given, given) + given)
        pooled = layers.GlobalAveragePooling1D()(layers.Dense(4, "gelu")(mixed))
        model = keras.Model(given, pooled)
    elif kind == "two":
        one, other = layers.Input((4,), name="one"), layers.Input((4,), dtype="int32", name="other")
        table = layers.Flatten()(layers.Embedding(10, 3)(other))
        joined = layers.Concatenate()([one, table])
        faces = [layers.Dense(2, name="p")(joined), layers.Dense(3, "sigmoid", name="q")(joined)]
        model = keras.Model([one, other], faces)
    else:
        stack = [layers.Input((5,)), layers.Lambda(lambda x: x + 1), layers.Dense(2)]
        model = keras.Sequential(stack)
    return model


def _tensorflow(kind: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    model = _keras(kind)
    if path.suffix:
        model.save(path)
    elif path.name == "called":
        import tensorflow as tf

        serve = tf.function(model).get_concrete_function(tf.TensorSpec((None, 4), name="given"))
        tf.saved_model.save(model, path, signatures={"score": serve})
    else:
        model.export(path, verbose=False)
    random = np.random.default_rng(0)
    rows = random.normal(size=(model.inputs[0].shape[0] or 3, *model.inputs[0].shape[1:]))
    rows = rows.astype({"words": np.str_, "ids": np.int64}.get(kind, np.float32))
    given = [rows, np.zeros((3, 4), np.int32)] if kind == "two" else rows
    answers = model(given, training=False)
    return rows, np.asarray(answers[-1] if kind == "two" else answers)


def _tflite(kind: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    import keras
    import tensorflow as tf

    if kind == "state":
        counter = _Counter(tf)
        functions = [counter.add.get_concrete_function()]
        converter = tf.lite.TFLiteConverter.from_concrete_functions(functions, counter.module)
        converter.experimental_enable_resource_variables = True
        path.write_bytes(converter.convert())
        return np.zeros((1, 4), np.float32), np.zeros((1, 4), np.float32)
    model = _keras(kind if kind in {"regression", "attention", "two"} else "image")
    if kind == "dynamic":
        model = keras.Sequential([keras.layers.Input((64,)), keras.layers.Dense(64)])
    if kind == "tanh":
        model = keras.Sequential([keras.layers.Input((6,)), keras.layers.Activation(_tanh_gelu)])
    random = np.random.default_rng(0)
    rows = random.normal(size=(model.inputs[0].shape[0] or 3, *model.inputs[0].shape[1:]))
    rows = rows.astype(np.float32)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind in {"eight bits", "dynamic"}:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "eight bits":
        converter.representative_dataset = lambda: ([row[None]] for row in rows)
    path.write_bytes(converter.convert())
    given = [rows, np.zeros((3, 4), np.int32)] if kind == "two" else rows
    answers = model(given, training=False)
    return rows, np.asarray(answers[-1] if kind == "two" else answers)


def _tanh_gelu(x: Any) -> Any:
    import keras

    return keras.activations.gelu(x, approximate=True)


class _Counter:
    """A model that adds up what it is given."""

    def __init__(self, tf: Any) -> None:
        self.module = tf.Module()
        total = self.module.total = tf.Variable(tf.zeros((1, 4)))
        signature = [tf.TensorSpec((1, 4), tf.float32, name="x")]
        self.add = tf.function(lambda x: total.assign_add(x) + 0.0, input_signature=signature)


MAKERS = {
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "tensorflow": _tensorflow,
    "tflite": _tflite,
}

if __name__ == "__main__":
    place = Path(sys.argv[3])
    asked_rows, found = MAKERS[sys.argv[1]](sys.argv[2], place)
    np.savez(place.parent / "rows.npz", rows=asked_rows, answers=found)
