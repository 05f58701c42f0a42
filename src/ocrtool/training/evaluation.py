"""Scores of a network on a validation set."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ocrtool.models.cache import KVCache
from ocrtool.models.ocr import Encoding, OcrModel, Output
from ocrtool.training.data import Arrays, Batch, Preparation, Source, validation_batches
from ocrtool.training.metrics import rates
from ocrtool.weights import BLANK, BOS, EOS, PAD, Vocabulary

DECODED = 256
"""Maximum number of images that a network without CTC reads freely; all have a loss."""
SHOWN = 5
"""Maximum number of readings in a validation record."""


def to_device(batch: Arrays, device: torch.device) -> Batch[Tensor]:
    """Copy a batch to the device."""
    tensors = map(torch.from_numpy, batch)
    if device.type == "cpu":
        return Batch(*tensors)
    return Batch(*(tensor.pin_memory().to(device, non_blocking=True) for tensor in tensors))


class Sums(NamedTuple):
    """Sums over a batch, scalars on the device.

    Attributes:
        decoder: Cross-entropy of the characters and EOS, with teacher forcing.
        ctc: CTC loss of the texts; 0 without a CTC head.
        correct: Number of tokens (with EOS) that the decoder ranks first, with teacher forcing.
    """

    decoder: Tensor
    ctc: Tensor
    correct: Tensor


def sums_of(output: Output, batch: Batch[Tensor], label_smoothing: float = 0.0) -> Sums:
    """Return the losses of a batch, summed (not averaged) over characters and lines."""
    flat, wanted = output.logits.flatten(0, 1), batch.targets.flatten()
    decoder = F.cross_entropy(
        flat.float(),
        wanted,
        ignore_index=PAD,
        reduction="sum",
        label_smoothing=label_smoothing,
    )
    correct = ((flat.argmax(-1) == wanted) & (wanted != PAD)).sum()
    if output.ctc_logits is None:
        return Sums(decoder, torch.zeros_like(decoder), correct)
    ctc = F.ctc_loss(
        output.ctc_logits.float().log_softmax(-1).transpose(0, 1),
        batch.targets,  # EOS is beyond each length
        output.frames,
        batch.lengths,
        blank=BLANK,
        reduction="sum",
        zero_infinity=True,
    )
    return Sums(decoder, ctc, correct)


def guidance_of(output: Output, batch: Batch[Tensor], embedding: Tensor) -> Tensor:
    """Return the guidance loss of known symbol positions, summed over tokens.

    The first head of each decoder block but the first, which has too little context, is to attend
    to the next symbol (guided attention; Tachibana et al., 2018), and the encoder's output at a
    symbol is to be most similar to the embedding of its token. Reading is then learned several
    times faster.

    Args:
        output: Output with ``attention``.
        batch: Batch with ``signs`` and ``places``.
        embedding: (V, d_model), the decoder's.
    """
    if output.attention is None:
        raise ValueError("the output has no attention weights")
    later = output.attention[-max(1, len(output.attention) - 1) :].mean(0)
    looked = later.gather(-1, batch.places.clamp(min=0)[..., None])[..., 0]
    row, column = torch.nonzero(batch.signs >= 0, as_tuple=True)
    seen = output.memory[row, batch.signs[row, column]]
    named = F.cross_entropy(
        F.linear(seen, embedding).float(), batch.targets[row, column], reduction="sum"
    )
    return named - (looked * (batch.places >= 0)).sum()


@torch.no_grad()
def validate(
    model: OcrModel,
    source: Source,
    size: int,
    preparation: Preparation,
    batch_size: int,
    weights: tuple[float, float],
    precision: torch.dtype,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Any] | None:
    """Score a network on a validation set; it is left in evaluation mode.

    Args:
        model: The network.
        source: The validation set.
        size: Number of its samples.
        preparation: Converts samples to the network's input.
        batch_size: Mean number of samples of a batch.
        weights: Weights of the decoder's and the CTC loss.
        precision: Number format of matrix products.
        stopped: Checked before each batch.

    Returns:
        None where validation was stopped, else ``loss`` (that of training without label
        smoothing), ``decoder_loss`` (per token), ``ctc_loss`` (per character), ``accuracy`` (share
        of correct tokens with teacher forcing), the `Rates` of free reading (by CTC if the network
        has it, else by the decoder), and ``samples``, some pairs of label and reading.
    """
    model.eval()
    device = next(model.parameters()).device
    decoder = ctc = correct = 0.0
    tokens = characters = 0
    readings: list[str] = []
    truths: list[str] = []
    for batch, texts in validation_batches(source, size, preparation, batch_size):
        if stopped():
            return None
        tensors = to_device(batch, device)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            encoding = model.encode(tensors.pixels, tensors.sizes)
            logits = model.decoder(tensors.tokens, model.cross(encoding)).logits
            output = Output(logits, encoding.ctc_logits, encoding.frames, encoding.memory)
            sums = sums_of(output, tensors)
        decoder += float(sums.decoder)
        ctc += float(sums.ctc)
        correct += float(sums.correct)
        characters += int(batch.lengths.sum())
        tokens += int(batch.lengths.sum()) + len(texts)
        if encoding.ctc_logits is not None:
            readings += ctc_readings(encoding.ctc_logits, encoding.frames, preparation.vocabulary)
        elif len(readings) < DECODED:
            with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                most = 2 * tensors.tokens.shape[1]  # longer readings are wrong anyway
                readings += greedy_readings(model, encoding, preparation.vocabulary, most)
        else:
            continue
        truths += texts
    found = rates(readings, truths, preparation.vocabulary.separator)
    decoder_loss, ctc_loss = decoder / max(tokens, 1), ctc / max(characters, 1)
    step = max(1, len(truths) // SHOWN)
    return {
        "loss": weights[0] * decoder_loss + weights[1] * ctc_loss,
        "decoder_loss": decoder_loss,
        "ctc_loss": ctc_loss,
        "accuracy": correct / max(tokens, 1),
        **dataclasses.asdict(found),
        "samples": list(zip(truths[::step], readings[::step], strict=True))[:SHOWN],
    }


def ctc_readings(logits: Tensor, frames: Tensor, vocabulary: Vocabulary) -> list[str]:
    """Decode CTC logits (B, N, V) greedily, with `frames` (B,) frames in each row."""
    best = logits.argmax(-1).tolist()
    return [
        vocabulary.decode(key for key, _ in itertools.groupby(row[:length]))
        for row, length in zip(best, frames.tolist(), strict=True)
    ]


def greedy_readings(
    model: OcrModel, encoding: Encoding, vocabulary: Vocabulary, most: int | None = None
) -> list[str]:
    """Decode images greedily until EOS, or `most` tokens, or the decoder's maximum length."""
    longest = model.config.decoder.max_length - 1
    rows, device = encoding.memory.shape[0], encoding.memory.device
    cross = model.cross(encoding)
    cache = KVCache.allocate(model.config.decoder, rows, device, cross.keys.dtype)
    token = torch.full((rows, 1), BOS, device=device)
    done = torch.zeros(rows, dtype=torch.bool, device=device)
    written: list[Tensor] = []
    for _ in range(min(longest, most or longest)):
        logits, keys, values = model.step(token, cross, *cache.past())
        cache.append(keys, values)
        token = logits[:, -1:].argmax(-1)
        done |= token[:, 0] == EOS
        written.append(token[:, 0].masked_fill(done, PAD))
        if bool(done.all()):
            break
    return [vocabulary.decode(row) for row in torch.stack(written, 1).tolist()]
