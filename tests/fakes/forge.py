# SPDX-License-Identifier: Apache-2.0
"""A thief with some keys, who rewrites the metadata that is served.

    forge = Forge(world)
    forge.edit("rpi5-8gb", add_a_target, by=("timestamp",))
    forge.serve()

A role that is edited gets the next version and is signed by the right keys unless `by` names
others. `serve` also makes a snapshot and timestamp that name what was edited (`link=False`:
nothing but the edited files is written).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, MetaFile, TargetFile

from insight_cloud.releases.keys import Keys
from tests.fakes.trust_world import PROFILE, World

Change = Callable[[Any], object]


def nothing(_: object) -> None:
    """Leave it as it is."""


class Forge:
    """Metadata as it is served now, to be edited and served again."""

    def __init__(self, world: World, stolen: Path | None = None) -> None:
        """Sign with the keys of the world, or with those in a folder."""
        self._folder = world.metadata
        self._keys = world.keys if stolen is None else Keys(stolen)
        self._honest: dict[str, Keys] = {}
        self._touched: list[str] = []
        roots = [int(path.name.split(".")[0]) for path in self._folder.glob("*.root.json")]
        self.roles: dict[str, Metadata[Any]] = {
            "root": self._read(f"{max(roots)}.root.json"),
            "timestamp": self._read("timestamp.json"),
        }
        number = self.roles["timestamp"].signed.snapshot_meta.version
        self.roles["snapshot"] = self._read(f"{number}.snapshot.json")
        for file, meta in self.roles["snapshot"].signed.meta.items():
            self.roles[file.removesuffix(".json")] = self._read(f"{meta.version}.{file}")
        self.by: dict[str, tuple[str, ...]] = {
            role: (role,) if role in {"targets", "snapshot", "timestamp"} else ("build",)
            for role in self.roles
        } | {"root": self._keys.roots()}

    def edit(
        self,
        role: str,
        change: Change = nothing,
        *,
        by: tuple[str, ...] | None = None,
        bump: bool = True,
    ) -> None:
        signed = self.roles[role].signed
        signed.version += bump
        change(signed)
        self._touched.append(role)
        if by is not None:
            self.by[role] = by

    def right(self, role: str, keys: Keys) -> None:
        """Sign a role with other keys than the thief's."""
        self._honest[role] = keys

    def serve(self, *, link: bool = True) -> None:
        snapshot, timestamp = self.roles["snapshot"].signed, self.roles["timestamp"].signed
        named = [role for role in self._touched if role not in {"root", "snapshot", "timestamp"}]
        for role in [*named, *(["root"] if "root" in self._touched else [])]:
            data = self.put(role, f"{self.roles[role].signed.version}.{role}.json")
            if link and role != "root":
                version = self.roles[role].signed.version
                snapshot.meta[f"{role}.json"] = MetaFile.from_data(version, data, ["sha256"])
        if named and link and "snapshot" not in self._touched:
            self.edit("snapshot")
        if "snapshot" in self._touched:
            data = self.put("snapshot", f"{snapshot.version}.snapshot.json")
            if link:
                timestamp.snapshot_meta = MetaFile.from_data(snapshot.version, data, ["sha256"])
                if "timestamp" not in self._touched:
                    self.edit("timestamp")
        if "timestamp" in self._touched:
            self.put("timestamp", "timestamp.json")
        self._touched.clear()

    def list_manifest(self, world: World, data: bytes, sha256: str, *, by: tuple[str, ...]) -> None:
        """List some bytes as a manifest in the role of the profile, signed by these keys."""
        path = f"{PROFILE}/{sha256}.json"
        target = TargetFile.from_data(path, data, ["sha256"])
        served = (
            world.root / "tuf" / "targets" / PROFILE / f"{target.hashes['sha256']}.{sha256}.json"
        )
        served.parent.mkdir(parents=True, exist_ok=True)
        served.write_bytes(data)
        self.edit(PROFILE, lambda role: role.targets.update({path: target}), by=by)

    def put(self, role: str, name: str) -> bytes:
        """Sign a role and write it under any name."""
        metadata = self.roles[role]
        metadata.signatures.clear()
        for key in self.by[role]:
            metadata.sign(self._honest.get(role, self._keys).signer(key), append=True)
        data = metadata.to_bytes()
        (self._folder / name).write_bytes(data)
        return data

    def _read(self, name: str) -> Metadata[Any]:
        return Metadata.from_bytes((self._folder / name).read_bytes())
