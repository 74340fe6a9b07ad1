# SPDX-License-Identifier: Apache-2.0
"""Serve an app until the process is told to end, and then end soon.

Pages that are open in browsers have connections that last; whoever holds some is told
first, so that nothing is waited for.
"""

import threading
from types import FrameType

import uvicorn
from fastapi import FastAPI

PATIENCE_S = 5
"""For requests that are being answered when the process is told to end."""


class Server(uvicorn.Server):
    """A server that says when it is told to end.

    Args:
        config: as uvicorn has it.
        stopping: is set then.
    """

    def __init__(self, config: uvicorn.Config, stopping: threading.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Tell it and end."""
        self._stopping.set()
        super().handle_exit(sig, frame)


def serve(app: FastAPI, host: str, port: int, stopping: threading.Event) -> None:
    """Serve until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # anyone on this machine could say where they come from
        timeout_graceful_shutdown=PATIENCE_S,
    )
    Server(config, stopping).run()
