"""Networks that start from published parts: a ViT as encoder, a Llama as decoder.

A part is a folder in the format of the Hugging Face Hub (``config.json``, ``*.safetensors``, for a
decoder ``tokenizer.json``), or a name on the hub. It also sets its geometry.
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
from torch import Tensor

from ocrtool.errors import ModelError, UsageError
from ocrtool.models import ModelConfig
from ocrtool.models.ocr import OcrModel
from ocrtool.models.published import llama_config, llama_weights, vit_config, vit_weights
from ocrtool.training.options import TrainOptions
from ocrtool.weights import TOKENIZER, WEIGHTS
from ocrtool.weights.bpe import BpeVocabulary

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
WANTED = [CONFIG, TOKENIZER, "*.safetensors", INDEX]
"""Files of a part that are downloaded."""
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def fetched_parts(options: TrainOptions) -> TrainOptions:
    """Return options whose parts are folders; see `fetched_part`."""
    vision, decoder = options.vision_from, options.decoder_from
    return replace(
        options,
        vision_from=vision and str(fetched_part(vision)),
        decoder_from=decoder and str(fetched_part(decoder)),
    )


def fetched_part(name: str) -> Path:
    """Return the folder of a part; a name on the hub is downloaded once.

    Raises:
        ModelError: There is no such folder, and it cannot be downloaded.
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
            f"{name} is not a folder and cannot be downloaded: {reason}",
            "download it where there is a network, and name its folder",
        ) from None


def with_parts(options: TrainOptions, config: ModelConfig) -> ModelConfig:
    """Return the geometry with that of the published parts in the options.

    Raises:
        UsageError: The preset cannot have such a part.
        ModelError: A part is damaged, or of another architecture.
    """
    if options.vision_from is not None:
        if config.vision.kind != "vit":
            raise UsageError(f"{config.preset} has no ViT", "use --preset equation-vlm")
        folder = Path(options.vision_from)
        with _errors_of(folder):
            config = replace(config, vision=vit_config(_read_json(folder / CONFIG), config.vision))
    if options.decoder_from is not None:
        if config.decoder.fusion != "prefix":
            raise UsageError(f"{config.preset} has no Llama", "use --preset equation-vlm")
        folder = Path(options.decoder_from)
        with _errors_of(folder):
            published = _read_json(folder / CONFIG)
            decoder = llama_config(published, config.decoder)
            if published.get("vocab_size") != config.vocab_size:
                raise ModelError(
                    f"{published.get('vocab_size')} tokens, its tokenizer has {config.vocab_size}"
                )
        config = replace(config, decoder=decoder)
    return config


def tokenizer_of(folder: str, separator: str) -> BpeVocabulary:
    """Read the tokenizer of a published decoder; see `ocrtool.weights.bpe.BpeVocabulary`.

    Raises:
        ModelError: It is missing, damaged or of another kind.
    """
    path = Path(folder) / TOKENIZER
    try:
        source = path.read_text("utf-8")
    except OSError as error:
        raise ModelError(f"{path}: no tokenizer ({error.strerror or error})") from None
    with _errors_of(Path(folder)):
        return BpeVocabulary.from_tokenizer(source, separator)


def load_parts(options: TrainOptions, model: OcrModel) -> None:
    """Load the weights of published parts into a network.

    Raises:
        ModelError: They are missing, damaged, or do not match the network's tensors exactly.
    """
    if options.vision_from is not None:
        folder = Path(options.vision_from)
        with _errors_of(folder):
            weights = vit_weights(_read_weights(folder), model.config.vision)
            model.vision.load_state_dict(weights)
    if options.decoder_from is not None:
        folder = Path(options.decoder_from)
        with _errors_of(folder):
            weights = llama_weights(_read_weights(folder), model.config.decoder)
            model.decoder.load_state_dict(weights)


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """Read all tensors of a part, from one file or from the files of an index."""
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
def _errors_of(folder: Path) -> Iterator[None]:
    """Raise errors as `ModelError` with the folder of the part."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{folder}: {error.message}", error.remedy) from None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{folder}: not a usable model: {reason}") from None
