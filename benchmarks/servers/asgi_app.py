# SPDX-License-Identifier: Apache-2.0
"""The least that a server in Python can be: the floats of a row in, floats out, no word about them.

Usage: asgi_app.py PORT. It is uvicorn with its C parser and C loop, and asks on that loop.
"""

import json
import os
import sys
from typing import Any

import numpy as np
import uvicorn
from onnx_session import session

run = session()
shape = json.loads(os.environ["SERVED_SHAPE"])


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer one request."""
    del scope
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message["body"])
        more = message["more_body"]
    rows = np.frombuffer(b"".join(parts), np.float32).reshape(1, *shape)
    answer = run(rows).tobytes()
    length = (b"content-length", b"%d" % len(answer))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]),
        log_level="warning", access_log=False, lifespan="off",
    )  # fmt: skip
