# SPDX-License-Identifier: Apache-2.0
"""The systemd unit of the agent: pure text, with no more rights than it needs.

The application that attaches a runtime runs as the same user, since it shares
the state directory; its own unit is its owner's business. Jobs and servers run as
children of the agent: four fifths of the memory are for all of them, and one that is ended
for want of it does not take the agent with it. When the agent ends, so do jobs, of
themselves; servers go on. What gives way while it loads may come back from that (`LimitNICE`).
GPUs are theirs to use, and no other device.
"""

import re
from pathlib import Path
from typing import Final

from insight_edge.errors import ConfigurationError

NAME: Final = "insight-edge-agent.service"
_PLAIN = re.compile(r"[A-Za-z0-9/._+@-]+")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")

_TEMPLATE = """\
[Unit]
Description=Insight Edge agent
Wants=network-online.target time-sync.target
After=network-online.target time-sync.target

[Service]
Type=exec
User={user}
ExecStart={program} agent run --state {state}
Restart=always
RestartSec=5
KillSignal=SIGTERM
KillMode=process
TimeoutStopSec=90
MemoryMax=80%
OOMPolicy=continue
LimitNICE=+0
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={state}
ProtectHome=read-only
PrivateTmp=yes
DevicePolicy=closed
DeviceAllow=char-nvidia-frontend rw
DeviceAllow=char-nvidia rw
DeviceAllow=char-nvidia-uvm rw
DeviceAllow=char-drm rw
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictSUIDSGID=yes
LockPersonality=yes
CapabilityBoundingSet=

[Install]
WantedBy=multi-user.target
"""


def unit_text(program: Path, state: Path, user: str) -> str:
    """Return the unit.

    Args:
        program: absolute path of `insight-edge`.
        state: absolute path of the agent's state directory.
        user: that it runs as.

    Raises:
        ConfigurationError: a path is not absolute, or something in it means more to systemd.
    """
    for path in (program, state):
        if not path.is_absolute() or _PLAIN.fullmatch(str(path)) is None:
            raise ConfigurationError(
                f"'{path}' cannot stand in a unit",
                hint="an absolute path of letters, digits and / . _ + @ -",
            )
    if _USER.fullmatch(user) is None:
        raise ConfigurationError(f"'{user[:40]}' is no name of a user")
    return _TEMPLATE.format(program=program, state=state, user=user)
