# SPDX-License-Identifier: Apache-2.0
"""What is declared around a bare model, and what is refused of it; steps in a model's graph."""

import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

from insight_edge.bundle.write import file_entry
from insight_edge.compile.graph.reference import Reference
from insight_edge.compile.reading import read_source
from insight_edge.compile.rows.samples import Samples
from insight_edge.compile.sources.fusing import fuse, with_steps
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.trials.question import ask
from insight_edge.documents.codec import decode_toml, encode_json
from insight_edge.documents.declaration import Declaration
from insight_edge.documents.steps import AnyStep, Feature, Label, Observe, Tokenize
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import (
    ConfigurationError,
    DigestMismatchError,
    DocumentError,
    ModelError,
)
from insight_edge.transforms.executor import answered as answered_all
from insight_edge.transforms.executor import infer_specs, run
from insight_edge.transforms.files import rows_from_files
from tests.fakes.onnx_models import conv_model, model_of, value, words_model
from tests.fakes.pictures import png_from_pixels

TOKENIZER = Path(__file__).parents[1] / "transforms" / "data" / "wordpiece.json"
GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "transforms.md"

DECLARED = """
task = "image-classification"
classes_file = "names.txt"
inputs = [{ name = "photo", dtype = "uint8", shape = ["batch", 16, 16, 3] }]
pre = [
    { op = "channels", source = "photo", result = "x", order = [2, 1, 0] },
    { op = "scale", source = "x", result = "x", factor = 0.00392156862745098 },
    { op = "normalize", source = "x", result = "x", mean = [0.4, 0.5, 0.6], std = [0.1, 0.2, 0.3] },
    { op = "layout", source = "x", result = "x", origin = "NHWC", to = "NCHW" },
]
post = [
    { op = "softmax", source = "logits", result = "p" },
    { op = "argmax", source = "p", result = "class" },
    { op = "label", source = "class", result = "label" },
]
"""


def source_of(
    folder: Path, text: str = DECLARED, model: onnx.ModelProto | None = None
) -> SourceModel:
    onnx.save(model or conv_model(), folder / "model.onnx")
    (folder / "names.txt").write_text("".join(f"thing {n}\n" for n in range(10)))
    (folder / "steps.toml").write_text(text)
    return read_source(folder / "model.onnx", transforms=folder / "steps.toml")


def test_detector_of_the_guide_finds_a_box_in_the_callers_photograph() -> None:
    [text] = re.findall(r"^```toml\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    declared = decode_toml(Declaration, text.encode())
    label = msgspec.structs.replace(declared.post[-1], classes=declared.classes)
    post = (*declared.post[:-1], label)
    answer = TensorSpec(name="output0", dtype="float32", shape=("batch", 7, 50))
    known = infer_specs(declared.pre, declared.inputs)
    made = {spec.name: spec for spec in infer_specs(post, (*known, answer))}
    assert made["images"].shape == ("batch", 3, 640, 640)
    assert [made[name].shape for name in declared.outputs] == [
        ("batch", 100, 4), ("batch", 100), ("batch", 100),
    ]  # fmt: skip
    # A photograph of 100 by 200 is 3.2 times as large on the canvas, 160 from its top.
    output = np.zeros((1, 7, 50), np.float32)
    output[0, :, 17] = [3.2 * 60, 160 + 3.2 * 30, 3.2 * 40, 3.2 * 20, 0.1, 0.2, 0.9]
    photo = rows_from_files([png_from_pixels(np.zeros((100, 200, 3), np.uint8))])
    found = answered_all(declared.pre, post, {"photo": photo}, {"output0": output})
    assert found["name"][0].tolist() == ["car"] + [""] * 99
    np.testing.assert_allclose(found["boxes"][0, 0], [40, 20, 80, 40], atol=1e-3)
    assert found["scores"][0, 0] == np.float32(0.9)


def photos(rows: int = 3) -> dict[str, NDArray[Any]]:
    shape = (rows, 16, 16, 3)
    return {"photo": np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)}


def answered(source: SourceModel, rows: dict[str, NDArray[Any]]) -> NDArray[Any]:
    fed = run(source.described.pre, rows)
    inputs = {spec.name: fed[spec.name] for spec in source.workload.inputs}
    return Reference(source.data, as_written=True).answers(inputs)["logits"]


def test_what_is_declared_becomes_the_description(tmp_path: Path) -> None:
    described = source_of(tmp_path).described
    assert described.model.task == "image-classification"
    [label] = [step for step in described.post if isinstance(step, Label)]
    assert label.classes == described.model.classes == tuple(f"thing {n}" for n in range(10))
    assert [spec.name for spec in described.outputs] == ["label"]
    assert described.inputs[0].shape == ("batch", 16, 16, 3)


def test_outputs_may_be_named(tmp_path: Path) -> None:
    described = source_of(tmp_path, 'outputs = ["p", "label"]\n' + DECLARED).described
    assert [spec.name for spec in described.outputs] == ["p", "label"]


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ('op = "scale"', 'op = "skale"', DocumentError, "skale"),
        ("factor", "faktor", DocumentError, "`factor`"),
        ("order", "axs = 3, order", DocumentError, "axs"),
        ("order = [2, 1, 0]", "order = [2, 1, 3]", ModelError, "step 0 .*has 3 channels"),
        ('to = "NCHW"', 'to = "NHWC"', ModelError, r"expected float32 \['batch', 3, 16, 16\]"),
        ('source = "logits"', 'source = "logit"', ModelError, "no tensor 'logit'"),
        ('classes_file = "names.txt"', "", ModelError, "there are no classes"),
        ('classes_file = "names.txt"', 'classes_file = "no.txt"', ConfigurationError, "no.txt"),
        ("task", 'outputs = ["q"]\ntask', ModelError, "there is no output 'q'"),
    ],
)  # fmt: skip
def test_declaration_that_cannot_be_meant_is_refused_in_a_line(
    old: str, new: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    assert old in DECLARED
    with pytest.raises(error, match=message) as caught:
        source_of(tmp_path, DECLARED.replace(old, new, 1))
    assert "\n" not in str(caught.value)


def test_model_that_takes_files_is_not_asked_made_up_ones(tmp_path: Path) -> None:
    bytes_in = 'inputs = [{ name = "photo", dtype = "uint8", shape = ["batch", "bytes"] }]'
    decode = """pre = [
    { op = "decode", source = "photo", result = "photo" },
    { op = "resize", source = "photo", result = "photo", height = 16, width = 16 },"""
    text = "\n".join(
        bytes_in if line.startswith("inputs") else line for line in DECLARED.splitlines()
    ).replace("pre = [", decode)
    with pytest.raises(ModelError, match="row 0") as caught:
        ask(source_of(tmp_path, text), None)
    assert "--calibration" in str(caught.value.hint)


TEXT = """
inputs = [{ name = "text", dtype = "str", shape = ["batch"] }]
pre = [
    { op = "tokenize", source = "text", result = "ids", mask = "mask", length = 16, \
tokenizer = "tokenizer.json" },
]
"""


def text_source(folder: Path, text: str = TEXT) -> SourceModel:
    shutil.copy(TOKENIZER, folder / "tokenizer.json")
    return source_of(folder, text, words_model())


def test_tokenizer_beside_a_declaration_becomes_a_vocabulary_with_a_digest(tmp_path: Path) -> None:
    source = text_source(tmp_path)
    [step] = source.described.pre
    assert isinstance(step, Tokenize)
    assert step.vocabulary is not None
    assert step.tokenizer == ""
    [(name, data)] = source.vocabularies.files.items()
    assert step.vocabulary == file_entry(name, data)
    rows = {"text": np.array(["the header", "of a message, in the body " * 9])}
    fed = run(source.described.pre, rows)
    assert fed["ids"].shape == (2, 16)
    assert fed["mask"].sum(axis=1).tolist() == [4, 16]
    answered = ask(source, Samples(inputs=rows, labels=None, verification=np.array([True, True])))
    assert answered.golden_rows["text"].tolist() == rows["text"].tolist()
    (tmp_path / "model.json").write_bytes(encode_json(source.described))
    (tmp_path / name).write_bytes(data)
    assert read_source(tmp_path / "model.onnx").described == source.described
    (tmp_path / name).write_bytes(data[:-1] + b" ")
    with pytest.raises(DigestMismatchError, match=name):
        read_source(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("tokenizer.json", "no.json", ConfigurationError, "no.json: no such file"),
        ("tokenizer.json", "names.txt", DocumentError, "names.txt: not a tokenizer.json"),
        (', tokenizer = "tokenizer.json"', "", ConfigurationError, "names no file"),
        ("length = 16", "length = 8", ModelError, r"give int64 \['batch', 8\] for input 'ids'"),
        ("length = 16", "length = 1", ModelError, "a length of 1: from 3"),
        ('dtype = "str"', 'dtype = "int8"', ModelError, "step 0 .*not text"),
    ],
)
def test_tokenizer_that_does_not_fit_is_refused_in_a_line(
    old: str, new: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    assert old in TEXT
    with pytest.raises(error, match=message) as caught:
        text_source(tmp_path, TEXT.replace(old, new, 1))
    assert "\n" not in str(caught.value)


def test_fused_model_answers_the_same_and_takes_what_callers_pass(tmp_path: Path) -> None:
    source = source_of(tmp_path)
    fused = fuse(source)
    assert fused.fused == source.described.pre
    assert fused.described.pre == ()
    assert fused.described.model == source.described.model
    [given] = fused.workload.inputs
    assert (given.name, given.dtype, given.shape) == ("photo", "uint8", ("batch", 16, 16, 3))
    expected = answered(source, photos())
    np.testing.assert_allclose(answered(fused, photos()), expected, rtol=1e-4, atol=1e-5)
    again = with_steps(source, fused.fused, given)
    assert again.data == fused.data


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("steps", [
    ('{op="normalize",source="a",result="b",mean=[1,2,3],std=[2,3,4]},'
    '{op="channels",source="b",result="c",order=[2,0,1]},'
    '{op="scale",source="c",result="d",factor=-2.5,offset=3},'
    '{op="layout",source="d",result="x",origin="NHWC",to="NCHW"}'),
    ('{op="layout",source="a",result="b",origin="NHWC",to="NCHW"},'
    '{op="cast",source="b",result="c",dtype="float32"},'
    '{op="normalize",source="c",result="x",mean=[1,2,3],std=[2,3,4],axis=1}'),
    ('{op="layout",source="a",result="b",origin="NHWC",to="NCHW"},'
    '{op="cast",source="b",result="x",dtype="float32"}'),
])  # fmt: skip
def test_steps_in_any_order_and_of_any_dtype_are_fused(
    dtype: str, steps: str, tmp_path: Path
) -> None:
    inputs = f'inputs = [{{ name = "a", dtype = "{dtype}", shape = ["batch", 16, 16, 3] }}]'
    source = source_of(tmp_path, f"{inputs}\npre = [{steps}]")
    fused = fuse(source)
    assert fused.described.pre == ()
    rows = {"a": photos()["photo"].astype(dtype)}
    np.testing.assert_allclose(answered(fused, rows), answered(source, rows), rtol=1e-4, atol=1e-4)
    spared = [node.op_type for node in onnx.load_from_string(fused.data).graph.node]
    assert sum(op in {"Mul", "Add", "Cast"} for op in spared) <= 3


def test_wrong_normalisation_is_told_from_the_fused_one(tmp_path: Path) -> None:
    right = answered(fuse(source_of(tmp_path)), photos())
    wrong = answered(fuse(source_of(tmp_path, DECLARED.replace("0.4, 0.5", "0.5, 0.4"))), photos())
    assert np.abs(wrong - right).max() > 1e-2 * np.abs(right).max()


def test_steps_that_no_engine_shares_stay_before_the_model(tmp_path: Path) -> None:
    resize = '{ op = "resize", source = "photo", result = "x", height = 16, width = 16 },\n'
    text = DECLARED.replace('"batch", 16, 16, 3', '"batch", 20, 30, 3').replace(
        '    { op = "channels", source = "photo"', f'    {resize}{{ op = "channels", source = "x"'
    )
    source = source_of(tmp_path, text)
    fused = fuse(source)
    assert len(fused.described.pre) == 1
    assert fused.workload.inputs[0].shape == ("batch", 16, 16, 3)
    rows = {"photo": np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3), dtype=np.uint8)}
    np.testing.assert_allclose(answered(fused, rows), answered(source, rows), rtol=1e-4, atol=1e-5)


def test_what_is_observed_as_the_model_is_fed_keeps_its_steps(tmp_path: Path) -> None:
    source = source_of(tmp_path)
    assert source.description is not None
    seen = Observe(inputs=(Feature(name="mean", tensor="x", measure="mean"),))
    observed = msgspec.structs.replace(source.description, observe=seen)
    kept = SourceModel(
        name=source.name, data=source.data, workload=source.workload, importer=source.importer,
        description=observed,
    )  # fmt: skip
    assert fuse(kept) is kept
    assert fuse(read_source(tmp_path / "model.onnx")).fused == ()


def test_names_in_the_graph_are_left_to_it(tmp_path: Path) -> None:
    model = model_of(
        [helper.make_node("Relu", ["x"], ["pre_mul"]),
         helper.make_node("Neg", ["pre_mul"], ["x_fed"]),
         helper.make_node("Add", ["x_fed", "x"], ["logits"])],
        [value("x", ("batch", 10))], [value("logits", ("batch", 10))],
    )  # fmt: skip
    text = """
    inputs = [{ name = "x", dtype = "int32", shape = ["batch", 10] }]
    pre = [{ op = "scale", source = "x", result = "x", factor = 0.5, offset = -1.0 }]
    """
    source = source_of(tmp_path, text, model)
    fused = fuse(source)
    steps: tuple[AnyStep, ...] = source.described.pre
    assert fused.fused == steps
    rows = {"x": np.arange(-10, 10, dtype=np.int32).reshape(2, 10)}
    np.testing.assert_allclose(answered(fused, rows), answered(source, rows), rtol=1e-6)
