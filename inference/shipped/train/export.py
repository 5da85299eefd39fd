"""Writes inference/shipped/model: the graph, the tokenizer, the configuration and the manifest of digests.

    python export.py CHECKPOINT [--figures FIGURES.json]

The graph is built node by node from plain operators of opset 17, so that any runtime can load it. Weights are stored as
float16 and widened once at load; the checkpoint is rounded the same way before it is measured or compared.
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
    epsilon = g.constant("epsilon", np.array(c.norm_eps, dtype=np.float32))
    two = g.constant("two", np.array(2.0, dtype=np.float32))

    def norm(x: str, name: str, weight: torch.Tensor) -> str:
        mean = g.op("ReduceMean", g.op("Pow", x, two), axes=[-1], keepdims=1)
        scaled = g.op("Div", x, g.op("Sqrt", g.op("Add", mean, epsilon)))
        return g.op("Mul", scaled, g.weight(name, weight))

    def size_of(tensor: str, axis: int) -> str:
        return g.op("Gather", g.op("Shape", tensor), g.constant(f"axis_{axis}", np.array(axis, dtype=np.int64)))

    # which slot of past + s each new row may see: those before it and itself, where the mask is 1
    zero, one = (g.constant(f"int_{i}", np.array(i, dtype=np.int64)) for i in (0, 1))
    total = size_of("attention_mask", 1)
    slots = g.op("Range", zero, total, one)
    rows = g.op("Range", g.op("Sub", total, size_of("input_ids", 1)), total, one)
    causal = g.op("LessOrEqual", g.op("Unsqueeze", slots, g.ints(0)), g.op("Unsqueeze", rows, g.ints(1)))
    present_slots = g.op("Unsqueeze", g.op("Cast", "attention_mask", to=TensorProto.BOOL), g.ints(1, 2))
    bias = g.op(
        "Where",
        g.op("And", causal, present_slots),
        g.constant("seen", np.array(0.0, dtype=np.float32)),
        g.constant("hidden", np.array(-1e9, dtype=np.float32)),
    )

    def angles(name: str, table: torch.Tensor) -> str:
        return g.op("Unsqueeze", g.op("Gather", g.constant(name, table.numpy()), "position_ids"), g.ints(1))

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
        past = f"past_key_values.{i}"
        k = g.op("Concat", f"{past}.key", rotate(heads(k, c.kv_heads)), axis=2, output=f"present.{i}.key")
        v = g.op("Concat", f"{past}.value", heads(v, c.kv_heads), axis=2, output=f"present.{i}.value")
        # the query heads of one key head stand below one another, so that one product serves the group
        q = g.op("Reshape", q, g.ints(0, c.kv_heads, -1, c.head_dim))
        scores = g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2]))
        batch, length = (g.op("Unsqueeze", n, g.ints(0)) for n in (size_of("input_ids", 0), size_of("input_ids", 1)))
        by_head = g.op("Concat", batch, g.ints(c.heads), length, g.op("Unsqueeze", total, g.ints(0)), axis=0)
        shares = g.op("Softmax", g.op("Add", g.op("Reshape", scores, by_head), bias), axis=-1)
        by_group = g.op("Concat", batch, g.ints(c.kv_heads, -1), g.op("Unsqueeze", total, g.ints(0)), axis=0)
        seen = g.op("MatMul", g.op("Reshape", shares, by_group), v)
        by_head = g.op("Concat", batch, g.ints(c.heads), length, g.ints(c.head_dim), axis=0)
        seen = g.op("Transpose", g.op("Reshape", seen, by_head), perm=[0, 2, 1, 3])
        seen = g.op("Reshape", seen, g.ints(0, 0, c.heads * c.head_dim))
        x = g.op("Add", x, g.op("MatMul", seen, g.weight(f"{i}.o", block.o.weight.T)))
        h = norm(x, f"{i}.ffn_norm", block.ffn_norm.weight)
        fused = torch.cat((block.gate.weight, block.up.weight)).T
        gate, up = g.op("Split", g.op("MatMul", h, g.weight(f"{i}.gate_up", fused)), axis=-1, outputs=2)
        h = g.op("Mul", g.op("Mul", gate, g.op("Sigmoid", gate)), up)
        x = g.op("Add", x, g.op("MatMul", h, g.weight(f"{i}.down", block.down.weight.T)))
    states = norm(x, "norm", model.norm.weight)
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
            port("attention_mask", TensorProto.INT64, "batch", "total"),
            port("position_ids", TensorProto.INT64, "batch", "sequence"),
            *caches("past_key_values", "past"),
        ],
        [port("logits", TensorProto.FLOAT, "batch", "sequence", c.vocab), *caches("present", "total")],
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
    """The largest difference of a logit between torch and the graph, without a past, with one, and with padding."""
    import onnxruntime

    session = onnxruntime.InferenceSession(MODEL / "model.onnx")
    c = model.config
    past = [(torch.zeros(2, c.kv_heads, 0, c.head_dim),) * 2 for _ in range(c.layers)]
    mask = torch.ones(2, 0, dtype=torch.long)
    torch.manual_seed(0)
    worst = 0.0
    for length in (37, 1, 5):
        ids = torch.randint(0, c.vocab, (2, length))
        grown = torch.ones(2, length, dtype=torch.long)
        if mask.shape[1] == 0:
            grown[1, :4] = 0
        mask = torch.cat((mask, grown), 1)
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -length:]
        feeds = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
        for i, (k, v) in enumerate(past):
            feeds |= {f"past_key_values.{i}.key": k, f"past_key_values.{i}.value": v}
        with torch.no_grad():
            logits, past = model(ids, mask, positions, past)
        found = session.run(None, {name: tensor.numpy() for name, tensor in feeds.items()})
        real = grown.bool().numpy()
        worst = max(worst, float(np.abs(found[0] - logits.numpy())[real].max()))
        worst = max(worst, *(float(np.abs(found[1 + 2 * i] - past[i][0].numpy()).max()) for i in range(c.layers)))
    return worst


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--figures", type=Path, help="what evaluate.py measured, to go into config.json")
    options = parser.parse_args()
    decoder = load(options.checkpoint)
    export(decoder, json.loads(options.figures.read_text()) if options.figures else {})
    print(json.dumps({"config": asdict(decoder.config), "largest logit difference": verify(decoder)}))
