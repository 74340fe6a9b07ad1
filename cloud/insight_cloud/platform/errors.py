# SPDX-License-Identifier: Apache-2.0
"""The cloud's own branches of the tree of errors in `insight_edge.errors`.

InputError                       exit 2
  NotFoundError                    no model, version, alias, artifact or blob of that name
  ConflictError                    it contradicts what is recorded already
InsightEdgeError                 exit 1
  JobError                         no device did what it was asked to do once
  TrainingError                    a training diverged, or its export disagrees with it
  ForbiddenError                   whoever asks may not have it
  UnauthenticatedError             it is not known who asks
    SignInNeededError                a page that is shown to those who signed in
    SlowDownError                    too many wrong passwords lately
"""

from insight_edge.errors import InputError, InsightEdgeError


class NotFoundError(InputError):
    """Nothing of that name is recorded."""


class ConflictError(InputError):
    """It contradicts what is recorded already."""


class JobError(InsightEdgeError):
    """No device did what it was asked to do once."""


class TrainingError(InsightEdgeError):
    """A training diverged, or its export disagrees with it."""


class ForbiddenError(InsightEdgeError):
    """Whoever asks may not have it."""


class UnauthenticatedError(InsightEdgeError):
    """It is not known who asks."""


class SignInNeededError(UnauthenticatedError):
    """A page is shown to those who signed in.

    Attributes:
        path: of the page, to go on with afterwards.
    """

    def __init__(self, path: str) -> None:
        super().__init__("sign in first")
        self.path = path


class SlowDownError(UnauthenticatedError):
    """Too many passwords were wrong lately.

    Attributes:
        wait_s: until the next one is looked at.
    """

    def __init__(self, wait_s: int) -> None:
        super().__init__("too many wrong passwords", hint=f"wait {wait_s} s and try again")
        self.wait_s = wait_s
