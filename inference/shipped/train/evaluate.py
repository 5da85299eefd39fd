"""Measures the exported model on the held-out set, decoding greedily under the grammar, and prints the figures as JSON.

    python evaluate.py [--figures FIGURES.json] [--misses]

A tool call counts only if its name and all its arguments are exactly right.
"""

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnxruntime

import vocabulary
from data import TOOLS, Example, read_held_out
from grammar import Grammar, parse

MODEL = Path(__file__).parent.parent / "model"
BATCH = 50
LONGEST = 180


class Runner:
    def __init__(self, path: Path = MODEL):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        loads = []
        for _ in range(5):
            began = time.perf_counter()
            self.session = onnxruntime.InferenceSession(path / "model.onnx", options)
            loads.append((time.perf_counter() - began) * 1000)
        self.load_ms = round(sorted(loads)[2])
        self.config = json.loads((path / "config.json").read_text())

    def decode(self, examples: list[Example]) -> list[list[int]]:
        """What the model writes behind each request, up to and with its <|end|>."""
        prompts = [vocabulary.prompt_ids(e.request) for e in examples]
        grammars = [Grammar(e.request, TOOLS) if e.call else None for e in examples]
        c = self.config
        room = max(map(len, prompts)) + LONGEST
        shape = (len(prompts), c["num_key_value_heads"], room, c["head_dim"])
        caches = {i.name: np.zeros(shape, dtype=np.float32) for i in self.session.get_inputs()[3:]}
        held = np.zeros(len(prompts), dtype=np.int64)
        pending = prompts
        written: list[list[int]] = [[] for _ in prompts]
        while True:
            lengths = np.array([len(p) for p in pending])
            ids = np.array([p + [vocabulary.PAD] * (max(lengths) - len(p)) for p in pending], dtype=np.int64)
            feeds = {"input_ids": ids, "past_lengths": held, "last_rows": lengths - 1} | caches
            logits, *new = self.session.run(None, feeds)
            for cache, rows in zip(caches.values(), new):
                for one, found, at, length in zip(cache, rows, held, lengths):
                    one[:, at : at + length] = found[:, :length]
            held += lengths
            for row, so_far, grammar in zip(logits, written, grammars):
                if not finished(so_far):
                    allowed = list(grammar.next(so_far)) if grammar else [*range(256), vocabulary.END]
                    so_far.append(allowed[int(row[allowed].argmax())])
            if all(map(finished, written)):
                return written
            pending = [so_far[-1:] for so_far in written]


def finished(written: list[int]) -> bool:
    return bool(written) and (written[-1] == vocabulary.END or len(written) >= LONGEST)


def judge(example: Example, written: list[int]) -> tuple[bool, str]:
    if example.call is None:
        said = bytes(token for token in written if token < 256).decode(errors="replace")
        return said == example.answer, said
    call = parse(written, TOOLS)
    return call == example.call, json.dumps(call, ensure_ascii=False)


def measure(runner: Runner, examples: list[Example], show_misses: bool = False) -> dict[str, list[int]]:
    """Right and asked, by kind and, for tools, by name."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    examples = sorted(examples, key=lambda e: len(e.request))
    for at in range(0, len(examples), BATCH):
        batch = examples[at : at + BATCH]
        for example, written in zip(batch, runner.decode(batch)):
            right, said = judge(example, written)
            keys = [example.kind] + ([example.call["name"]] if example.kind == "tool" else [])
            for key in keys:
                counts[key][0] += right
                counts[key][1] += 1
            if show_misses and not right:
                wanted = example.answer if example.call is None else json.dumps(example.call, ensure_ascii=False)
                print(f"{example.kind}: {example.request}\n  wanted {wanted}\n  wrote  {said}")
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--figures", type=Path, help="where to write the figures for export.py")
    parser.add_argument("--misses", action="store_true", help="print each request that was answered wrongly")
    options = parser.parse_args()
    runner = Runner()
    counts = measure(runner, read_held_out(), options.misses)
    figures = {"loadMs": runner.load_ms}
    figures |= {key: {"right": right, "of": of, "share": round(right / of, 3)} for key, (right, of) in sorted(counts.items())}
    print(json.dumps(figures, indent=2))
    if options.figures:
        options.figures.write_text(json.dumps(figures, indent=2) + "\n")
