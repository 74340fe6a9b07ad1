# SPDX-License-Identifier: Apache-2.0
"""Examples of what devices and the cloud tell each other, every field filled in."""

from insight_edge.documents.codec import Versioned
from insight_edge.documents.delivery import Ack, Outcome, Predictions, SampleOffer
from insight_edge.documents.desired import (
    Assignment,
    Challenging,
    Desired,
    DirectorKey,
    Directors,
    Envelope,
    Signature,
)
from insight_edge.documents.device import (
    Birth,
    ChallengerState,
    Death,
    DeploymentState,
    Refusal,
    Reported,
)
from insight_edge.documents.enrolment import Broker, EnrolmentRequest, Identity
from insight_edge.documents.facts import Facts
from insight_edge.documents.host import SwapRecord
from insight_edge.documents.job import Bench, Job, JobResult, JobState
from insight_edge.documents.owner import Owner
from insight_edge.documents.result import BenchResult
from insight_edge.documents.serve_plan import ServePlan

AT_S = 1767225600.5


def standing(digest: str, facts: Facts) -> tuple[Versioned, ...]:
    """Return examples of documents that lie in files or are fetched, as JSON."""
    return (
        Desired(
            tenant="default",
            device="pi-7",
            revision=5,
            expires_s=AT_S,
            deployments={
                "camera-1": Assignment(
                    bundle=digest,
                    role="challenger",
                    share=0.25,
                    challenger=Challenging(bundle=digest, cpu_share=0.1, share=0.2, salt="second"),
                )
            },
        ),
        Job(
            tenant="default",
            device="pi-7",
            id="job-7",
            expires_s=AT_S,
            limit_s=600.0,
            when="now",
            withdrawn=True,
            bench=Bench(
                bundle=digest,
                variants=("openvino-int8",),
                threads=4,
                rounds=15,
                iterations=3000,
                seed=3,
                scenario="server",
                rate_per_s=200.0,
                deadline_ms=20.0,
                duration_s=30.0,
            ),
        ),
        Directors(keys=(DirectorKey(key="0" * 64, public="1" * 64),)),
        Owner(tenant="default", device="pi-7", deployment="camera-1"),
        ServePlan(
            host="192.0.2.7",
            port=8443,
            socket="/run/camera-1.sock",
            certificate="/etc/insight-edge/device.pem",
            key="/etc/insight-edge/device-key.pem",
            token_file="/etc/insight-edge/token",
            name="camera",
            threads=2,
            child=True,
            child_memory_mb=512,
        ),
        EnrolmentRequest(
            token="token", device="pi-7", profile="rpi5-8gb", deployments=("camera-1",), facts=facts
        ),
        Identity(
            tenant="default",
            device="pi-7",
            profile="rpi5-8gb",
            secret="secret",
            cloud="https://cloud.example.org",
            broker=Broker(
                host="broker.example.org", port=8883, username="u", password="p", ca="PEM"
            ),
            root="{}",
            deployments=("camera-1",),
        ),
    )


def sent(digest: str, facts: Facts, swap: SwapRecord, result: BenchResult) -> tuple[Versioned, ...]:
    """Return examples of documents that travel over MQTT."""
    refusal = Refusal(
        kind="TamperedError", reason="not what was signed", phase="fetching", bundle=digest,
        at_s=AT_S,
    )  # fmt: skip
    state = DeploymentState(
        phase="probation",
        serving=digest,
        committed=digest,
        target=digest,
        attached=True,
        probation_ends_s=AT_S,
        progress_bytes=5,
        total_bytes=9,
        swap=swap,
        refusal=refusal,
        restored_from=digest,
        challenger=ChallengerState(bundle=digest, phase="refused", refusal=refusal),
    )
    return (
        Envelope(payload="{}", signatures=(Signature(key="0" * 64, value="2" * 128),)),
        Birth(
            tenant="default",
            device="pi-7",
            session="s-1",
            agent="0.1.0",
            profile="rpi5-8gb",
            facts=facts,
            deployments=("camera-1",),
            at_s=AT_S,
        ),
        Death(device="pi-7", session="s-1", reason="stopped"),
        Reported(
            tenant="default",
            device="pi-7",
            revision=5,
            at_s=AT_S,
            held=True,
            lost={"prediction": 3},
            refusal=refusal,
            deployments={"camera-1": state},
            jobs=(JobState(id="job-7", phase="waiting", why="camera-1 is being updated"),),
        ),
        Ack(received=(digest,), uploads={digest: "https://cloud.example.org/v1/samples?x=1"}),
        Predictions(
            device="pi-7",
            deployment="camera-1",
            boot=2,
            counters=(5, 9),
            keys=("frame-5", None),
            bundles=(digest,),
            bundle=(0, 0),
            at_s=(AT_S, AT_S),
            outputs={"label": (("dog",), None), "scores": ((0.25, 0.75), (0.5, 0.5))},
        ),
        SampleOffer(
            device="pi-7",
            deployment="camera-1",
            id="pi-7/camera-1/2/5",
            bundle=digest,
            digest=digest,
            length_bytes=500,
            reason="uncertain",
            score=0.25,
            at_s=AT_S,
            outputs={"label": ("dog",)},
        ),
        Outcome(
            id="pi-7/camera-1/2/5",
            key="frame-5",
            deployment="camera-1",
            label="cat",
            at_s=AT_S,
            source="inspection",
        ),
        JobResult(
            device="pi-7",
            id="job-7",
            status="failed",
            kind="MeasurementError",
            reason="the child was ended after 600 s",
            results=(result,),
            left_out={"tvm-fp32": "the engine is not here"},
            at_s=AT_S,
        ),
    )
