# SPDX-License-Identifier: Apache-2.0
"""Facts of this machine for the agent, found out by a child process.

Engine plug-ins bring libraries along that the agent would carry for as long as it runs, and
one that crashes when it is asked must not take the agent with it.
"""

import subprocess
import sys

from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.facts import Facts
from insight_edge.errors import ConfigurationError, DocumentError

TIMEOUT_S = 120.0

COMMAND = ("-m", "insight_edge.cli.agent_facts")
"""What a Python prints the facts with."""


def facts_from_child() -> Facts:
    """Return the facts.

    Raises:
        ConfigurationError: the child process failed.
    """
    try:
        command = [sys.executable, *COMMAND]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=TIMEOUT_S)
        return decode_json(Facts, done.stdout)
    except (OSError, subprocess.SubprocessError, DocumentError) as error:
        raise ConfigurationError(
            f"the facts of this machine cannot be found out: {error}",
            hint="insight-edge profiles list shows what fails",
        ) from error


def main() -> None:
    """Print the facts."""
    from insight_edge.bench.machine import machine_facts
    from insight_edge.runtime.loading import engine_facts

    sys.stdout.buffer.write(encode_json(machine_facts(engine_facts())))


if __name__ == "__main__":
    main()
