# SPDX-License-Identifier: Apache-2.0
"""Take Olive's latency metric of an ONNX file; run by a Python of `toolchain-peers`, which has it.

Usage: field_olive.py MODEL.onnx INPUT SHAPE WARM-UP TIMES

SHAPE is a JSON list. The median in milliseconds is the last line of what is printed. What
fails ends with a traceback and another exit code than 0.
"""

import json
import os
import sys


def main(model: str, name: str, shape: str, warm_up: str, times: str) -> None:
    """Print what Olive says of one thread."""
    os.environ["OLIVE_DISABLE_TELEMETRY"] = "1"
    from olive.data.template import dummy_data_config_template
    from olive.evaluator.metric import Metric, MetricType
    from olive.evaluator.olive_evaluator import OnnxEvaluator
    from olive.hardware import Device
    from olive.model import ONNXModelHandler

    often = {"warmup_num": int(warm_up), "repeat_test_num": int(times), "sleep_num": 0}
    one_thread = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
    metric = Metric(
        name="latency",
        type=MetricType.LATENCY,
        sub_types=[{"name": "p50", "metric_config": often}],
        user_config={"inference_settings": {"onnx": {"session_options": one_thread}}},
        data_config=dummy_data_config_template([json.loads(shape)], [name], ["float32"]),
    )
    found = OnnxEvaluator().evaluate(
        ONNXModelHandler(model),
        [metric],
        device=Device.CPU,
        execution_providers=["CPUExecutionProvider"],
    )
    print(found["latency-p50"].value)


if __name__ == "__main__":
    main(*sys.argv[1:])
