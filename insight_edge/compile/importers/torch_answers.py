# SPDX-License-Identifier: Apache-2.0
"""What a PyTorch program answers, and whether its export answers the same; nothing is exported."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.compile.graph.parity import (
    RELATIVE_TOLERANCE,
    refuse_disagreement,
    relative_error,
)
from insight_edge.compile.graph.rowwise import refuse_other_rows, rowless
from insight_edge.compile.importers.torch_archive import HINT
from insight_edge.compile.sources.source import SourceModel
from insight_edge.errors import ModelError

if TYPE_CHECKING:
    import torch

EVALUATION_HINT = "call model.eval() before torch.export.export"
STATE_HINT = "pass in what it shall remember or draw as an input, and return what it shall remember"

HALF_TOLERANCE = 1e-2
"""Of the largest element, where numbers have eleven bits and sums are in another order."""

Array = NDArray[np.generic]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a program was asked and what it answered, in order, tensors alone.

    Attributes:
        examples: what its author asked it, beside the noise of `inputs`.
        tolerance: of the largest element, by the precision that the program computes in.
        suspect: why an export may fail or answer otherwise, and what to do about it.
    """

    inputs: Sequence[Array]
    outputs: Sequence[Array]
    examples: Sequence[Array]
    tolerance: float
    suspect: tuple[str, str] | None


def ask(program: "torch.export.ExportedProgram") -> Answers:
    """Return what a program answers to noise, or to its examples where it takes no noise.

    Raises:
        ModelError: it has no example inputs, does not run, or cannot be compared with anything,
            since it answers otherwise when it is asked again.
    """
    import torch

    if program.example_inputs is None:
        raise ModelError("it carries no example inputs", hint=HINT)
    module, tolerance = program.module(), _tolerance(program)
    kept = {name: buffer.clone() for name, buffer in module.named_buffers()}
    given, outputs = _first_answers(module, program.example_inputs)
    again = _answers(module, given)
    changed = [name for name, b in module.named_buffers() if not torch.equal(b, kept[name])]
    for name, buffer in module.named_buffers():
        buffer.copy_(kept[name])  # the program has the same ones, and is still to be exported
    if not all(_alike(one, other, tolerance) for one, other in zip(again, outputs, strict=True)):
        raise _unsteady_error(changed, _suspect(program))
    return Answers(
        inputs=[_array(x, "an input") for x in _tensors(given)],
        outputs=outputs,
        examples=[_array(x, "an input") for x in _tensors(program.example_inputs)],
        tolerance=tolerance,
        suspect=_suspect(program),
    )


def refuse_other_answers(asked: Answers, source: SourceModel) -> None:
    """Raise unless the export of a program answers what the program did.

    Raises:
        ModelError: it takes other inputs, does not run, answers otherwise, or takes rows and does
            not answer one by one.
    """
    names = [spec.name for spec in source.workload.inputs]
    if len(asked.inputs) != len(names):
        raise ModelError(f"torch takes {len(asked.inputs)} tensors, the export {len(names)}")
    inputs = dict(zip(names, asked.inputs, strict=True))
    if rowless(source.workload) is None:
        for spec, answer in zip(source.workload.outputs, asked.outputs, strict=False):
            refuse_other_rows(spec.name, [answer], len(asked.inputs[0]))
    try:
        refuse_disagreement(
            source.data, inputs, asked.outputs, framework="torch", tolerance=asked.tolerance
        )
    except Exception as error:
        found = (
            error
            if isinstance(error, ModelError)
            else ModelError(f"its export does not run: {one_line(error)}")
        )
        why, hint = asked.suspect or ("", found.hint)
        raise ModelError("; ".join(filter(None, (str(found), why))), hint=hint) from error


def _first_answers(module: Any, examples: Any) -> tuple[Any, list[Array]]:
    """Return what a module was given and answered, noise if it takes that.

    Noise is no column of a table that says which row of an embedding is meant.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    noise = _mapped(lambda x: _drawn(x, generator), examples)
    for given in (noise, examples):
        try:
            return given, _answers(module, given)
        except ModelError:
            raise
        except Exception as error:  # noqa: BLE001 (what a program makes of such numbers)
            told = one_line(error)
    raise ModelError(f"torch does not run it on its own example inputs: {told}")


def _answers(module: Any, given: Any) -> list[Array]:
    """Ask with copies: a program may write into what it is given."""
    import torch

    args, kwargs = _mapped(lambda x: x.clone() if torch.is_tensor(x) else x, given)
    with torch.no_grad():
        return [_array(x, "an output") for x in _tensors(module(*args, **kwargs))]


def _drawn(example: Any, generator: "torch.Generator") -> Any:
    """Return normal noise in the shape of a float example; the example itself otherwise.

    Integers may be indices: only those that the author tried are known to be in range.
    """
    import torch

    if not torch.is_tensor(example) or not example.is_floating_point():
        return example
    return torch.randn(example.shape, generator=generator).to(example.dtype)


def _array(tensor: "torch.Tensor", what: str) -> Array:
    """Return a tensor's numbers in an array.

    Raises:
        ModelError: no array has numbers of its type.
    """
    import torch

    if tensor.is_complex() or tensor.dtype == torch.bfloat16:
        raise ModelError(
            f"{what} is {str(tensor.dtype).removeprefix('torch.')}, which callers cannot pass or "
            "receive",
            hint="pass and return float32; complex numbers by torch.view_as_real",
        )
    array: Array = tensor.detach().cpu().numpy().copy()
    return array


def _alike(found: Array, wanted: Array, tolerance: float) -> bool:
    return found.shape == wanted.shape and relative_error(found, wanted) <= tolerance


def _unsteady_error(changed: Sequence[str], suspect: tuple[str, str] | None) -> ModelError:
    """Return why a program cannot be compared with anything."""
    named = ", ".join(f"'{name}'" for name in changed)
    why = f"it changes its buffer {named}" if changed else "it draws random numbers"
    found, hint = suspect or ("", STATE_HINT)
    whole = f"{why}; {found}" if found else why
    return ModelError(f"answers otherwise when it is asked the same again: {whole}", hint=hint)


def _suspect(program: "torch.export.ExportedProgram") -> tuple[str, str] | None:
    training = _in_training(program)
    if training is not None:
        return f"it was exported in training mode ({training})", EVALUATION_HINT
    if "bfloat16" in _precisions(program):
        return "it computes in bfloat16", "export model.float()"
    return None


def _in_training(program: "torch.export.ExportedProgram") -> str | None:
    """Return the first operator that is told to train, if one is."""
    for node in program.graph.nodes:
        schema: Any = getattr(node.target, "_schema", None)
        flags = () if schema is None else zip(schema.arguments, node.args, strict=False)
        if any(flag.name in {"train", "training"} and value is True for flag, value in flags):
            return str(schema.name.rpartition("::")[2])
    return None


def _tolerance(program: "torch.export.ExportedProgram") -> float:
    """Return by how much an export may differ, of the lowest precision that is computed in."""
    return HALF_TOLERANCE if "float16" in _precisions(program) else RELATIVE_TOLERANCE


def _precisions(program: "torch.export.ExportedProgram") -> set[str]:
    import torch

    values = (node.meta.get("val") for node in program.graph.nodes)
    return {str(x.dtype).removeprefix("torch.") for x in values if torch.is_tensor(x)}


def _tensors(tree: Any) -> list["torch.Tensor"]:
    import torch

    leaves = torch.utils._pytree.tree_leaves(tree)  # noqa: SLF001 (torch has no public name for it)
    return [leaf for leaf in leaves if torch.is_tensor(leaf)]


def _mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    import torch

    return torch.utils._pytree.tree_map(function, tree)  # noqa: SLF001


def one_line(error: BaseException) -> str:
    """Return an error's class and the first line of what it says."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"
