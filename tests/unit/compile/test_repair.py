# SPDX-License-Identifier: Apache-2.0
"""What is tried, in which order, and when no more is; builds and proofs are planted."""

from collections.abc import Callable
from pathlib import Path

import pytest

from insight_edge.compile.building.outcome import BuildOutcome, Built, Failed
from insight_edge.compile.job import Artifact
from insight_edge.compile.quantize.sensitivity import SENSITIVITY_FILE, Layer, Sensitivity
from insight_edge.compile.trials.examine import Finding
from insight_edge.compile.trials.package import Part
from insight_edge.compile.trials.repair import Repair, is_mendable
from insight_edge.compile.trials.verify import no_rows
from insight_edge.documents.codec import encode_json
from insight_edge.documents.evidence import Proof, ProofVerdict
from insight_edge.documents.target import Target, target_from_token

FAILED = Failed(reason="killed by signal 9", build_s=1.0, peak_rss_bytes=0, log="")
LAYERS = 16


def proof(verdict: ProofVerdict, rows: int = 500) -> Proof:
    fields = {name: getattr(no_rows(1.0), name) for name in Proof.__struct_fields__}
    return Proof(**(fields | {"verdict": verdict, "rows": rows}))


def finding(
    target: str = "onnxruntime:int8", verdict: ProofVerdict = "FAILED", rows: int = 500
) -> Finding:
    built = Built(
        artifact=Artifact(entry="a", files=("a",)), files=(), directory=Path(), build_s=1.0,
        peak_rss_bytes=0, log="",
    )  # fmt: skip
    part = Part(target=target_from_token(target), built=built)
    return Finding(part=part, proof=proof(verdict, rows))


class Bench:
    """Builds anything; artifacts pass while at least `needs` layers stay in floating point."""

    def __init__(self, folder: Path, needs: int, broken: Callable[[Target], bool]) -> None:
        self._folder = folder
        self._needs = needs
        self._broken = broken
        self.tried: list[int] = []
        names = [f"l{index}" for index in range(LAYERS)]
        layers = [Layer(name=n, op="Conv", members=(n,), why="deep", sqnr_db=5.0) for n in names]
        (folder / SENSITIVITY_FILE).write_bytes(encode_json(Sensitivity(layers=tuple(layers))))

    def build(self, target: Target, seconds: float) -> BuildOutcome:
        assert seconds > 0
        if self._broken(target):
            return FAILED
        return Built(
            artifact=Artifact(entry="a", files=("a",)), files=(), directory=self._folder,
            build_s=1.0, peak_rss_bytes=0, log="",
        )  # fmt: skip

    def look(self, part: Part) -> Finding:
        count = len(part.target.options["left_out"])
        self.tried.append(count)
        return Finding(part=part, proof=proof("PROVEN" if count >= self._needs else "FAILED"))


def repaired(
    folder: Path,
    needs: int,
    broken: Callable[[Target], bool] = lambda _: False,
    budget_s: float = 1000.0,
) -> tuple[Repair, Bench, list[Part]]:
    bench = Bench(folder, needs, broken)
    repair = Repair(build=bench.build, budget_s=budget_s, tell=lambda _: None)
    return repair, bench, repair([finding()], bench.look)


def test_layers_are_given_back_to_int8_until_the_proof_fails(tmp_path: Path) -> None:
    _, bench, [part] = repaired(tmp_path, needs=3)
    assert bench.tried == [8, 4, 2]
    assert [layer.name for layer in part.float_layers] == ["l0", "l1", "l2", "l3"]
    assert part.target.token == "onnxruntime:int8+mixed"
    assert part.name == "onnxruntime-int8-mixed"


def test_one_layer_is_enough_where_it_is(tmp_path: Path) -> None:
    _, bench, [part] = repaired(tmp_path, needs=1)
    assert bench.tried == [8, 4, 2, 1]
    assert len(part.float_layers) == 1


def test_nothing_riskier_is_tried_where_the_safest_fails(tmp_path: Path) -> None:
    repair, bench, [part] = repaired(tmp_path, needs=LAYERS)
    assert bench.tried == [8]
    assert len(part.float_layers) == 8
    assert len(repair.done) == 1


def test_scan_that_dies_is_a_failed_repair(tmp_path: Path) -> None:
    repair, bench, parts = repaired(tmp_path, 1, lambda target: "sensitivity" in target.options)
    assert (parts, bench.tried) == ([], [])
    [one] = repair.done
    assert isinstance(one.outcome, Failed)
    assert one.outcome.reason == "no layer was measured: killed by signal 9"
    assert one.target.token == "onnxruntime:int8+mixed"


def test_build_that_dies_ends_the_repair_with_what_there_is(tmp_path: Path) -> None:
    _, bench, [part] = repaired(
        tmp_path, 1, lambda target: len(target.options.get("left_out", ())) == 2
    )
    assert bench.tried == [8, 4]
    assert len(part.float_layers) == 4


def test_without_time_left_the_first_that_passes_stays(tmp_path: Path) -> None:
    _, bench, [part] = repaired(tmp_path, needs=1, budget_s=1e-9)
    assert bench.tried == [8]
    assert len(part.float_layers) == 8
    repair, bench, parts = repaired(tmp_path, needs=1, budget_s=0.0)
    assert (repair.done, bench.tried, parts) == ([], [], [])


@pytest.mark.parametrize(
    ("found", "mendable"),
    [
        (finding(), True),
        (finding("openvino:int8"), True),
        (finding(verdict="UNPROVEN"), True),
        (finding(verdict="PROVEN"), False),
        (finding(rows=200), False),
        (finding("openvino:bf16"), False),
        (finding("openvino:int8+weights"), False),
        (finding("nobody:int8"), False),
    ],
    ids=["failed", "openvino", "unproven", "proven", "few-rows", "bf16", "weights", "no-backend"],
)
def test_only_int8_that_loses_too_much_is_mended(found: Finding, *, mendable: bool) -> None:
    assert is_mendable(found) is mendable
