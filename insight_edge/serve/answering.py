# SPDX-License-Identifier: Apache-2.0
"""One call of infer from the body in to the body out; done in a thread, and never raises."""

import logging
import time
from typing import NamedTuple, Protocol

from numpy.typing import NDArray

from insight_edge.documents.open_inference import Parameters
from insight_edge.documents.open_inference_body import (
    Question,
    body_from_answer,
    question_from_body,
    refuse_outputs,
)
from insight_edge.errors import (
    InferenceFailedError,
    InputError,
    InsightEdgeError,
    LimitExceededError,
    SlotError,
    TensorMismatchError,
)
from insight_edge.runtime.result import Flags, Result
from insight_edge.runtime.served import Served
from insight_edge.serve.coding import JSON_LENGTH, decoded, encoded, json_length
from insight_edge.serve.framing import Request
from insight_edge.serve.refusal import JSON, RefusedError, Response
from insight_edge.serve.tally import Spent

OCTETS = "application/octet-stream"

BROKEN = RefusedError(500, "the request failed; the server's log says why")

_log = logging.getLogger(__name__)
_now_ns = time.perf_counter_ns


class Engine(Protocol):
    """What is asked; a `Runtime`."""

    @property
    def served(self) -> Served | None:
        """What serves now."""
        ...

    def infer(self, inputs: dict[str, NDArray], key: str | None = None) -> Result:  # type: ignore[type-arg]
        """Answer one call."""
        ...


class Answered(NamedTuple):
    """What became of a call.

    Attributes:
        version: of the model that answered; None where none did.
        rows: that it answered.
    """

    response: Response
    spent: Spent
    version: str | None = None
    rows: int = 0


class Answering:
    """Answers requests by an engine.

    Args:
        engine: asked from any thread.
        name: what the model is called.
        most_bytes: of a body, decompressed.
    """

    def __init__(self, engine: Engine, name: str, most_bytes: int) -> None:
        self._engine, self._name, self._most = engine, name, most_bytes

    def answer(self, request: Request, version: str | None, asked_ns: int) -> Answered:
        """Return the answer of a request, or what is wrong with it.

        Args:
            request: to be answered.
            version: of the model that alone may answer; any where it is None.
            asked_ns: when it was put in line, by `time.perf_counter_ns`.
        """
        begun_ns = _now_ns()
        try:
            return self._answer(request, version, asked_ns, begun_ns)
        except RefusedError as refused:
            response = refused.response
        except InsightEdgeError as error:
            response = refusal_from_error(error).response
        except Exception:  # noqa: BLE001 (whatever breaks, the server goes on and its log says what)
            _log.exception("a request failed")
            response = BROKEN.response
        return Answered(response, Spent(begun_ns - asked_ns, _now_ns() - begun_ns))

    def _answer(
        self, request: Request, version: str | None, asked_ns: int, begun_ns: int
    ) -> Answered:
        question = self._question(request)
        read_ns = _now_ns()
        result = self._engine.infer(question.inputs, question.key)
        inferred_ns = _now_ns()
        own = str(result.origin.version)
        if version is not None and version != own:
            raise other_version(version, own)
        response = self._response(request, question, result, own)
        spent = Spent(
            begun_ns - asked_ns, read_ns - begun_ns, inferred_ns - read_ns, _now_ns() - inferred_ns
        )
        return Answered(response, spent, own, _rows(question))

    def _question(self, request: Request) -> Question:
        head, body = request
        question = question_from_body(decoded(head, body, self._most), json_length(head))
        served = self._engine.served
        if question.outputs and served is not None:
            refuse_outputs(question, tuple(spec.name for spec in served.manifest.io.outputs))
        return question

    def _response(
        self, request: Request, question: Question, result: Result, version: str
    ) -> Response:
        try:
            body = body_from_answer(
                question,
                (self._name, version),
                result.outputs,
                parameters_from_result(result, flags=question.flags),
            )
        except TensorMismatchError as error:
            raise refusal_from_error(error, status=406) from error
        data, coding = encoded(request.head, body.data)
        headers: tuple[tuple[str, str], ...] = ()
        if body.json_bytes is not None:
            headers += ((JSON_LENGTH, str(body.json_bytes)),)
        if coding is not None:
            headers += (("content-encoding", coding),)
        return Response(200, data, JSON if body.json_bytes is None else OCTETS, headers)


def parameters_from_result(result: Result, *, flags: bool) -> Parameters:
    """Return what an answer says of itself beside its tensors.

    Args:
        result: of the runtime.
        flags: whether the input is looked at again, which takes as long as it is large.
    """
    told: Parameters = {"result": result.id, "bundle": result.bundle}
    if flags:
        try:
            found = result.flags
        except Exception:  # noqa: BLE001 (what fails in observing must not reach a caller)
            _log.warning("the flags of %s cannot be told", result.id, exc_info=True)
        else:
            told["flags"] = ",".join(flag.name for flag in Flags if flag in found and flag.name)
    return told


def other_version(wanted: str, own: str) -> RefusedError:
    """Return the refusal of a version that does not serve."""
    return RefusedError(404, f"version '{wanted}' does not serve: version {own} does")


def refusal_from_error(error: InsightEdgeError, status: int | None = None) -> RefusedError:
    """Return what a client is told of an error: one line, and what to do about it."""
    if status is None:
        status = _status(error)
    line = str(error) if error.hint is None else f"{error}; {error.hint}"
    later = (("Retry-After", "1"),) if status == 503 else ()
    return RefusedError(status, line, headers=later)


def _status(error: InsightEdgeError) -> int:
    if isinstance(error, LimitExceededError):
        return 413
    if isinstance(error, InputError):
        return 400
    if isinstance(error, SlotError):
        return 503
    if isinstance(error, InferenceFailedError):
        _log.warning("%s", error)
    return 500


def _rows(question: Question) -> int:
    first = next(iter(question.inputs.values()))
    return int(first.shape[0]) if first.shape else 1
