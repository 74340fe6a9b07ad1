# SPDX-License-Identifier: Apache-2.0
"""The data sets that `[data] set = ...` can name."""

from collections.abc import Callable
from difflib import get_close_matches

from insight_cloud.datasets.dataset import Dataset
from insight_cloud.datasets.digits import load_digits
from insight_edge.errors import ConfigurationError

DATASETS: dict[str, Callable[[], Dataset]] = {"digits": load_digits}


def load_dataset(name: str) -> Dataset:
    """Return the data set of that name.

    Raises:
        ConfigurationError: there is none.
    """
    if name not in DATASETS:
        near = get_close_matches(name, DATASETS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(DATASETS)}"
        raise ConfigurationError(f"there is no data set '{name}'", hint=hint)
    return DATASETS[name]()
