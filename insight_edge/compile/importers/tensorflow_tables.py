# SPDX-License-Identifier: Apache-2.0
"""Tables of words and ids that TensorFlow keeps beside a graph, where no conversion looks."""

from typing import Any

from insight_edge.errors import ModelError

PREFIX = "LookupTable"
"""What the names of TensorFlow's operators on tables begin with."""


def refuse_tables(graph: Any) -> None:
    """Refuse a `GraphDef` that looks something up.

    Raises:
        ModelError: it does.
    """
    bodies = (graph.node, *(function.node_def for function in graph.library.function))
    nodes = [node.name for body in bodies for node in body if node.op.startswith(PREFIX)]
    if nodes:
        # A layer calls its table by a name, and the table its operator.
        layer = nodes[0].rsplit("/", 2)[0]
        raise ModelError(
            f"the layer '{layer}' looks words or numbers up in a table, which ONNX has none of",
            hint="look up in the application: save the model that begins behind such layers",
        )
