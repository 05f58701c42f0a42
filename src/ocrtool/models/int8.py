"""Linear layers with 8-bit weights: half the memory of bfloat16."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Int8Linear(nn.Module):
    """A linear layer whose int8 weights have one scale per row; its bias is not quantised."""

    weight: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor, dtype: torch.dtype) -> None:
        """Quantise weights (out, in) to int8; products are computed in ``dtype``."""
        super().__init__()
        wide = weight.float()
        scale = wide.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
        self.register_buffer("weight", (wide / scale).round().to(torch.int8))
        self.register_buffer("scale", scale[:, 0].to(dtype))
        self.bias: nn.Parameter | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        out = F.linear(x, self.weight.to(x.dtype)) * self.scale.to(x.dtype)
        return out if self.bias is None else out + self.bias
