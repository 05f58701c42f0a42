"""Model folders and training states, written atomically.

A model folder contains ``model.safetensors`` (float32 weights by their names in the state dict),
``model.json`` (schema, geometry, vocabulary, scores), and ``tokenizer.json`` if the vocabulary is a
published tokenizer. ``last/`` of a run also contains ``trainer.safetensors`` and ``trainer.json``,
the state for an exact resume.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from ocrtool.engines import SCHEMA, read_metadata
from ocrtool.errors import ModelError, OutputError, UsageError
from ocrtool.models import ModelConfig
from ocrtool.models.ocr import OcrModel
from ocrtool.training.options import NETWORK_FIELDS, TrainOptions
from ocrtool.weights import METADATA, TOKENIZER, WEIGHTS, Vocabulary
from ocrtool.weights.bpe import BpeVocabulary

STATE = "trainer.safetensors"
STATE_FACTS = "trainer.json"
BLOCKS = "vision.blocks."
"""Prefix of the encoder's blocks in a state dict."""
OUTPUT_PROJECTIONS = ("attention.out.weight", "mlp.out.weight")
"""Matrices of an encoder block whose results are added to the residual stream."""


@dataclass(frozen=True)
class Checkpoint:
    """A model on disk: geometry, vocabulary, state dict, training steps, validation scores."""

    config: ModelConfig
    vocabulary: Vocabulary
    weights: Mapping[str, Tensor]
    step: int = 0
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def files(self) -> dict[str, bytes]:
        """Return the files of a model folder by name."""
        vocabulary = self.vocabulary
        files = {WEIGHTS: packed(self.weights)}
        if isinstance(vocabulary, BpeVocabulary):
            written: dict[str, Any] = {"tokenizer": {"separator": vocabulary.separator}}
            files[TOKENIZER] = vocabulary.source.encode()
        else:
            written = {"tokens" if vocabulary.separator else "characters": vocabulary.to_json()}
        facts = {
            "schema": SCHEMA,
            "config": self.config.to_dict(),
            **written,
            "step": self.step,
            "metrics": dict(self.metrics),
        }
        return {**files, METADATA: to_json(facts).encode()}


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Replace a folder by one with these files; see `replacing`."""
    with replacing(folder) as fresh:
        for name, content in contents.items():
            (fresh / name).write_bytes(content)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Replace a folder atomically.

    A new folder beside it is filled, flushed to the disk, and renamed. After a power cut between
    the two renames, `recover` restores the old folder.

    Yields:
        The new folder, empty.

    Raises:
        OutputError: It cannot be written; the old folder is kept.
    """
    mark = secrets.token_hex(4)
    fresh = folder.with_name(f".{folder.name}.{mark}")
    try:
        fresh.mkdir(parents=True)
        yield fresh
        for path in fresh.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        old = _old(folder)
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.replace(old)
        fresh.replace(folder)
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        recover(folder)
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"cannot write {folder}: {reason}", "free space or name another folder"
        ) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def recover(folder: Path) -> None:
    """Restore the old folder where `replacing` was interrupted between its two renames."""
    if not folder.exists() and _old(folder).exists():
        with suppress(OSError):
            _old(folder).replace(folder)


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def load(folder: Path) -> Checkpoint:
    """Read a model folder.

    Raises:
        ModelError: It is missing, incomplete, damaged, or of a newer version.
    """
    recover(folder)
    metadata = read_metadata(folder)
    try:
        weights = load_tensors((folder / WEIGHTS).read_bytes())
        step, metrics = int(metadata.raw.get("step", 0)), dict(metadata.raw.get("metrics", {}))
    except OSError as error:
        reason = error.strerror or error
        raise ModelError(f"{folder}: no weights to train on ({reason})") from None
    except (ValueError, TypeError, SafetensorError) as error:
        raise ModelError(f"{folder}: damaged model: {error}") from None
    return Checkpoint(metadata.config, metadata.vocabulary, weights, step, metrics)


def write_state(folder: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write the state for an exact resume beside a model; see `load_state`."""
    (folder / STATE).write_bytes(packed(tensors))
    (folder / STATE_FACTS).write_text(to_json(facts), "utf-8")


def load_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the state for an exact resume: tensors by name, and facts as JSON values.

    Raises:
        ModelError: It is missing or damaged.
    """
    try:
        facts = json.loads((folder / STATE_FACTS).read_text("utf-8"))
        return load_tensors((folder / STATE).read_bytes()), facts
    except OSError as error:
        reason = error.strerror or error
        raise ModelError(f"{folder}: nothing to resume from ({reason})") from None
    except (ValueError, SafetensorError) as error:
        raise ModelError(f"{folder}: damaged training state: {error}") from None


def tuned_config(options: TrainOptions, start: Checkpoint, vocabulary: Vocabulary) -> ModelConfig:
    """Return the geometry for fine-tuning: that of the start, with a new vocabulary.

    A line model may be deepened to at most twice its encoder blocks; see `transfer`.

    Raises:
        UsageError: The options change the geometry otherwise.
    """
    vision, decoder = start.config.vision, start.config.decoder
    layers = options.vision_layers or 0
    grows = vision.kind == "line" and vision.n_layer < layers <= 2 * vision.n_layer
    if grows:
        vision = dataclasses.replace(vision, n_layer=layers)
    given = [
        name
        for name in NETWORK_FIELDS
        if getattr(options, name) is not None and not (grows and name == "vision_layers")
    ]
    if options.preset not in (None, start.config.preset):
        given.append("preset")
    if given:
        raise UsageError(
            f"{given[0]} is fixed by the model that training starts from", "leave it out"
        )
    if options.dropout is not None:
        vision = dataclasses.replace(vision, dropout=options.dropout)
        decoder = dataclasses.replace(decoder, dropout=options.dropout)
    if options.max_length is not None:  # rotary positions: no weight depends on it
        decoder = dataclasses.replace(decoder, max_length=options.max_length)
    flash = start.config.flash if options.use_flash is None else options.use_flash
    return dataclasses.replace(
        start.config,
        vision=vision,
        decoder=decoder,
        flash=flash,
        vocab_size=len(vocabulary),
        prompt_ids=tuple(vocabulary.encode_prompt(start.config.prompt)),
    )


def transfer(start: Checkpoint, model: OcrModel, vocabulary: Vocabulary) -> int:
    """Load weights into a network with another vocabulary, and possibly more encoder blocks.

    Rows of embedding, head and CTC head move to the new ids of their entries; rows of new entries
    keep their initial values.

    Returns:
        Number of entries of `vocabulary`, that of `model`, that `start` has.

    Raises:
        ModelError: The weights do not fit.
    """
    places = {entry: index for index, entry in enumerate(start.vocabulary.entries)}
    specials = len(vocabulary) - len(vocabulary.entries)
    pairs = [(index, index) for index in range(specials)]
    for index, entry in enumerate(vocabulary.entries):
        if entry in places:
            pairs.append((specials + index, specials + places[entry]))
    new, old = (torch.tensor(ids) for ids in zip(*pairs, strict=True))
    by_character = _rows_by_character(model.config)
    weights = start.weights
    if model.config.vision.n_layer > start.config.vision.n_layer:
        weights = _deepened(weights, start.config.vision.n_layer, model.config.vision.n_layer)
    state = model.state_dict()
    try:
        for name, tensor in state.items():
            if name in by_character:  # a CTC head has the vocabulary once for each frame
                trained = weights[name]
                frames = trained.shape[0] // len(start.vocabulary)
                grown = tensor.view(frames, len(vocabulary), *tensor.shape[1:])
                known = trained.view(frames, len(start.vocabulary), *trained.shape[1:])
                grown[:, new] = known[:, old].to(tensor.dtype)
            else:
                tensor.copy_(weights[name])
    except (KeyError, RuntimeError, IndexError) as error:
        raise ModelError(f"weights do not fit the network: {error}") from None
    return len(pairs) - specials


def _deepened(weights: Mapping[str, Tensor], before: int, after: int) -> dict[str, Tensor]:
    """Insert encoder blocks, evenly spaced, at most as many as there are (progressive stacking).

    An inserted block is a copy of the preceding one with output projections of zero, so the
    network's output does not change, but the copy has gradients.
    """
    copied = {before - 1 - round((i + 0.5) * before / (after - before) - 0.5)
              for i in range(after - before)}  # fmt: skip
    origins: list[tuple[int, bool]] = []
    for index in range(before):
        origins.append((index, False))
        if index in copied:
            origins.append((index, True))
    deep = {name: tensor for name, tensor in weights.items() if not name.startswith(BLOCKS)}
    for index, (origin, is_copy) in enumerate(origins):
        prefix = f"{BLOCKS}{origin}."
        for name, tensor in weights.items():
            if name.startswith(prefix):
                part = name.removeprefix(prefix)
                silent = is_copy and part in OUTPUT_PROJECTIONS
                deep[f"{BLOCKS}{index}.{part}"] = torch.zeros_like(tensor) if silent else tensor
    return deep


def _rows_by_character(config: ModelConfig) -> set[str]:
    """Return the names of the tensors whose shapes depend on the size of the vocabulary."""
    with torch.device("meta"):
        small = OcrModel(config).state_dict()
        large = OcrModel(dataclasses.replace(config, vocab_size=config.vocab_size + 1)).state_dict()
    return {name for name in small if small[name].shape != large[name].shape}


def packed(tensors: Mapping[str, Tensor]) -> bytes:
    """Return tensors of any device and memory format as the content of a safetensors file."""
    return bytes(
        save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    )


def to_json(content: Mapping[str, Any]) -> str:
    """Return the content of a JSON file of a run."""
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
