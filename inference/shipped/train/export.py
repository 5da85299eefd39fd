"""Writes inference/shipped/model: the graph, the tokenizer, the configuration and the manifest of digests.

    python export.py CHECKPOINT [--figures FIGURES.json]

The graph is built node by node from plain operators of opset 17, so that any runtime can load it. It is made for sequences of unlike
length side by side, with their caches in memory that stays where it is:

    input_ids [batch, sequence], past_lengths [batch], last_rows [batch], past_key_values.N.key|value [batch, heads, room, dim]
    → logits [batch, vocab] of the rows last_rows, new.N.key|value [batch, heads, sequence, dim]

Of a cache the first past_lengths rows are read; the caller writes the new ones behind them. A shorter sequence is filled up at its end.

Weights are stored as float16 and widened once at load; the checkpoint is rounded the same way before it is measured or compared.
"""

import argparse
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

import vocabulary
from data import TOOLS
from model import Config, Decoder, rope_tables

MODEL = Path(__file__).parent.parent / "model"
PURPOSE = "Turns a plain request about files or arithmetic into one call of a closed set of tools."
LIMITS = (
    "Knows only the listed tools, one call per request, English, requests of up to about 400 characters. It often misreads "
    "verbs that were not in its training. Without tools it tries small sums and is nearly always wrong. It holds no "
    "conversation and knows nothing of the world. It is not Nemotron."
)


def load(checkpoint: Path) -> Decoder:
    """The decoder of a checkpoint, its weights rounded to what the graph will store."""
    saved = torch.load(checkpoint, weights_only=True)
    model = Decoder(Config(**saved["config"]))
    model.load_state_dict({name: weight.half().float() for name, weight in saved["weights"].items()})
    return model.eval()


class Graph:
    """An ONNX graph in the making; each method adds nodes and returns the name of what they compute."""

    def __init__(self):
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def op(self, kind: str, *inputs: str, output: str | None = None, outputs: int = 1, **attributes):
        names = [output] if output else [f"{kind.lower()}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"{kind}_{len(self.nodes)}", **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, name: str, value: np.ndarray) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def ints(self, *values: int) -> str:
        return self.constant("ints_" + "_".join(map(str, values)), np.array(values, dtype=np.int64))

    def weight(self, name: str, value: torch.Tensor) -> str:
        stored = self.constant(name, value.detach().numpy().astype(np.float16))
        return self.op("Cast", stored, to=TensorProto.FLOAT)


def build(model: Decoder) -> onnx.ModelProto:
    c, g = model.config, Graph()
    assert c.heads == c.kv_heads, "this graph is written for one query head to each key head"
    epsilon = g.constant("epsilon", np.array(c.norm_eps, dtype=np.float32))
    two = g.constant("two", np.array(2.0, dtype=np.float32))

    def norm(x: str, name: str, weight: torch.Tensor) -> str:
        mean = g.op("ReduceMean", g.op("Pow", x, two), axes=[-1], keepdims=1)
        scaled = g.op("Div", x, g.op("Sqrt", g.op("Add", mean, epsilon)))
        return g.op("Mul", scaled, g.weight(name, weight))

    def size_of(tensor: str, axis: int) -> str:
        return g.op("Gather", g.op("Shape", tensor), g.constant(f"axis_{axis}", np.array(axis, dtype=np.int64)))

    # scores of what a row may not see: rows of the cache that do not count, and new rows behind it
    zero, one = (g.constant(f"int_{i}", np.array(i, dtype=np.int64)) for i in (0, 1))
    seen = g.constant("seen", np.array(0.0, dtype=np.float32))
    hidden = g.constant("hidden", np.array(-1e9, dtype=np.float32))
    past, length = size_of("past_key_values.0.key", 2), size_of("input_ids", 1)
    lengths = g.op("Unsqueeze", "past_lengths", g.ints(1))
    counts = g.op("Less", g.op("Range", zero, past, one), lengths)
    past_bias = g.op("Unsqueeze", g.op("Where", counts, seen, hidden), g.ints(1, 2))
    rows = g.op("Range", zero, length, one)
    causal = g.op("LessOrEqual", g.op("Unsqueeze", rows, g.ints(0)), g.op("Unsqueeze", rows, g.ints(1)))
    new_bias = g.op("Where", causal, seen, hidden)
    both = g.op("Concat", *(g.op("Unsqueeze", n, g.ints(0)) for n in (past, length)), axis=0)
    # what fills up a shorter sequence may come to stand behind the context
    last = g.constant("last_position", np.array(c.context - 1, dtype=np.int64))
    positions = g.op("Min", g.op("Add", lengths, rows), last)

    def angles(name: str, table: torch.Tensor) -> str:
        return g.op("Unsqueeze", g.op("Gather", g.constant(name, table.numpy()), positions), g.ints(1))

    cos, sin = (angles(name, table) for name, table in zip(("cos", "sin"), rope_tables(c)))

    def rotate(x: str) -> str:
        left, right = g.op("Split", x, axis=-1, outputs=2)
        return g.op(
            "Concat",
            g.op("Sub", g.op("Mul", left, cos), g.op("Mul", right, sin)),
            g.op("Add", g.op("Mul", right, cos), g.op("Mul", left, sin)),
            axis=-1,
        )

    def heads(x: str, count: int) -> str:
        return g.op("Transpose", g.op("Reshape", x, g.ints(0, 0, count, c.head_dim)), perm=[0, 2, 1, 3])

    embedding = g.weight("embedding", model.embedding.weight)
    scale = g.constant("scale", np.array(c.head_dim**-0.5, dtype=np.float32))
    x = g.op("Gather", embedding, "input_ids")
    for i, block in enumerate(model.blocks):
        h = norm(x, f"{i}.attention_norm", block.attention_norm.weight)
        fused = torch.cat((block.q.weight, block.k.weight, block.v.weight)).T
        widths = g.ints(c.heads * c.head_dim, c.kv_heads * c.head_dim, c.kv_heads * c.head_dim)
        q, k, v = g.op("Split", g.op("MatMul", h, g.weight(f"{i}.qkv", fused)), widths, axis=-1, outputs=3)
        q = g.op("Mul", rotate(heads(q, c.heads)), scale)
        k = g.op("Identity", rotate(heads(k, c.kv_heads)), output=f"new.{i}.key")
        v = g.op("Identity", heads(v, c.kv_heads), output=f"new.{i}.value")

        def scores(key: str, bias: str) -> str:
            return g.op("Add", g.op("MatMul", q, g.op("Transpose", key, perm=[0, 1, 3, 2])), bias)

        # in two parts, so that the cache is read where it lies and never copied
        parts = scores(f"past_key_values.{i}.key", past_bias), scores(k, new_bias)
        shares = g.op("Softmax", g.op("Concat", *parts, axis=-1), axis=-1)
        of_past, of_new = g.op("Split", shares, both, axis=-1, outputs=2)
        read = g.op("Add", g.op("MatMul", of_past, f"past_key_values.{i}.value"), g.op("MatMul", of_new, v))
        read = g.op("Reshape", g.op("Transpose", read, perm=[0, 2, 1, 3]), g.ints(0, 0, c.heads * c.head_dim))
        x = g.op("Add", x, g.op("MatMul", read, g.weight(f"{i}.o", block.o.weight.T)))
        h = norm(x, f"{i}.ffn_norm", block.ffn_norm.weight)
        fused = torch.cat((block.gate.weight, block.up.weight)).T
        gate, up = g.op("Split", g.op("MatMul", h, g.weight(f"{i}.gate_up", fused)), axis=-1, outputs=2)
        h = g.op("Mul", g.op("Mul", gate, g.op("Sigmoid", gate)), up)
        x = g.op("Add", x, g.op("MatMul", h, g.weight(f"{i}.down", block.down.weight.T)))
    ends = g.op("GatherND", x, g.op("Unsqueeze", "last_rows", g.ints(1)), batch_dims=1)
    states = norm(ends, "norm", model.norm.weight)
    g.op("MatMul", states, g.op("Transpose", embedding, perm=[1, 0]), output="logits")

    def port(name: str, kind: int, *shape: str | int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    def caches(prefix: str, length: str) -> list[onnx.ValueInfoProto]:
        return [
            port(f"{prefix}.{i}.{part}", TensorProto.FLOAT, "batch", c.kv_heads, length, c.head_dim)
            for i in range(c.layers)
            for part in ("key", "value")
        ]

    graph = helper.make_graph(
        g.nodes,
        "clawmesh-tiny",
        [
            port("input_ids", TensorProto.INT64, "batch", "sequence"),
            port("past_lengths", TensorProto.INT64, "batch"),
            port("last_rows", TensorProto.INT64, "batch"),
            *caches("past_key_values", "past"),
        ],
        [port("logits", TensorProto.FLOAT, "batch", c.vocab), *caches("new", "sequence")],
        list(g.constants.values()),
    )
    built = helper.make_model(
        graph, producer_name="clawmesh", ir_version=9, opset_imports=[helper.make_opsetid("", 17)]
    )
    onnx.checker.check_model(built, full_check=True)
    return built


def config_json(c: Config, figures: dict) -> dict:
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": c.hidden,
        "intermediate_size": c.ffn,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads,
        "head_dim": c.head_dim,
        "hidden_act": "silu",
        "rms_norm_eps": c.norm_eps,
        "rope_theta": c.rope_theta,
        "vocab_size": c.vocab,
        "max_position_embeddings": c.context,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": vocabulary.END,
        "pad_token_id": vocabulary.PAD,
        "clawmesh": {
            "name": "clawmesh-tiny",
            "tools": list(TOOLS),
            "tool_call_format": "compact",
            "purpose": PURPOSE,
            "limits": LIMITS,
            "figures": figures,
        },
    }


def write_manifest() -> None:
    files = sorted(path for path in MODEL.iterdir() if path.name != "manifest.json")
    entries = [
        {"path": f.name, "bytes": f.stat().st_size, "sha256": hashlib.sha256(f.read_bytes()).hexdigest()} for f in files
    ]
    write_json("manifest.json", {"name": "clawmesh-tiny", "files": entries})


def write_json(name: str, value: dict) -> None:
    (MODEL / name).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def export(model: Decoder, figures: dict) -> None:
    MODEL.mkdir(exist_ok=True)
    (MODEL / "model.onnx").write_bytes(build(model).SerializeToString())
    write_json("config.json", config_json(model.config, figures))
    write_json("tokenizer.json", vocabulary.tokenizer_json())
    write_json("tokenizer_config.json", vocabulary.tokenizer_config())
    write_manifest()


def verify(model: Decoder) -> float:
    """The largest difference of a number between torch and the graph: chunks of a prompt, then single tokens, beside a shorter sequence."""
    import onnxruntime

    session = onnxruntime.InferenceSession(MODEL / "model.onnx")
    c = model.config
    names = [i.name for i in session.get_inputs()][3:]
    room = 64
    caches = {name: np.random.default_rng(0).normal(size=(2, c.kv_heads, room, c.head_dim)).astype(np.float32) for name in names}
    held = np.zeros(2, dtype=np.int64)
    ids = torch.from_numpy(np.random.default_rng(1).integers(0, c.vocab, (2, 60)))
    worst = 0.0
    for lengths in ([20, 33], [13, 1], [1, 1], [1, 4]):
        width = max(lengths)
        fed = np.zeros((2, width), dtype=np.int64)
        for row, length in enumerate(lengths):
            fed[row, :length] = ids[row, held[row] : held[row] + length]
        rows = {"input_ids": fed, "past_lengths": held, "last_rows": np.array(lengths) - 1}
        found, *new = session.run(None, rows | caches)
        for name, values in zip(names, new):
            for row, length in enumerate(lengths):
                caches[name][row, :, held[row] : held[row] + length] = values[row, :, :length]
        held += lengths
        for row, total in enumerate(held):
            whole = ids[row : row + 1, :total]
            with torch.no_grad():
                logits, past = model(whole, torch.ones_like(whole), torch.arange(total)[None])
            worst = max(worst, float(np.abs(found[row] - logits[0, -1].numpy()).max()))
            for name, tensor in zip(names, (tensor for pair in past for tensor in pair)):
                worst = max(worst, float(np.abs(caches[name][row, :, :total] - tensor[0].numpy()).max()))
    return worst


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--figures", type=Path, help="what evaluate.py measured, to go into config.json")
    options = parser.parse_args()
    decoder = load(options.checkpoint)
    export(decoder, json.loads(options.figures.read_text()) if options.figures else {})
    print(json.dumps({"config": asdict(decoder.config), "largest logit difference": verify(decoder)}))
