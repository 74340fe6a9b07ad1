# SPDX-License-Identifier: Apache-2.0
"""The plan of a deployment's server on disk: `<deployment>/serve.json`, absent for none."""

from pathlib import Path
from typing import Final

from insight_edge.bundle.durable import replace_file, storing
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.serve_plan import ServePlan
from insight_edge.errors import ConfigurationError, DocumentError

NAME: Final = "serve.json"
MAX_BYTES: Final = 64 * 1024


def read_plan(place: Path) -> ServePlan | None:
    """Return the plan of a deployment, None where nothing is to be served.

    Raises:
        ConfigurationError: what is there is no plan.
    """
    path = place / NAME
    try:
        with path.open("rb") as file:
            return decode_json(ServePlan, file.read(MAX_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, DocumentError) as error:
        raise ConfigurationError(
            f"{path}: cannot be read: {error}", hint="insight-edge agent serve DEPLOYMENT"
        ) from error


def write_plan(place: Path, plan: ServePlan | None) -> None:
    """Keep a plan, or that there is none.

    Raises:
        StorageError: it cannot be written.
    """
    if plan is not None:
        replace_file(place / NAME, encode_json(plan))
        return
    with storing(place / NAME):
        (place / NAME).unlink(missing_ok=True)
