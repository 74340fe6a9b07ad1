# SPDX-License-Identifier: Apache-2.0
"""What OpenVINO's reader of ONNX leaves open, put right in the graph that it made.

Of equal numbers TopK takes the first, and no window of a MaxPool starts beyond its
image: so does ONNX say, and OpenVINO has attributes for both. Floating-point numbers
are seldom equal, and among them the first is not asked for: 100 of 8,400 took 35
times as long. Graphs inside control flow are not looked at. Runs where OpenVINO is
installed.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import openvino


def as_standard(model: "openvino.Model") -> "openvino.Model":
    """Return a model that was read, which is changed, with answers as the standard has them."""
    for node in model.get_ordered_ops():
        kind, said = node.get_type_name(), node.get_attributes()
        if kind == "TopK" and said["sort"] == "value" and _is_whole(node):
            node.set_attribute("stable", True)
        if kind == "MaxPool" and said["rounding_type"] == "ceil":
            _end_inside(node, said)
    return model


def _is_whole(node: "openvino.Node") -> bool:
    return bool(node.get_input_element_type(0).is_integral())


def _end_inside(node: "openvino.Node", said: dict[str, Any]) -> None:
    """Replace a MaxPool by one whose last window starts in the image, where that may matter.

    INT8 reaches through the older one alone.
    """
    from openvino import opset14
    from openvino.utils import replace_node

    made = opset14.max_pool(
        node.input_value(0),
        said["strides"],
        said["dilations"],
        said["pads_begin"],
        said["pads_end"],
        said["kernel"],
        "ceil_torch",
        said["auto_pad"],
        said["index_element_type"],
        said["axis"],
    )
    rounded, ended = (pool.get_output_partial_shape(0) for pool in (node, made))
    if rounded != ended or not _has_fixed_images(rounded):
        made.set_friendly_name(node.get_friendly_name())
        replace_node(node, made)


def _has_fixed_images(shape: "openvino.PartialShape") -> bool:
    return shape.rank.is_static and all(size.is_static for size in list(shape)[2:])
