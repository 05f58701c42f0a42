"""Scores of a network on a validation set."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ocrtool.models.cache import KVCache
from ocrtool.models.ocr import Encoding, OcrModel, Output
from ocrtool.training.data import Batch, Preparation, Source, validation_batches
from ocrtool.training.metrics import rates
from ocrtool.weights.vocabulary import BLANK, BOS, EOS, PAD, Vocabulary

DECODED = 256
"""Images read token by token; the rest of a set only counts by its loss and accuracy."""
SHOWN = 5


class Tensors(NamedTuple):
    """A batch on the device; see :class:`ocrtool.training.data.Batch`."""

    pixels: Tensor
    sizes: Tensor
    tokens: Tensor
    targets: Tensor
    lengths: Tensor
    signs: Tensor
    places: Tensor


def to_device(batch: Batch, device: torch.device) -> Tensors:
    """Copy a batch to the device."""
    tensors = map(torch.from_numpy, batch)
    if device.type == "cpu":
        return Tensors(*tensors)
    return Tensors(*(tensor.pin_memory().to(device, non_blocking=True) for tensor in tensors))


class Sums(NamedTuple):
    """Sums over a batch, all scalars on the device.

    Attributes:
        decoder: Cross-entropy of the characters and EOS, with teacher forcing.
        ctc: Negative log-probability of the lines by CTC; 0 without a CTC head.
        correct: Tokens (EOS counts) that the decoder ranks first, with teacher forcing.
    """

    decoder: Tensor
    ctc: Tensor
    correct: Tensor


def sums_of(output: Output, batch: Tensors, label_smoothing: float = 0.0) -> Sums:
    """Losses of a batch, summed (not averaged) over characters and lines."""
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
        batch.targets,  # EOS lies behind each length
        output.frames,
        batch.lengths,
        blank=BLANK,
        reduction="sum",
        zero_infinity=True,
    )
    return Sums(decoder, ctc, correct)


def guidance_of(output: Output, batch: Tensors, embedding: Tensor) -> Tensor:
    """How badly the network knows where the signs of a text stand, summed over its tokens.

    The first heads of the decoder shall look at the sign that comes next, in all blocks but the
    first, which knows too little of the text to tell (guided attention; Tachibana et al., 2018).
    And what the encoder says of a place shall be most like the embedding of the sign that stands
    there. A network that is told so learns to read several times sooner.

    Args:
        output: With ``attention``.
        batch: With ``signs`` and ``places``.
        embedding: (V, d_model) of the decoder.

    Returns:
        A scalar: cross-entropies of the two, added.
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


class Scores(NamedTuple):
    """Scores of a validation.

    Attributes:
        loss: What training minimises, without label smoothing, per character.
        decoder_loss: Cross-entropy a token.
        ctc_loss: CTC loss a character.
        accuracy: Share of tokens right with teacher forcing.
        cer: Character error rate of free reading (CTC where there is one, else the decoder); token
            error rate where the network writes tokens.
        wer: Word error rate, likewise.
        exact: Share of lines read without error, likewise.
        similarity: Mean edit similarity of a line, in characters or tokens, likewise.
        samples: Some pairs of truth and reading.
    """

    loss: float
    decoder_loss: float
    ctc_loss: float
    accuracy: float
    cer: float
    wer: float
    exact: float
    similarity: float
    samples: list[tuple[str, str]]


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
) -> Scores | None:
    """Score a network.

    Args:
        model: The network; it is left in evaluation mode.
        source: The validation set.
        size: Its number of samples.
        preparation: What the network takes.
        batch_size: Mean batch.
        weights: Weights of the decoder's and the CTC loss.
        precision: Type of the matrix products.
        stopped: Asked between batches; the validation is given up when it says so.

    Returns:
        The scores, or None where it was stopped.
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
                most = 2 * tensors.tokens.shape[1]  # what is longer is wrong anyhow
                readings += greedy_readings(model, encoding, preparation.vocabulary, most)
        else:
            continue
        truths += texts
    found = rates(readings, truths, preparation.vocabulary.separator)
    decoder_loss, ctc_loss = decoder / max(tokens, 1), ctc / max(characters, 1)
    step = max(1, len(truths) // SHOWN)
    return Scores(
        loss=weights[0] * decoder_loss + weights[1] * ctc_loss,
        decoder_loss=decoder_loss,
        ctc_loss=ctc_loss,
        accuracy=correct / max(tokens, 1),
        cer=found.cer,
        wer=found.wer,
        exact=found.exact,
        similarity=found.similarity,
        samples=list(zip(truths[::step], readings[::step], strict=True))[:SHOWN],
    )


def ctc_readings(logits: Tensor, frames: Tensor, vocabulary: Vocabulary) -> list[str]:
    """Greedy CTC: the best id of every frame, repeats merged, blanks dropped.

    Args:
        logits: (B, N, V).
        frames: (B,) frames of each row.
        vocabulary: Of the ids.
    """
    best = logits.argmax(-1).tolist()
    return [
        vocabulary.decode(key for key, _ in itertools.groupby(row[:length]))
        for row, length in zip(best, frames.tolist(), strict=True)
    ]


def greedy_readings(
    model: OcrModel, encoding: Encoding, vocabulary: Vocabulary, most: int | None = None
) -> list[str]:
    """Greedy decoding with the key-value cache, until EOS or the decoder's longest text.

    Args:
        model: The network.
        encoding: The images.
        vocabulary: Of the ids.
        most: Tokens after which a text is cut; None for the decoder's longest.
    """
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
