# SPDX-License-Identifier: Apache-2.0
"""What may be said of the latency of an artifact that was asked and could not be timed.

Pure, and little: an emulator's clock says nothing about a processor, and nobody has
measured these artifacts on one of the profile's. The one figure in milliseconds is
what the profile's own figures bound (`selection.roofline`), and says which limits are
out of reach, not which artifact is faster. Of that only this is predicted:

    static INT8     faster, where the processor sums products of bytes in one instruction
                    (`asimddp` on Arm, VNNI on x86). With VNNI engines were measured 2 to 4
                    times as fast as with FP32; what is gained without was not measured
    all others      not faster: FP16 is a way to store weights and computes as FP32, and INT8
                    whose activations are scaled at every inference was measured at twice the
                    time of FP32 on depthwise convolutions

What is shipped by it is chosen by `compile.choose_predicted`.
"""

from msgspec.structs import replace

from insight_edge.compile.plugins.seam import LEFT_OUT, MIXED
from insight_edge.compile.quantize.int8 import slow_because
from insight_edge.compile.targets.plan import ROWLESS, needs_rows
from insight_edge.compile.targets.preflight import roof_of
from insight_edge.documents.evidence import Prediction
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Target
from insight_edge.documents.workload import Workload
from insight_edge.selection.footprint import LEAST_SHARE
from insight_edge.selection.roofline import bound

UNMEASURED = "nothing was measured on this processor"


def predict_bounded(target: Target, profile: HardwareProfile, workload: Workload) -> Prediction:
    """Return what is predicted of a target of a model, with its bound where there is one."""
    predicted = predict(target, profile)
    if set(target.options) - ROWLESS - {MIXED, LEFT_OUT}:
        return predicted  # other hardware than the processor may do the work
    roof = roof_of(profile, target.precision, None)
    found = bound(workload.operations, roof, item_share=LEAST_SHARE[target.precision])
    return replace(predicted, bound_ms=None if found is None else found.latency_ms)


def predict(target: Target, profile: HardwareProfile) -> Prediction:
    """Return what is predicted of any artifact of a target on the profile's processor."""
    if target.precision == "fp32":
        method = f"FP32 is what others are compared with; {UNMEASURED}"
        return Prediction(faster=False, method=method)
    if not needs_rows(target):
        method = f"computes in floating point, or scales at every inference; {UNMEASURED}"
        return Prediction(faster=False, method=method)
    lacks = slow_because(profile.cpu.arch, profile.cpu.isa.value)
    if lacks is not None:
        return Prediction(faster=False, method=f"{lacks}; {UNMEASURED}")
    return Prediction(
        faster=True, method=f"static INT8 on a processor that sums products of bytes; {UNMEASURED}"
    )
