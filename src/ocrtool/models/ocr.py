"""``OcrModel``: vision encoder, projector, text decoder and, for lines, a CTC head."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from ocrtool.errors import UsageError
from ocrtool.models import ModelConfig
from ocrtool.models.decoder import CrossCache, Past, TextDecoder
from ocrtool.models.formula import FormulaEncoder
from ocrtool.models.layers import CrossAttention, GeluMLP, SelfAttention, SwiGLU
from ocrtool.models.vision import LineEncoder, VisionTransformer

__all__ = ["CrossCache", "Encoding", "OcrModel", "Output", "initialize"]

FIRST_CHARACTER_ID = 4
"""First character id; the ids below are PAD (also the CTC blank), BOS, EOS and UNK."""


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
    """Output of teacher forcing.

    Attributes:
        logits: (B, T, V), scores of the token after each input token.
        ctc_logits: (B, N * frames, V), or None without a CTC head.
        frames: (B,) int64, valid CTC frames of each row.
        memory: (B, N, d_model of the decoder), the projected image tokens.
        attention: (n_layer, B, T, N), log attention weights of the decoder's first cross-attention
            heads over the image tokens; None where not requested.
    """

    logits: Tensor
    ctc_logits: Tensor | None
    frames: Tensor
    memory: Tensor
    attention: Tensor | None = None


class OcrModel(nn.Module):
    """Maps an image to token scores.

    ``encode``, ``cross`` and ``step`` take and return all state; the three can be exported with any
    batch size, width, token count and cache length.
    """

    def __init__(self, config: ModelConfig) -> None:
        """Build and initialise the network that ``config`` describes.

        Raises:
            UsageError: The vocabulary size is not set.
        """
        super().__init__()
        if config.vocab_size <= FIRST_CHARACTER_ID:
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
        """Encode images; the encoders define the expected input.

        Args:
            images: (B, C, H, W).
            sizes: int64, size in pixels of the image in each row: widths (B,) of lines, heights and
                widths (B, 2) of formulas; None when all rows are full.
        """
        tokens, lengths = self.vision(images, sizes)
        ctc_logits = None
        if self.ctc is not None:  # the frames of a column are consecutive
            ctc_logits = self.ctc(tokens).reshape(tokens.shape[0], -1, self.config.vocab_size)
        return Encoding(self.projector(tokens), lengths, ctc_logits)

    def cross(self, encoding: Encoding) -> CrossCache:
        """Compute the keys and values of the image (and prompt), once per image."""
        return self.decoder.cross(encoding.memory, encoding.lengths)

    def step(
        self,
        tokens: Tensor,
        cross: CrossCache,
        past_keys: Tensor,
        past_values: Tensor,
        past_lengths: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Process tokens after a past; see ``TextDecoder.forward``.

        Args:
            tokens: (B, T) int64.
            cross: from ``cross``.
            past_keys: (n_layer, B, G, P, D); P may be 0.
            past_values: (n_layer, B, G, P, D).
            past_lengths: (B,) int64; entry j of row b is valid if ``j < past_lengths[b]``.

        Returns:
            Logits (B, T, V), and the new keys and values (n_layer, B, G, T, D).
        """
        past = Past(past_keys, past_values, past_lengths)
        output = self.decoder(tokens, cross, past)
        return output.logits, output.keys, output.values

    def forward(
        self,
        images: Tensor,
        tokens: Tensor,
        sizes: Tensor | None = None,
        return_attention: bool = False,
    ) -> Output:
        """Teacher forcing: score the token after each of ``tokens`` (B, T), given the images."""
        encoding = self.encode(images, sizes)
        read = self.decoder(tokens, self.cross(encoding), None, return_attention)
        return Output(
            read.logits, encoding.ctc_logits, encoding.frames, encoding.memory, read.attention
        )

    def num_parameters(self) -> int:
        """Return the number of trainable parameters."""
        return sum(parameter.numel() for parameter in self.parameters())


def initialize(model: OcrModel) -> None:
    """Initialise the weights with PyTorch's global random generator.

    Linear layers and embeddings: normal, standard deviation 0.02. Layers that write to a residual
    stream: divided by sqrt(2 n_layer) (3 with cross-attention), so that the stream's variance does
    not grow with depth (Radford et al., 2019). Convolutions before a norm: He normal. Biases and
    learned positions: zero; norms: one (their defaults).

    A decoder without a CTC head learns attention late, because it must locate the text in two
    dimensions. It learns several times faster where the inputs of cross-attention have unit
    variance from the start: the layers from the stem to the keys, values and queries of the
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
        scaled = [model.projector]
        if isinstance(model.vision, FormulaEncoder):
            scaled.append(model.vision.stem.project)
        for module in model.decoder.modules():
            if isinstance(module, CrossAttention):
                scaled += [module.q, module.kv]
        for module in scaled:
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
