"""Optimizers: AdamW, or Muon for matrices and AdamW for all other parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

_STATES = ("step", "exp_avg", "exp_avg_sq", "momentum_buffer")
"""State of a parameter in an optimizer."""
MOMENTUM = 0.95
"""Decay per step of Muon's momentum."""
UPDATE_RMS = 0.2
"""Root mean square of Muon's updates at a learning rate of 1, about that of AdamW's."""
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration, which maximise its slope at zero."""
NEWTON_SCHULZ_STEPS = 5


class Muon(torch.optim.Optimizer):
    """Momentum of a matrix, orthogonalised by Newton-Schulz iteration (Jordan et al., 2024).

    PyTorch's Muon iterates in bfloat16, which some processors only emulate: it then takes four
    fifths of a training step. Here each device iterates in a number format that is fast on it.

    Args:
        groups: Parameter groups of matrices (M, N).
    """

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        super().__init__(groups, {"lr": 0.0, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; see ``torch.optim.Optimizer.step``."""
        assert closure is None
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes.setdefault(parameter.shape, []).append(parameter)
            for shape, parameters in shapes.items():
                updates = orthogonalized(torch.stack([self._momentum(p) for p in parameters]))
                rate = group["lr"] * UPDATE_RMS * max(shape) ** 0.5
                for parameter, update in zip(parameters, updates, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update.to(parameter.dtype), alpha=-rate)

    def _momentum(self, parameter: Tensor) -> Tensor:
        """Update the momentum of a parameter and return its Nesterov look-ahead."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum_buffer"]
        buffer.lerp_(parameter.grad, 1 - MOMENTUM)
        return parameter.grad.lerp(buffer, MOMENTUM)


def orthogonalized(matrices: Tensor) -> Tensor:
    """Return the orthogonal factors (UV of the singular value decomposition), approximately.

    Args:
        matrices: (K, M, N).

    Returns:
        (K, M, N), singular values within about 0.7 to 1.2.
    """
    a, b, c = NEWTON_SCHULZ
    fast = torch.float32 if matrices.device.type == "cpu" else torch.bfloat16
    x = matrices.to(fast)
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.transpose(1, 2)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.transpose(1, 2) if tall else x


class MuonAdamW(torch.optim.Optimizer):
    """Muon and AdamW as one optimizer, so that a gradient scaler skips a step of both or of none.

    Muon is for the matrices inside a network, not for embeddings, output layers, vectors and
    filters (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/). Its updates are
    scaled to the size of AdamW's, so that both use one learning rate (Liu et al., 2025,
    arXiv:2502.16982). `muon` and `adamw` are parameter groups.
    """

    def __init__(
        self, muon: list[dict[str, Any]], adamw: list[dict[str, Any]], *, beta2: float
    ) -> None:
        self.parts: tuple[torch.optim.Optimizer, ...] = (
            Muon(muon),
            torch.optim.AdamW(adamw, lr=0.0, betas=(0.9, beta2), fused=True),
        )
        super().__init__([group for part in self.parts for group in part.param_groups], {})
        for part in self.parts:
            part.state = self.state

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step of both; see ``torch.optim.Optimizer.step``."""
        assert closure is None
        for part in self.parts:
            part.step()


def optimizer_of(
    model: nn.Module, name: str, *, weight_decay: float, beta2: float
) -> torch.optim.Optimizer:
    """Return the optimizer ``adamw`` or ``muon`` of a network's trained parameters.

    The learning rate is 0 until it is set. Norms, biases, embeddings and learned positions have no
    weight decay; `beta2` is AdamW's second-moment decay.
    """
    embeddings = {
        id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)
    }
    matrices: list[Tensor] = []
    filters: list[Tensor] = []
    plain: list[Tensor] = []
    for label, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if parameter.ndim < 2 or id(parameter) in embeddings or label.endswith("positions"):
            plain.append(parameter)
        else:
            outputs = label.endswith("head.weight") or label.startswith("ctc.")
            (filters if outputs or parameter.ndim > 2 else matrices).append(parameter)
    if name == "adamw":
        groups = [
            {"params": matrices + filters, "weight_decay": weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, beta2), fused=True)
    return MuonAdamW(
        [{"params": matrices, "weight_decay": weight_decay}],
        [
            {"params": filters, "weight_decay": weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ],
        beta2=beta2,
    )


def moments(
    optimizer: torch.optim.Optimizer, parameters: Iterable[tuple[str, Tensor]]
) -> dict[str, Tensor]:
    """Return an optimizer's state of named parameters, as ``STATE.NAME``."""
    return {
        f"{key}.{name}": value
        for name, parameter in parameters
        for key, value in optimizer.state[parameter].items()
    }


def restore_moments(
    optimizer: torch.optim.Optimizer,
    parameters: Iterable[tuple[str, Tensor]],
    tensors: Mapping[str, Tensor],
) -> None:
    """Restore the state that `moments` returned for the same parameters, on any device."""
    for name, parameter in parameters:
        for key in _STATES:
            moment = tensors.get(f"{key}.{name}")
            if moment is None:
                continue
            if key == "step":
                moment = moment.to(parameter.device)
            else:  # fused optimizers need the memory layout of the weights
                moment = torch.empty_like(parameter).copy_(moment).detach()
            optimizer.state[parameter][key] = moment
