"""``OcrModel``: vision encoder, projector, text decoder and, for lines, a CTC head."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from ocrtool.errors import UsageError
from ocrtool.models.config import ModelConfig
from ocrtool.models.decoder import CrossCache, Past, TextDecoder
from ocrtool.models.formula import FormulaEncoder
from ocrtool.models.layers import CrossAttention, GeluMLP, SelfAttention, SwiGLU
from ocrtool.models.vision import LineEncoder, VisionTransformer

__all__ = ["CrossCache", "Encoding", "OcrModel", "Output", "initialize"]

FIRST_CHARACTER = 4
"""Ids below are PAD (also the CTC blank), BOS, EOS and UNK."""


class Encoding(NamedTuple):
    """An encoded batch of images.

    Attributes:
        memory: (B, N, d_model of the decoder), the projected image tokens.
        lengths: (B,) int64, valid tokens of each row.
        ctc_logits: (B, N * frames, V), or None without a CTC head.
    """

    memory: Tensor
    lengths: Tensor
    ctc_logits: Tensor | None

    @property
    def frames(self) -> Tensor:
        """(B,) int64, valid CTC frames of each row."""
        if self.ctc_logits is None:
            return self.lengths
        return self.lengths * (self.ctc_logits.shape[1] // self.memory.shape[1])


class Output(NamedTuple):
    """What teacher forcing returns.

    Attributes:
        logits: (B, T, V), scores of the token after each input token.
        ctc_logits: (B, N * frames, V), or None without a CTC head.
        frames: (B,) int64, valid CTC frames of each row.
        memory: (B, N, d_model of the decoder), the projected image tokens.
        looks: (n_layer, B, T, N), log-probabilities by which the first heads of the decoder attend
            to image tokens; None where not asked for.
    """

    logits: Tensor
    ctc_logits: Tensor | None
    frames: Tensor
    memory: Tensor
    looks: Tensor | None = None


class OcrModel(nn.Module):
    """Reads an image into token scores.

    ``encode``, ``cross`` and ``step`` take and return all state; the three can be exported with
    any batch, width, token and past sizes.
    """

    def __init__(self, config: ModelConfig) -> None:
        """Build and initialise the network that ``config`` describes.

        Raises:
            UsageError: when the vocabulary has not been filled in.
        """
        super().__init__()
        if config.vocab_size <= FIRST_CHARACTER:
            raise UsageError(
                f"vocab_size is {config.vocab_size}", "fill it from the data set's alphabet"
            )
        self.config = config
        vision = {"vit": VisionTransformer, "line": LineEncoder, "formula": FormulaEncoder}
        self.vision = vision[config.vision.kind](config.vision, flash=config.flash)
        self.projector = nn.Linear(config.vision.d_model, config.decoder.d_model)
        self.decoder = TextDecoder(
            config.decoder, config.vocab_size, flash=config.flash, prompt_ids=config.prompt_ids
        )
        scores = config.vision.frames * config.vocab_size
        self.ctc = nn.Linear(config.vision.d_model, scores) if config.ctc else None
        initialize(self)

    def encode(self, images: Tensor, sizes: Tensor | None = None) -> Encoding:
        """Encode images; see the encoders for what they expect.

        Args:
            images: (B, C, H, W).
            sizes: int64, the pixels of each row that are image: widths (B,) of lines, heights and
                widths (B, 2) of formulas; None when all rows are full.
        """
        tokens, lengths = self.vision(images, sizes)
        ctc_logits = None
        if self.ctc is not None:  # the frames of a column lie one behind the other
            ctc_logits = self.ctc(tokens).reshape(tokens.shape[0], -1, self.config.vocab_size)
        return Encoding(self.projector(tokens), lengths, ctc_logits)

    def cross(self, encoding: Encoding) -> CrossCache:
        """Compute the keys and values of the image (and prompt) that text sees, once an image."""
        return self.decoder.cross(encoding.memory, encoding.lengths)

    def step(
        self,
        tokens: Tensor,
        cross: CrossCache,
        past_keys: Tensor,
        past_values: Tensor,
        past_lengths: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Read tokens behind a past; see ``TextDecoder.forward``.

        Args:
            tokens: (B, T) int64.
            cross: from ``cross``.
            past_keys: (n_layer, B, G, P, D); P may be 0.
            past_values: (n_layer, B, G, P, D).
            past_lengths: (B,) int64; entry j of row b counts if ``j < past_lengths[b]``.

        Returns:
            Logits (B, T, V), and the new keys and values (n_layer, B, G, T, D).
        """
        past = Past(past_keys, past_values, past_lengths)
        output = self.decoder(tokens, cross, past)
        return output.logits, output.keys, output.values

    def forward(
        self, images: Tensor, tokens: Tensor, sizes: Tensor | None = None, looking: bool = False
    ) -> Output:
        """Teacher forcing: score the token after each of ``tokens`` (B, T), given the images."""
        encoding = self.encode(images, sizes)
        read = self.decoder(tokens, self.cross(encoding), None, looking)
        return Output(
            read.logits, encoding.ctc_logits, encoding.frames, encoding.memory, read.looks
        )

    def num_parameters(self) -> int:
        """Return the count of trainable numbers."""
        return sum(parameter.numel() for parameter in self.parameters())


def initialize(model: OcrModel) -> None:
    """Draw the first weights from PyTorch's global generator.

    Linear maps and embeddings: normal, deviation 0.02. The maps that write to a residual stream:
    divided by sqrt(2 n_layer) (with cross-attention three writers a block), so that the stream's
    variance does not grow with depth (Radford et al., 2019). Convolutions, before a norm: He
    normal. Biases and learned positions: zero, norms: one (their own defaults).

    A decoder without a CTC head beside it learns late where to look, for it must find the place in
    two dimensions. It learns several times sooner where what it looks at, and with, has variance
    one from the start: the maps from the stem to the keys, values and queries of the
    cross-attention.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
            nn.init.zeros_(module.bias)
    config = model.config
    for part, writers in (
        (model.vision, 2 * config.vision.n_layer),
        (model.decoder, (3 if config.decoder.fusion == "cross" else 2) * config.decoder.n_layer),
    ):
        std = 0.02 * writers**-0.5
        for module in part.modules():
            if isinstance(module, SelfAttention | CrossAttention | GeluMLP | SwiGLU):
                nn.init.normal_(module.out.weight, std=std)
    if model.ctc is None:
        looking = [model.projector]
        if isinstance(model.vision, FormulaEncoder):
            looking.append(model.vision.stem.project)
        for module in model.decoder.modules():
            if isinstance(module, CrossAttention):
                looking += [module.q, module.kv]
        for module in looking:
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
