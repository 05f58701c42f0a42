"""The text detector: a small residual network with a feature pyramid and several output maps.

A text line is detected by its kernel: the central band of the line, word gaps included, which
does not touch the kernels of adjacent lines even where the lines touch (as in PSENet, Wang et
al., 2019, and DB, Liao et al., 2020). Two more maps give the height of the line (as in ParseNet,
Kodym and Hradiš, 2021) and its reading direction, instead of deriving them from the shape of the
kernel. So small type keeps exact boxes, and lines may be upside down.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ocrtool.errors import UsageError

SIDE_MULTIPLE = 32
"""Heights and widths of input images are multiples of this number of pixels."""
REGIONS = 4
"""Number of region maps: table, formula, figure, rule (``layout.postprocess.REGION_KINDS``)."""
TEXT_PRIOR = -2.0
"""Initial bias of the kernel logit: about one pixel in eight is text."""
GEOMETRY_PRIOR = (1.0, 0.0, 0.5)
"""Initial bias of the geometry maps: text runs to the right and is 23 pixels high."""
REGION_PRIOR = -4.0
"""Initial bias of the region logits: about one pixel in fifty is in a region."""


@dataclass(frozen=True)
class DetectorConfig:
    """Hyperparameters of the detector.

    Attributes:
        stem: Channels at stride 2.
        widths: Channels at strides 4, 8, 16 and 32.
        blocks: Residual blocks at each of these strides.
        neck: Channels of the feature pyramid.
        areas: Channels (even) of a separate pyramid for regions; 0 uses that of the text.
    """

    stem: int = 16
    widths: tuple[int, ...] = (32, 48, 96, 192)
    blocks: tuple[int, ...] = (1, 1, 2, 2)
    neck: int = 32
    areas: int = 0

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            UsageError: A number is missing or not positive.
        """
        if len(self.widths) != 4 or len(self.blocks) != 4:
            raise UsageError("a detector has four stages", "give four widths and four blocks")
        if min(self.stem, self.neck, *self.widths) < 1 or min(self.areas, *self.blocks) < 0:
            raise UsageError("channels of a detector are above zero")

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON types; ``from_dict`` is the inverse."""
        return {
            **dataclasses.asdict(self),
            "widths": list(self.widths),
            "blocks": list(self.blocks),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DetectorConfig:
        """Build a configuration from the output of ``to_dict``.

        Raises:
            UsageError: A key is unknown or a value is invalid.
        """
        try:
            lists = {name: tuple(values[name]) for name in ("widths", "blocks") if name in values}
            return cls(**{**values, **lists})
        except TypeError as error:
            raise UsageError(f"not the geometry of a detector: {error}") from None


class DetectorMaps(NamedTuple):
    """Output maps of the network, before any sigmoid.

    Attributes:
        kernel: (B, 1, H/2, W/2) logits of the central bands of lines.
        geometry: (B, 3, H/4, W/4): x and y of the reading direction (y down, of about unit length)
            and the base-2 logarithm of the line's height in units of 16 pixels. They are valid only
            where there is text.
        regions: (B, 4, H/4, W/4) logits: table, formula, figure, rule; they may overlap.
    """

    kernel: Tensor
    geometry: Tensor
    regions: Tensor


class ConvNorm(nn.Module):
    """A 3x3 convolution and batch normalisation, which is folded into it for inference."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv: nn.Conv2d = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, out, H / stride, W / stride)."""
        return cast(Tensor, self.norm(self.conv(x)))

    def fold(self) -> None:
        """Fold the normalisation into the convolution."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()


class ResidualBlock(nn.Module):
    """Two convolutions with a shortcut (He et al., 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels)
        self.second = ConvNorm(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return F.relu(x + self.second(F.relu(self.first(x))))


class ConvStage(nn.Module):
    """A strided convolution, then residual blocks."""

    def __init__(self, channels: int, out: int, blocks: int) -> None:
        super().__init__()
        self.down = ConvNorm(channels, out, 2)
        self.blocks = nn.ModuleList(ResidualBlock(out) for _ in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, out, H/2, W/2)."""
        x = F.relu(self.down(x))
        for block in self.blocks:
            x = block(x)
        return x


class AreaPyramid(nn.Module):
    """Region maps from the features of the detector at strides 8, 16 and 32.

    Only these features are shared with the text maps, so that regions can be trained without any
    change to detected lines. Features that text detection does not need, such as the difference
    between upright and slanted letters, are computed by separate stages that start at stride 8.
    """

    def __init__(self, widths: Sequence[int], channels: int) -> None:
        super().__init__()
        middle, coarse, coarsest = widths
        half = channels // 2
        self.coarse = ConvStage(middle, channels, 1)
        self.coarsest = ConvStage(channels, channels, 1)
        self.lateral_coarse = nn.Conv2d(coarse, channels, 1)
        self.lateral_coarsest = nn.Conv2d(coarsest, channels, 1)
        self.smooth = ConvNorm(channels, channels)
        self.lateral_middle = nn.Conv2d(middle, half, 1)
        self.narrow = nn.Conv2d(channels, half, 1)
        self.merge = ConvNorm(half, half)
        self.head = nn.Conv2d(half, 4 * REGIONS, 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Map (B, C, H/8, W/8) and its halves and quarters to logits (B, 4, H/4, W/4)."""
        middle, coarse, coarsest = levels
        own = self.coarse(middle) + self.lateral_coarse(coarse)
        x = self.coarsest(own) + self.lateral_coarsest(coarsest)
        x = F.relu(self.smooth(own + _upsample_2x(x)))
        x = F.relu(self.merge(self.lateral_middle(middle) + _upsample_2x(self.narrow(x))))
        return F.pixel_shuffle(self.head(x), 2)


class DetectorNet(nn.Module):
    """Maps grey images to text and region maps."""

    def __init__(self, config: DetectorConfig) -> None:
        """Build the network that ``config`` describes, with initial weights."""
        super().__init__()
        self.config = config
        neck = config.neck
        self.stem = ConvNorm(1, config.stem, 2)
        sizes = (config.stem, *config.widths)
        self.stages = nn.ModuleList(
            ConvStage(a, b, n) for a, b, n in zip(sizes, sizes[1:], config.blocks, strict=False)
        )
        self.laterals = nn.ModuleList(nn.Conv2d(width, neck, 1) for width in config.widths)
        self.smooth = ConvNorm(neck, neck)
        self.merge = ConvNorm(neck, neck)
        self.text = nn.Conv2d(neck, 4, 3, 1, 1)
        self.geometry = nn.Conv2d(neck, 3, 1)
        self.regions = nn.Conv2d(neck, REGIONS, 1)
        self.areas = AreaPyramid(config.widths[1:], config.areas) if config.areas else None
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for head, prior in (
            (self.text, (TEXT_PRIOR,) * 4),
            (self.geometry, GEOMETRY_PRIOR),
            (self.regions, (REGION_PRIOR,) * REGIONS),
        ):
            nn.init.normal_(head.weight, std=0.01)
            cast(Tensor, head.bias).data = torch.tensor(prior)
        if self.areas is not None:  # its output is added to the region logits of the text pyramid
            nn.init.zeros_(self.areas.head.weight)

    def forward(self, images: Tensor) -> DetectorMaps:
        """Compute the maps of images.

        Args:
            images: (B, 1, H, W), normalised by ``layout.detector.standardize``; H and W are
                multiples of 32.
        """
        x = F.relu(self.stem(images))
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        fine, middle, coarse, coarsest = (
            lateral(level) for lateral, level in zip(self.laterals, levels, strict=True)
        )
        x = coarse + _upsample_2x(coarsest)
        x = F.relu(self.smooth(middle + _upsample_2x(x)))
        x = F.relu(self.merge(fine + _upsample_2x(x)))
        # Sub-pixel upsampling: the kernels of small type need twice the resolution.
        kernel = F.pixel_shuffle(self.text(x), 2)
        regions = self.regions(x)
        if self.areas is not None:
            regions = regions + self.areas(levels[1:])
        return DetectorMaps(kernel, self.geometry(x), regions)

    def fold(self) -> DetectorNet:
        """Fold all normalisations into the convolutions; for inference only."""
        self.eval()
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fold()
        return self

    def num_parameters(self) -> int:
        """Return the number of trainable parameters."""
        return sum(parameter.numel() for parameter in self.parameters())


def _upsample_2x(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
