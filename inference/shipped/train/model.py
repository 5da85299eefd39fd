"""A Llama-type decoder: RMSNorm, rotary positions, grouped-query attention, SwiGLU, tied embeddings."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import vocabulary

Past = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Config:
    hidden: int = 160
    layers: int = 6
    heads: int = 5
    kv_heads: int = 5
    head_dim: int = 32
    ffn: int = 384
    context: int = 512
    vocab: int = vocabulary.SIZE
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def rope_tables(config: Config) -> tuple[Tensor, Tensor]:
    """cos and sin, [context, head_dim / 2]."""
    steps = torch.arange(0, config.head_dim, 2, dtype=torch.float64) / config.head_dim
    angles = torch.arange(config.context, dtype=torch.float64)[:, None] * config.rope_theta**-steps
    return angles.cos().float(), angles.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns the pairs (x[i], x[i + head_dim/2]) of x [b, heads, s, head_dim] by the angle of their position."""
    left, right = x.chunk(2, -1)
    return torch.cat((left * cos - right * sin, right * cos + left * sin), -1)


class Block(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        self.attention_norm = RMSNorm(c.hidden, c.norm_eps)
        self.q = nn.Linear(c.hidden, c.heads * c.head_dim, bias=False)
        self.k = nn.Linear(c.hidden, c.kv_heads * c.head_dim, bias=False)
        self.v = nn.Linear(c.hidden, c.kv_heads * c.head_dim, bias=False)
        self.o = nn.Linear(c.heads * c.head_dim, c.hidden, bias=False)
        self.ffn_norm = RMSNorm(c.hidden, c.norm_eps)
        self.gate = nn.Linear(c.hidden, c.ffn, bias=False)
        self.up = nn.Linear(c.hidden, c.ffn, bias=False)
        self.down = nn.Linear(c.ffn, c.hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, bias: Tensor, past):
        b, s, _ = x.shape
        h = self.attention_norm(x)

        def heads(projected: Tensor) -> Tensor:
            return projected.view(b, s, -1, self.c.head_dim).transpose(1, 2)

        q = rotate(heads(self.q(h)), cos, sin)
        k = rotate(heads(self.k(h)), cos, sin)
        v = heads(self.v(h))
        if past is not None:
            k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
        group = self.c.heads // self.c.kv_heads
        # spelled out: on a CPU the backward pass of the fused attention takes longer than all the rest
        scores = q @ k.repeat_interleave(group, 1).transpose(2, 3) * self.c.head_dim**-0.5
        seen = torch.softmax(scores + bias, -1).to(v.dtype) @ v.repeat_interleave(group, 1)
        x = x + self.o(seen.transpose(1, 2).reshape(b, s, -1))
        h = self.ffn_norm(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h)), (k, v)


class Decoder(nn.Module):
    def __init__(self, config: Config = Config()):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab, config.hidden)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.hidden, config.norm_eps)
        cos, sin = rope_tables(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        nn.init.normal_(self.embedding.weight, std=0.02)
        for name, p in self.named_parameters():
            if name.endswith(("o.weight", "down.weight")):
                nn.init.zeros_(p)

    def hidden_states(self, ids: Tensor) -> Tensor:
        """Training path: ids [b, s], padded on the right, to the normed states before the output projection."""
        s = ids.shape[1]
        x = self.embedding(ids)
        slots = torch.arange(s)
        bias = torch.where(slots[None, :] <= slots[:, None], 0.0, -1e9)
        for block in self.blocks:
            x, _ = block(x, self.cos[:s], self.sin[:s], bias, None)
        return self.norm(x)

    def logits(self, states: Tensor) -> Tensor:
        return states @ self.embedding.weight.T

    def forward(self, ids: Tensor, mask: Tensor, positions: Tensor, past: Past | None = None) -> tuple[Tensor, Past]:
        """What model.onnx computes: ids and positions [b, s], mask [b, past + s] to logits [b, s, vocab] and the new past."""
        s, total = ids.shape[1], mask.shape[1]
        slots = torch.arange(total)
        visible = (slots[None, :] <= slots[total - s :, None])[None, None] & mask.bool()[:, None, None, :]
        # a finite bias and no -inf: a row of padding sees everything evenly and stays a number
        bias = torch.where(visible, 0.0, -1e9)
        cos, sin = self.cos[positions][:, None], self.sin[positions][:, None]
        x = self.embedding(ids)
        present: Past = []
        for i, block in enumerate(self.blocks):
            x, kv = block(x, cos, sin, bias, past[i] if past else None)
            present.append(kv)
        return self.logits(self.norm(x)), present
