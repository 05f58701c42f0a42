"""Networks that start from published parts: a ViT that sees, a Llama that writes.

A part is a folder as the hub of models has it (``config.json``, ``*.safetensors``, for a decoder
``tokenizer.json``), or the name of one there. It gives its geometry, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ocrtool.errors import ModelError, UsageError
from ocrtool.models.config import ModelConfig
from ocrtool.models.ocr import OcrModel
from ocrtool.models.published import llama_config, llama_weights, vit_config, vit_weights
from ocrtool.training.options import TrainOptions
from ocrtool.weights.bpe import BpeVocabulary
from ocrtool.weights.bundled import TOKENIZER, WEIGHTS

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
WANTED = [CONFIG, TOKENIZER, "*.safetensors", INDEX]
"""Files of a part that are fetched."""
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def fetched_parts(options: TrainOptions) -> TrainOptions:
    """Return options whose parts are folders: names on the hub are fetched, once.

    Raises:
        ModelError: There is no such folder, or the hub does not give it.
    """
    vision, decoder = options.vision_from, options.decoder_from
    return replace(
        options,
        vision_from=vision and str(fetched_part(vision)),
        decoder_from=decoder and str(fetched_part(decoder)),
    )


def fetched_part(name: str) -> Path:
    """Return the folder of a part; a name on the hub is fetched, once.

    Raises:
        ModelError: There is no such folder, or the hub does not give it.
    """
    if Path(name).is_dir():
        return Path(name)
    if not HUB_NAME.fullmatch(name):
        raise ModelError(f"no folder {name}", "name one, or a model on the hub: owner/name")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=WANTED))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{name} is no folder and cannot be fetched: {reason}",
            "fetch it where there is a network, and name its folder",
        ) from None


def with_parts(options: TrainOptions, config: ModelConfig) -> ModelConfig:
    """Return the geometry of a network whose parts are those of the options.

    Raises:
        UsageError: The preset has no place for such a part.
        ModelError: A part is damaged, or nothing that the network can be.
    """
    if options.vision_from is not None:
        if config.vision.kind != "vit":
            raise UsageError(f"{config.preset} sees by no ViT", "use --preset equation-vlm")
        folder = Path(options.vision_from)
        with _telling(folder):
            config = replace(config, vision=vit_config(_read_json(folder / CONFIG), config.vision))
    if options.decoder_from is not None:
        if config.decoder.fusion != "prefix":
            raise UsageError(f"{config.preset} writes by no Llama", "use --preset equation-vlm")
        folder = Path(options.decoder_from)
        with _telling(folder):
            published = _read_json(folder / CONFIG)
            decoder = llama_config(published, config.decoder)
            if published.get("vocab_size") != config.vocab_size:
                raise ModelError(
                    f"it knows {published.get('vocab_size')} tokens, its tokenizer"
                    f" {config.vocab_size}"
                )
        config = replace(config, decoder=decoder)
    return config


def tokenizer_of(folder: str, separator: str) -> BpeVocabulary:
    """Read the tokenizer of a published decoder; see :class:`~ocrtool.weights.bpe.BpeVocabulary`.

    Raises:
        ModelError: It is missing, damaged or of another kind.
    """
    path = Path(folder) / TOKENIZER
    try:
        source = path.read_text("utf-8")
    except OSError as error:
        raise ModelError(f"{path}: no tokenizer ({error.strerror or error})") from None
    with _telling(Path(folder)):
        return BpeVocabulary.from_tokenizer(source, separator)


def load_parts(options: TrainOptions, model: OcrModel) -> None:
    """Give a fresh network the weights of its published parts.

    Raises:
        ModelError: They are missing, damaged, or do not fit; every tensor has to have its place.
    """
    if options.vision_from is not None:
        folder = Path(options.vision_from)
        with _telling(folder):
            weights = vit_weights(_read_weights(folder), model.config.vision)
            _load(model.vision, weights)
    if options.decoder_from is not None:
        folder = Path(options.decoder_from)
        with _telling(folder):
            weights = llama_weights(_read_weights(folder), model.config.decoder)
            _load(model.decoder, weights)


def _load(part: nn.Module, weights: dict[str, Tensor]) -> None:
    try:
        part.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(" ".join(str(error).split())) from None


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """Read all tensors of a part: one file, or several by their index."""
    names = [WEIGHTS]
    if (folder / INDEX).is_file():
        names = sorted(set(_read_json(folder / INDEX)["weight_map"].values()))
    tensors: dict[str, Tensor] = {}
    for name in names:
        tensors |= load_file(folder / name)
    return tensors


def _read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


@contextmanager
def _telling(folder: Path) -> Iterator[None]:
    """Say of which part an error is."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{folder}: {error.message}", error.remedy) from None
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{folder}: not a usable model: {reason}") from None
