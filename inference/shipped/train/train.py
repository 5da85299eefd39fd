"""Trains the decoder from synthetic requests and writes a checkpoint every few minutes.

    python train.py --run runs/a --steps 4000 [--resume runs/a/last.pt]

Batches hold about a fixed number of tokens and come from `data.Requests`; the same seed gives the same run, and a resumed one
goes on with the requests that come next. Matrices are trained by Muon, the embedding and the norms by AdamW; the learning
rate warms up, stays, and falls to zero over the last part. Only the completion counts for the loss, and not its <|call|>
mark: whether a call is made is decided by the grammar, from the tools that are offered.
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import vocabulary
from data import Example, Requests
from model import Config, Decoder
from muon import Muon

POOL_BATCHES = 16
ECHO_STEPS = 600
WARMUP_STEPS = 100
COOL_DOWN = 0.62
MUON_RATE, ADAM_RATE = 0.02, 0.004


def batch_of(examples: list[Example]) -> tuple[Tensor, Tensor, Tensor]:
    """Ids [b, s] padded on the right, the flat places [n] that are to be learned from, and what stands behind them [n]."""
    prompts = [vocabulary.prompt_ids(e.request) for e in examples]
    rows = [prompt + e.completion() for prompt, e in zip(prompts, examples)]
    width = max(map(len, rows)) - 1
    ids = torch.full((len(rows), width), vocabulary.PAD)
    places, targets = [], []
    for i, (row, prompt) in enumerate(zip(rows, prompts)):
        ids[i, : len(row) - 1] = torch.tensor(row[:-1])
        for at in range(len(prompt), len(row)):
            if row[at] != vocabulary.CALL:
                places.append(i * width + at - 1)
                targets.append(row[at])
    return ids, torch.tensor(places), torch.tensor(targets)


def pool(seed: int, index: int, tokens: int, echo: float) -> list[list[Example]]:
    """POOL_BATCHES batches of about equal token counts, each of requests of like length, in random order."""
    source = Requests(seed * 1_000_003 + index)
    examples, total = [], 0
    while total < tokens * POOL_BATCHES:
        example = source.echo() if source.chance(echo) else source.any()
        examples.append(example)
        total += size(example)
    examples.sort(key=size)
    batches: list[list[Example]] = [[]]
    filled = 0
    for example in examples:
        filled += size(example)
        if filled > tokens and batches[-1]:
            batches.append([])
            filled = size(example)
        batches[-1].append(example)
    source.random.shuffle(batches)
    return batches


def size(example: Example) -> int:
    return len(example.request.encode()) + len(example.completion()) + 2


def rate(step: int, steps: int) -> float:
    cool = int(steps * COOL_DOWN)
    return min(1.0, (step + 1) / WARMUP_STEPS, (steps - step) / cool)


def train(options: argparse.Namespace) -> None:
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    model = Decoder(Config())
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embedding" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim == 1 or "embedding" in name]
    muon = Muon(matrices, rate=MUON_RATE)
    adam = torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    step, index = 0, 0
    if options.resume:
        saved = torch.load(options.resume, weights_only=True)
        model.load_state_dict(saved["weights"])
        muon.load_state_dict(saved["muon"])
        adam.load_state_dict(saved["adam"])
        step, index = saved["step"], saved.get("index", saved["step"] // POOL_BATCHES)
    states = torch.compile(model.hidden_states, dynamic=True)
    options.run.mkdir(parents=True, exist_ok=True)
    log = (options.run / "log.jsonl").open("a")
    batches: list[list[Example]] = []
    began, seen, losses = time.time(), 0, []
    while step < options.steps:
        if not batches:
            batches = pool(options.seed, index, options.tokens, echo=0.3 if step < ECHO_STEPS else 0.0)
            index += 1
        ids, places, targets = batch_of(batches.pop())
        for optimizer, top in ((muon, MUON_RATE), (adam, ADAM_RATE)):
            optimizer.param_groups[0]["lr"] = top * rate(step, options.steps)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = states(ids)
        logits = model.logits(hidden.flatten(0, 1)[places].float())
        loss = F.cross_entropy(logits, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        muon.step()
        adam.step()
        muon.zero_grad()
        adam.zero_grad()
        step += 1
        seen += ids.numel()
        losses.append(loss.item())
        if step % 50 == 0:
            entry = {"step": step, "loss": sum(losses) / len(losses), "seconds": time.time() - began, "tokens": seen}
            print(json.dumps(entry), file=log, flush=True)
            losses = []
        if step % options.save == 0 or step == options.steps:
            checkpoint = {
                "config": asdict(model.config),
                "weights": model.state_dict(),
                "muon": muon.state_dict(),
                "adam": adam.state_dict(),
                "step": step,
                "index": index,
            }
            torch.save(checkpoint, options.run / "writing.pt")
            (options.run / "writing.pt").rename(options.run / "last.pt")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, default=Path("runs/shipped"))
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--tokens", type=int, default=6144, help="tokens in a batch")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save", type=int, default=250, help="steps between checkpoints")
    parser.add_argument("--resume", type=Path)
    train(parser.parse_args())
