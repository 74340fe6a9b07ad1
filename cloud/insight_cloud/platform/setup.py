# SPDX-License-Identifier: Apache-2.0
"""What all processes of one installation are told when they start."""

from pathlib import Path

import msgspec

from insight_cloud.platform.broker_access import Access, Login, Program
from insight_cloud.platform.settings import Settings
from insight_edge.documents.enrolment import Broker


class BrokerPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where the embedded broker is; who may connect is written in its state folder.

    Attributes:
        state: its folder.
    """

    host: str
    port: int
    program: Program
    state: str

    def for_device(self, tenant: str, device: str) -> Broker:
        """Return what a device needs to connect; a login it had before is good no longer.

        Raises:
            ConfigurationError, StorageError: the broker's folder cannot be used.
        """
        return self._with(Access(Path(self.state)).admit(tenant, device, self.program))

    def for_cloud(self) -> Broker:
        """Return what the cloud's own programs need to connect.

        Raises:
            ConfigurationError, StorageError: the broker's folder cannot be used.
        """
        return self._with(Access(Path(self.state)).cloud)

    def _with(self, login: Login) -> Broker:
        return Broker(
            host=self.host, port=self.port, username=login.username, password=login.password
        )


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """The installation, and where its doors are.

    Attributes:
        state, database, blobs, keys, segment_rows: as `Settings` has them.
        host, port: that the HTTP door listens on.
        address: of the HTTP door, as devices reach it.
    """

    state: str
    database: str
    blobs: str
    keys: str
    host: str
    port: int
    address: str
    broker: BrokerPlace
    segment_rows: int = Settings.segment_rows

    def settings(self) -> Settings:
        """Return the settings of the installation."""
        return Settings(
            state=Path(self.state),
            database=Path(self.database),
            blobs=Path(self.blobs),
            keys=Path(self.keys),
            segment_rows=self.segment_rows,
        )
