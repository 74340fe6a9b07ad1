# SPDX-License-Identifier: Apache-2.0
"""Every error this distribution raises on purpose, split by who must act.

    InsightEdgeError                 exit 1
      InputError                     exit 2   whoever wrote the input: fix it and try again
        ConfigurationError                    a flag, a TOML key that cannot be meant
        DocumentError                         a manifest, profile, report or bundle is malformed
          UnsupportedVersionError             written by a newer release
          LimitExceededError                  larger, deeper or more than what is ever read
          DigestMismatchError                 the bytes are not the ones the manifest names
        ModelError                            the source model cannot be read or must not be
        TensorMismatchError                   wrong name, rank, dimension or dtype of a tensor
        StorageError                          the disk is full or cannot be written
      TrustError                     exit 1   well formed, and not to be believed
        UnsignedError                         nothing unsigned runs without being allowed to
        TamperedError                         the bytes are not those that were signed
        ExpiredError                          signed, and too long ago
        RolledBackError                       older than what was seen already
        WrongProfileError                     for another class of hardware
        WrongDeviceError                      for another device
        RevokedError                          no longer listed, or by a key that no longer counts
      CompileError                   exit 1   the engineer: another target, more data, other limits
        BuildFailedError                      one target's child process failed, hung or was killed
        NothingShippableError                 no trial survived its gates
      MissingError                   exit 4   whoever set up the machine: install something
        ToolchainMissingError                 a compiler or its environment is not there
        EngineMissingError                    an engine is not installed on this device
      EngineError                    exit 1   the device: an engine refused or failed
        LoadFailedError                       the artifact did not load
        InferenceFailedError                  the engine failed on a checked input
        AdmissionError                        there is no memory for one more model
        UnavailableError                      a model is not loaded at present
      UpdateError                    exit 1   the fleet: a swap did not happen, the old model serves
        SelfCheckError                        the golden samples disagree
        SlotError                             the slots on disk are not usable
      FleetError                     exit 1   the operator: device and cloud do not meet
        EnrolmentError                        the device was not made one of the fleet
        LinkError                             the broker refuses or cannot be reached
        DownloadError                         bytes could not be fetched
          GoneError                           the server does not have them any more
          DeniedError                         the server does not give them to this device
          StoppedError                        the caller wanted them no longer
        HostError                             the runtime host left, or says what it should not
      SourceError                    exit 1   what rows come from gives nothing any more
      RegressionError                exit 1   the engineer: it became slower than it was
      MeasurementError               exit 3   the engineer: a quieter machine, more iterations

A plug-in may raise anything; the seam that called it wraps that once, `from`
the cause. Expected outcomes (a refused target, too few samples) are return
values, never errors. A programmer's mistake inside one process stays
`ValueError` or `TypeError`.
"""

from collections.abc import Sequence
from typing import ClassVar


class InsightEdgeError(Exception):
    """One clear line for a person, and a hint that says what to do next.

    A message may quote what came from outside, such as the name of a tensor: what breaks a
    line or steers a terminal is shown as `?`.

    Attributes:
        hint: what to do about it, or None where nothing better is known than the message.
        exit_code: what a command line program exits with.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__("".join(c if c.isprintable() else "?" for c in message))
        self.hint = hint


class InputError(InsightEdgeError):
    """What was handed in is wrong."""

    exit_code = 2


class ConfigurationError(InputError):
    """A flag, a configuration key or an environment cannot be meant."""


class DocumentError(InputError):
    """A document is malformed."""


class UnsupportedVersionError(DocumentError):
    """A document was written by a newer release."""


class LimitExceededError(DocumentError):
    """A document or bundle is larger, deeper or more than what is ever read."""


class DigestMismatchError(DocumentError):
    """A file's bytes are not the ones its manifest names."""


class ModelError(InputError):
    """A source model cannot be read, or must not be."""


class TensorMismatchError(InputError):
    """A tensor has the wrong name, rank, dimension or dtype."""


class StorageError(InputError):
    """The disk is full or cannot be written."""


class TrustError(InsightEdgeError):
    """Well formed, and not to be believed."""


class UnsignedError(TrustError):
    """An unsigned bundle was opened where that is not allowed."""


class TamperedError(TrustError):
    """The bytes are not those that were signed."""


class ExpiredError(TrustError):
    """It was signed, and too long ago."""


class RolledBackError(TrustError):
    """It is older than what was seen already."""


class WrongProfileError(TrustError):
    """It is for another class of hardware."""


class WrongDeviceError(TrustError):
    """It is for another device."""


class RevokedError(TrustError):
    """It is no longer listed, or signed by a key that no longer counts."""


class CompileError(InsightEdgeError):
    """A compilation did not end in a bundle."""


class BuildFailedError(CompileError):
    """The child process of one target failed, hung or was killed."""


class NothingShippableError(CompileError):
    """No trial survived its gates.

    Attributes:
        trials: what became of each target, with its reason (`documents.evidence.Trial`).
    """

    def __init__(
        self, message: str, *, hint: str | None = None, trials: Sequence[object] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.trials = tuple(trials)


class MissingError(InsightEdgeError):
    """Something that must be installed is not."""

    exit_code = 4


class ToolchainMissingError(MissingError):
    """A compiler or its environment is not installed."""


class EngineMissingError(MissingError):
    """An engine is not installed on this device."""


class EngineError(InsightEdgeError):
    """An engine refused or failed."""


class LoadFailedError(EngineError):
    """An artifact did not load."""


class InferenceFailedError(EngineError):
    """An engine failed on an input that passed every check."""


class AdmissionError(EngineError):
    """There is no memory for one more model, or none for two of one during a swap."""


class UnavailableError(EngineError):
    """A model of this device is not loaded at present; its standing says why."""


class UpdateError(InsightEdgeError):
    """A swap did not happen; the old model keeps serving.

    Attributes:
        phase: `request`, `stage`, `verify`, `warm` or `flip`; None where no swap was under way.
    """

    def __init__(self, message: str, *, hint: str | None = None, phase: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.phase = phase


class SelfCheckError(UpdateError):
    """The golden samples disagree with what the manifest promises."""


class SlotError(UpdateError):
    """The slots on disk are not usable."""


class FleetError(InsightEdgeError):
    """A device and its cloud do not reach each other, or not well enough."""


class EnrolmentError(FleetError):
    """A device was not made one of the fleet."""


class LinkError(FleetError):
    """The broker refuses the device or cannot be reached."""


class DownloadError(FleetError):
    """Bytes could not be fetched."""


class GoneError(DownloadError):
    """The server does not have a file any more."""


class DeniedError(DownloadError):
    """The server does not give a file to this device."""


class StoppedError(DownloadError):
    """The caller wanted a file no longer."""


class HostError(FleetError):
    """The runtime host is not there, left, or says what it should not."""


class SourceError(InsightEdgeError):
    """What rows come from cannot be opened, or gives nothing any more."""


class RegressionError(InsightEdgeError):
    """A measurement is slower than its baseline."""


class MeasurementError(InsightEdgeError):
    """A measurement is not valid, and says so."""

    exit_code = 3
