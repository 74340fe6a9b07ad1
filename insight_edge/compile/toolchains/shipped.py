# SPDX-License-Identifier: Apache-2.0
"""Where the data folders that are shipped beside the code lie.

A wheel carries `hardware_profiles` and `locks` inside the package; a checkout
has them at its top.
"""

from pathlib import Path

import insight_edge
from insight_edge.errors import ConfigurationError


def shipped_folder(name: str) -> Path:
    """Return the folder `name` of the installed wheel or of the checkout.

    Raises:
        ConfigurationError: this installation lacks it.
    """
    package = Path(insight_edge.__file__).parent
    for folder in (package / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise ConfigurationError(
        f"this installation lacks its folder '{name}'", hint="install insight-edge again"
    )
