# SPDX-License-Identifier: Apache-2.0
"""A child of `conformance.crew` that does as it is told: answers, prints, raises, hangs."""

import os
import signal
import sys
import time
from typing import Any

from conformance import worker

Answer = dict[str, Any]


def pid(task: worker.Task) -> Answer:  # noqa: ARG001 (a role)
    return {"pid": os.getpid()}


def mixed(task: worker.Task) -> Answer:
    match task["do"]:
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exit":
            os._exit(3)
        case "raise":
            raise ValueError("no")
        case "hang":
            time.sleep(60)
        case "print":
            sys.stdout.write("loud\n")
            sys.stdout.flush()
    return {"did": task["do"]}


worker.ROLES |= {"pid": pid, "mixed": mixed}

if __name__ == "__main__":
    worker.main(sys.argv[1], int(sys.argv[2]))
