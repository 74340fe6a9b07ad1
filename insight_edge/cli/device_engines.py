# SPDX-License-Identifier: Apache-2.0
"""The engines of this machine: each as the environment has it that devices are stood in for with.

An engine without such an environment is asked for in this one. The environments
are asked at once, each by a child process of its own.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from insight_edge.cli.agent_facts import COMMAND, TIMEOUT_S
from insight_edge.compile.toolchains.environments import device_python
from insight_edge.documents.codec import decode_json
from insight_edge.documents.facts import EngineFacts, Facts, Missing
from insight_edge.errors import DocumentError
from insight_edge.runtime.loading import engine_facts

Engines = dict[str, EngineFacts | Missing]


def engines_here() -> Engines:
    """Return every declared engine by token, with its version, or why it does not work here."""
    found = engine_facts()
    pythons = {token: device_python(token) for token in found}
    asked = {token: python for token, python in pythons.items() if python is not None}
    with ThreadPoolExecutor(max(1, len(asked))) as pool:
        told = pool.map(_asked, asked.keys(), asked.values())
        return found | dict(zip(asked, told, strict=True))


def _asked(token: str, python: Path) -> EngineFacts | Missing:
    """Return what an environment says of its engine."""
    try:
        command = [str(python), "-P", *COMMAND]
        done = subprocess.run(command, capture_output=True, check=True, timeout=TIMEOUT_S)
        found = decode_json(Facts, done.stdout).engines.get(token)
    except (OSError, subprocess.SubprocessError, DocumentError) as error:
        return Missing(name=token, reason=f"the environment 'device-{token}' fails: {error}")
    if found is None:
        return Missing(name=token, reason=f"the environment 'device-{token}' does not have it")
    return found
