# SPDX-License-Identifier: Apache-2.0
"""The cloud's own branches of the tree of errors in `insight_edge.errors`.

InputError                       exit 2
  NotFoundError                    no model, version, alias, artifact or blob of that name
  ConflictError                    it contradicts what is recorded already
InsightEdgeError                 exit 1
  TrainingError                    a training diverged, or its export disagrees with it
  ForbiddenError                   whoever asks may not have it
"""

from insight_edge.errors import InputError, InsightEdgeError


class NotFoundError(InputError):
    """Nothing of that name is recorded."""


class ConflictError(InputError):
    """It contradicts what is recorded already."""


class TrainingError(InsightEdgeError):
    """A training diverged, or its export disagrees with it."""


class ForbiddenError(InsightEdgeError):
    """Whoever asks may not have it."""
