# SPDX-License-Identifier: Apache-2.0
"""A cloud that has one of everything, its HTTP app called without a socket, and its users."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import numpy as np
from fastapi import FastAPI

from insight_cloud.accounts.rules import Role
from insight_cloud.app.main import build_app
from insight_cloud.builds.profiles import known_profiles
from insight_cloud.labels.rules import Task
from insight_cloud.platform.clock import now
from insight_cloud.platform.setup import BrokerPlace
from insight_cloud.telemetry.samples import SampleState
from insight_edge.bench.machine import machine_facts
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.bundle.write import write_bundle
from insight_edge.documents.enrolment import EnrolmentRequest
from insight_edge.documents.manifest import ModelInfo
from insight_edge.documents.tensors import TensorSpec
from tests.fakes.bundles import bundle_files, bundle_manifest
from tests.fakes.cloud import Cloud, open_cloud
from tests.fakes.telemetry import message, offer, predictions

DEVICE, MODEL = "camera-1", "pets"
CLASSES = ("cat", "dog")
PASSWORD = "one of many plain words"


@dataclass(frozen=True)
class Answer:
    """What the app answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Operators:
    """A cloud with one of everything, and a token for each role.

    Attributes:
        secret: of the device.
    """

    cloud: Cloud
    app: FastAPI
    secret: str
    bundle: str
    task: str
    tokens: dict[Role, str] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: Role | None = Role.ADMIN,
        token: str | None = None,
        raw: bytes | None = None,
        asked: Mapping[str, Any] | None = None,
        claimed_bytes: int | None = None,
        **query: Any,
    ) -> Answer:
        """Ask the app, as somebody with a role; a header may claim another length."""
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        shown = token or (None if role is None else self.tokens[role])
        length = len(data) if claimed_bytes is None else claimed_bytes
        headers = {"content-type": "application/json", "content-length": str(length)}
        if shown is not None:
            headers["authorization"] = f"Bearer {shown}"
        return asyncio.run(
            call(self.app, method, path, urlencode(query | dict(asked or {})), headers, data)
        )


async def call(
    app: FastAPI, method: str, path: str, query: str, headers: Mapping[str, str], data: bytes
) -> Answer:
    """Ask an app as a server would."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": quote(path).encode(),
        "query_string": query.encode(),
        "headers": [(n.encode(), v.encode()) for n, v in {"host": "127.0.0.1", **headers}.items()],
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "state": {},
    }
    parts = [data[start : start + 65536] for start in range(0, len(data), 65536)] or [b""]
    told: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not parts:
            await asyncio.Event().wait()
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(item: Any) -> None:
        told.append(item)

    await app(scope, receive, send)
    said = {n.decode(): v.decode() for n, v in told[0]["headers"]}
    return Answer(told[0]["status"], said, b"".join(part["body"] for part in told[1:]))


@contextmanager
def open_operators(folder: Path) -> Iterator[Operators]:
    """Make the cloud; it is not served to anybody else."""
    with open_cloud(folder / "cloud") as cloud:
        place = BrokerPlace(host="127.0.0.1", port=1, program="mosquitto", state=str(folder))
        secret = _enrol(cloud)
        bundle = _publish(cloud, folder / "bundle")
        made = Operators(
            cloud=cloud,
            app=build_app(cloud.setup(1, place), cloud),
            secret=secret,
            bundle=bundle,
            task=arrive(cloud, bundle).id,
        )
        cloud.registry.register(
            MODEL,
            task="images",
            artifacts={"model.onnx": b"onnx"},
            metrics={"a": 0.5},
            by="Ada",
            now=now(),
        )
        cloud.accounts.create_user("kim", PASSWORD, Role.ADMIN, by="test", now=now())
        for role in Role:
            given = cloud.accounts.issue_token("kim", role.value, role, by="test", now=now())
            made.tokens[role] = given.secret
        yield made


def arrive(cloud: Cloud, bundle: str, number: int = 1) -> Task:
    """Let a sample of the device arrive, and return the task about it."""
    data = npz_from_arrays({"image": np.full((1, 8, 8), number, np.uint8)})
    name = cloud.blobs.put(data)
    result = f"{DEVICE}/default/1/{number}"
    said = predictions((number,), bundles=(bundle,), at_s=(now().timestamp(),))
    kept = offer(name, id=result, bundle=bundle, length_bytes=len(data), outputs={"y": (0.9, 0.1)})
    cloud.telemetry.ingest([message(said), message(kept)], now())
    cloud.telemetry.ask_samples(bundle, most=10, each=1000, now=now())
    assert cloud.telemetry.move_sample(DEVICE, name, SampleState.UPLOADED, now())
    cloud.labels.gather(now())
    return next(task for task in cloud.labels.queue().tasks if task.sample == name)


def _enrol(cloud: Cloud) -> str:
    request = EnrolmentRequest(
        token=cloud.invite(DEVICE), facts=machine_facts(), deployments=("default",)
    )
    profiles = known_profiles(cloud.settings.profiles_path)
    return cloud.devices.enrol(request, profiles=profiles, now=now()).secret


def _publish(cloud: Cloud, folder: Path) -> str:
    files = bundle_files()
    manifest = bundle_manifest(files)
    image = TensorSpec(name="image", dtype="uint8", shape=("batch", 8, 8))
    named = ModelInfo(name=MODEL, version=1, digest=manifest.model.digest, classes=CLASSES)
    shape = msgspec.structs.replace(manifest.io, inputs=(image,))
    write_bundle(folder, msgspec.structs.replace(manifest, model=named, io=shape), files)
    return cloud.releases.publish(folder, by="Ada", now=now()).bundle
