# SPDX-License-Identifier: Apache-2.0
"""A bundle that jobs may time, offered to a runner without a cloud."""

from dataclasses import dataclass, field
from pathlib import Path

from insight_edge.documents.facts import EngineFacts, Facts
from insight_edge.errors import InsightEdgeError
from insight_edge.fleet.transfer.download import Source
from tests.fakes.bundles import write_small_bundle
from tests.fakes.jobs import NOW_S

ENGINES = {"onnxruntime": EngineFacts(name="onnxruntime", version="1.22.0")}
FACTS = Facts(
    arch="x86_64",
    cpu_model="",
    isa=(),
    cores=2,
    memory_bytes=2**40,
    os="Linux",
    engines=ENGINES,
)


@dataclass
class Offered:
    """A bundle that a slot of the device holds, or an error in its place."""

    place: Path
    now_s: float = NOW_S
    error: InsightEdgeError | None = None
    source: Source = field(default_factory=lambda: Source(cloud="http://127.0.0.1:1"))

    def __post_init__(self) -> None:
        self.bundle = write_small_bundle(self.place / "slots" / "a")

    @property
    def slots(self) -> list[Path]:
        return [self.place]

    def manifest(self, bundle: str) -> tuple[bytes, float]:
        assert bundle == self.bundle
        if self.error is not None:
            raise self.error
        return (self.place / "slots" / "a" / "manifest.json").read_bytes(), self.now_s
