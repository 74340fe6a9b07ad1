# SPDX-License-Identifier: Apache-2.0
import msgspec

from insight_edge.bundle.need import ENGINE_BYTES, MEMORY_FACTOR, Need, need_of
from insight_edge.documents.evidence import Trial
from insight_edge.documents.manifest import FileEntry
from insight_edge.documents.target import Target
from tests.fakes.bundles import bundle_variant
from tests.golden.record import EVIDENCE

FILE = FileEntry(path="model.onnx", sha256="0" * 64, length_bytes=1000)


def trial(target: Target, engine_bytes: int | None) -> Trial:
    measured = next(one.measurement for one in EVIDENCE.trials if one.measurement)
    return Trial(
        target=target,
        status=EVIDENCE.trials[0].status,
        reason="",
        measurement=msgspec.structs.replace(measured, engine_bytes=engine_bytes),
    )


def test_need_is_what_the_compilation_measured_of_this_very_target() -> None:
    variant = bundle_variant("v", (FILE,))
    other = Target(backend="openvino", precision="fp32")
    trials = (trial(other, 1), trial(variant.target, 5_000_000))
    assert need_of(variant, trials) == Need(5_000_000, "measured")


def test_need_is_bounded_by_the_files_where_nothing_was_measured() -> None:
    variant = bundle_variant("v", (FILE, FILE))
    bound = Need(ENGINE_BYTES + int(MEMORY_FACTOR * 2000), "bound")
    assert need_of(variant, ()) == bound
    assert need_of(variant, (trial(variant.target, None),)) == bound
