"""Muon: momentum whose matrices are made orthogonal before they are applied (Jordan et al., 2024).

All matrices of one shape go through the iteration in a stack: one at a time, small ones would take a fifth of the training.
"""

import torch
from torch import Tensor, nn

QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    def __init__(self, matrices: list[nn.Parameter], rate: float, momentum: float = 0.95, decay: float = 0.05):
        super().__init__(matrices, {"lr": rate, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self) -> None:
        group = self.param_groups[0]
        rate, momentum, decay = group["lr"], group["momentum"], group["decay"]
        stacks: dict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]] = {}
        for p in group["params"]:
            past = self.state[p].setdefault("momentum", torch.zeros_like(p))
            past.lerp_(p.grad, 1 - momentum)
            ahead = p.grad.lerp(past, momentum)
            flat = ahead if p.shape[0] <= p.shape[1] else ahead.T
            stacks.setdefault(tuple(flat.shape), []).append((p, flat))
        for members in stacks.values():
            for (p, _), update in zip(members, orthogonal(torch.stack([flat for _, flat in members]))):
                shaped = update if p.shape[0] <= p.shape[1] else update.T
                p.mul_(1 - rate * decay).add_(shaped, alpha=-rate * max(1, p.shape[0] / p.shape[1]) ** 0.5)


def orthogonal(x: Tensor) -> Tensor:
    """About the nearest matrices [n, rows <= columns] whose singular values are one."""
    a, b, c = QUINTIC
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x
