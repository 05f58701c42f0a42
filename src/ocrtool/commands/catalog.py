"""Data of ``ocrtool models``: available models, their architecture, their parameter counts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ocrtool.errors import MissingDependencyError, ModelError, install_command
from ocrtool.models import ModelConfig
from ocrtool.models.presets import PRESETS, STAGED
from ocrtool.weights import BUNDLED, METADATA, SPECIALS, WEIGHTS
from ocrtool.weights.cache import ModelCache
from ocrtool.weights.registry import TABLE

DETECTOR = "finds lines of text and regions on pages of any kind"
"""Description of the bundled text detector."""
ASCII = 95
"""Printable characters of ASCII."""


@dataclass(frozen=True)
class Entry:
    """A line of ``ocrtool models list``; size in bytes, 0 without local weights."""

    name: str
    kind: str
    about: str
    size: int

    def line(self) -> str:
        """As text for people."""
        size = f"{self.size / 1e6:.1f} MB" if self.size else "-"
        return f"{self.name:<23} {self.kind:<8} {size:>9}  {self.about}"

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Description:
    """Architecture of a text model.

    Attributes:
        name: As it was asked for.
        kind: ``preset``, ``bundled`` or ``folder``.
        parameters: Count of the network's trainable numbers.
        characters: Size of the alphabet, special tokens not counted.
        config: Geometry of the network.
        metrics: Scores of the last validation, where it was trained.
    """

    name: str
    kind: str
    parameters: int
    characters: int
    config: ModelConfig
    metrics: dict[str, Any]

    def lines(self) -> Iterator[str]:
        """As text for people."""
        vision, decoder = self.config.vision, self.config.decoder
        prefixed = decoder.fusion == "prefix"
        tokens = vision.kind == "formula" or prefixed
        width, unit = vision.width or "any", "token" if tokens else "character"
        most = "up to " if vision.kind == "formula" else ""
        feed_forward = "SwiGLU" if decoder.swiglu else "GELU"
        yield f"{self.name} ({self.kind})"
        yield f"parameters  {self.parameters:,} with {self.characters} {unit}s"
        size = f"{vision.channels} x {most}{vision.height} x {width} pixels"
        yield f"image       {size}, {vision.kind}"
        yield f"patch       {vision.patch} pixels"
        if vision.stem:
            yield f"stem        {' > '.join(map(str, vision.stem))} channels"
        yield (
            f"vision      {vision.n_layer} layers of width {vision.d_model}, "
            f"{vision.n_head} heads, FFN {vision.d_ff}, dropout {vision.dropout}"
        )
        yield (
            f"decoder     {decoder.n_layer} layers of width {decoder.d_model}, "
            f"{decoder.n_head} heads ({decoder.n_kv_head} for keys and values), "
            f"{feed_forward} {decoder.d_ff}, dropout {decoder.dropout}"
        )
        if prefixed:
            yield f"fusion      image and prompt {self.config.prompt!r} are a prefix of the text"
        yield f"text        up to {decoder.max_length} tokens, RoPE theta {decoder.rope_theta:g}"
        head = "language model, tied to the embedding" if decoder.tied else "language model"
        yield f"heads       {head}{' and CTC' if self.config.ctc else ''}"
        for name, value in self.metrics.items():
            yield f"{name:<11} {value:.4g}" if isinstance(value, float) else f"{name:<11} {value}"

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            "parameters": self.parameters,
            "characters": self.characters,
            "config": self.config.to_dict(),
            "metrics": self.metrics,
        }


@dataclass(frozen=True)
class DetectorDescription:
    """Architecture of a text detector.

    Attributes:
        name: As it was asked for.
        kind: ``bundled`` or ``folder``.
        parameters: Count of the network's trainable numbers.
        config: Channels and blocks by name.
        metrics: Scores of the last validation.
    """

    name: str
    kind: str
    parameters: int
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]

    def lines(self) -> Iterator[str]:
        """As text for people."""
        yield f"{self.name} ({self.kind})"
        yield f"parameters  {self.parameters:,}"
        yield "image       1 x any x any pixels, a grey page"
        for name, value in self.config.items():
            shown = " > ".join(map(str, value)) if isinstance(value, list) else value
            yield f"{name:<11} {shown}"
        for name, value in self.metrics.items():
            yield f"{name:<11} {value:.4g}" if isinstance(value, float) else f"{name:<11} {value}"

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class PagesDescription:
    """Architecture of a page model that is trained in stages.

    Attributes:
        name: As it was asked for.
        kind: ``preset``.
        parameters: Count of its numbers.
        config: Its geometry, as of `ocrtool.models.deepocr.DeepocrConfig`.
    """

    name: str
    kind: str
    parameters: int
    config: Mapping[str, Any]

    def lines(self) -> Iterator[str]:
        """As text for people."""
        sam, clip, decoder = (self.config[part] for part in ("sam", "clip", "decoder"))
        yield f"{self.name} ({self.kind})"
        yield f"parameters  {self.parameters:,}"
        base, tile = self.config["base"], self.config["tile"]
        yield f"image       3 x {base} x {base} pixels, and tiles of {tile}"
        for told, part in (("vision", sam), ("then", clip)):
            yield (
                f"{told:<11} {part['n_layer']} layers of width {part['width']}, "
                f"{part['n_head']} heads, FFN {part['d_ff']}"
            )
        yield (
            f"decoder     {decoder['n_layer']} layers of width {decoder['width']}, "
            f"{decoder['n_head']} heads ({decoder['n_kv_head']} for keys and values), "
            f"SwiGLU {decoder['d_ff']}"
        )
        yield "fusion      the image stands in the text, in the place that the prompt has for it"
        yield (
            f"text        up to {decoder['max_length']} positions, "
            f"RoPE theta {decoder['rope_theta']:g}, {decoder['vocab_size']} tokens"
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)


def _description(name: str) -> str:
    """Return one line on a bundled network or preset."""
    if name in PRESETS:
        return PRESETS[name].description
    return STAGED.get(name, DETECTOR if name == "detector" else "text reader")


def entries() -> Iterator[Entry]:
    """List the bundled models, the other presets that can be trained, the published models."""
    bundled = {path.parent.name: path.parent for path in BUNDLED.glob(f"*/{METADATA}")}
    for name, folder in sorted(bundled.items()):
        size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        yield Entry(name, "bundled", _description(name), size)
    for name in sorted({*PRESETS, *STAGED} - bundled.keys()):
        yield Entry(name, "preset", _description(name), 0)
    stored = {model.repository: model.size for model in ModelCache().models()}
    for spec in TABLE:
        about = f"{spec.about} ({spec.license})"
        there = spec.repository in stored
        yield Entry(spec.name, "fetched" if there else "hub", about, stored.get(spec.repository, 0))
        stored.pop(spec.repository, None)
    for repository, size in stored.items():
        yield Entry(f"hf:{repository}", "fetched", "of the hub", size)


def describe(
    name: str, characters: int | None = None
) -> Description | DetectorDescription | PagesDescription:
    """Describe a bundled model, a preset or a model folder; a name means the first that has it.

    Args:
        name: What was asked for.
        characters: Size of the alphabet with which a preset is counted; None for its own, or 95
            where it has none.

    Raises:
        ModelError: There is no such model.
        MissingDependencyError: A preset's network is built to be counted, which needs PyTorch.
    """
    if name in STAGED:
        return _describe_staged(name)
    from ocrtool.readers.model_lookup import own_architecture  # its package imports NumPy

    if own_architecture(Path(name)) == "deepocr":
        return _describe_staged(name)
    if name in PRESETS and not (BUNDLED / name / METADATA).is_file():
        config = PRESETS[name].config
        if characters is None:
            characters = config.vocab_size - SPECIALS if config.vocab_size else ASCII
        config = replace(config, vocab_size=SPECIALS + characters)
        return Description(name, "preset", _count_network(config), characters, config, {})
    from ocrtool.engines import find_model, read_metadata, read_raw

    folder = find_model(name)
    kind = "bundled" if folder.parent == BUNDLED else "folder"
    weights = folder / WEIGHTS
    raw = read_raw(folder)
    if raw.get("kind") == "detector":
        return DetectorDescription(
            name, kind, _count_file(weights), raw.get("config", {}), raw.get("metrics", {})
        )
    metadata = read_metadata(folder)
    count = _count_file(weights) if weights.is_file() else _count_network(metadata.config)
    metrics = metadata.raw.get("metrics", {})
    size = len(metadata.vocabulary.entries)
    return Description(name, kind, count, size, metadata.config, metrics)


def _describe_staged(name: str) -> PagesDescription:
    with _needing_torch():
        import torch

        from ocrtool.models.deepocr import DEEPOCR, GEOMETRIES, Deepocr
        from ocrtool.readers.deepocr_files import config_of, parts_of
    if name in GEOMETRIES:
        kind, config = "preset", GEOMETRIES[name]
    else:
        folder = Path(name)  # towers that are not in it are the published ones
        parts = {p: at for p, at in parts_of(folder, lambda: folder).items() if at != folder}
        kind, config = "folder", config_of(parts, DEEPOCR)
    with torch.device("meta"):
        count = Deepocr(config).num_parameters()
    return PagesDescription(name, kind, count, config.to_dict())


def _count_network(config: ModelConfig) -> int:
    """Build the network without memory for its weights, and count."""
    with _needing_torch():
        import torch

        from ocrtool.models.ocr import OcrModel
    with torch.device("meta"):
        return OcrModel(config).num_parameters()


@contextmanager
def _needing_torch() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("ocrtool"):
            raise
        raise MissingDependencyError(
            "counting the parameters of a network needs PyTorch", install_command("torch")
        ) from None


def _count_file(path: Path) -> int:
    """Count the numbers in a safetensors file by its header: eight bytes of length, then JSON."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        tensors = [value for key, value in header.items() if key != "__metadata__"]
        return sum(math.prod(tensor["shape"]) for tensor in tensors)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is damaged: {error}") from None
