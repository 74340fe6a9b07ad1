# SPDX-License-Identifier: Apache-2.0
"""Loggers for what hardly ever happens: `logging` is imported when something is said."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger


def logger(name: str) -> "Logger":
    """Return the logger of a module."""
    import logging

    return logging.getLogger(name)
