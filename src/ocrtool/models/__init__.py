"""The networks: vision encoder, projector, text decoder and CTC head, composed by one config.

``config`` and ``presets`` import without PyTorch; import ``ocrtool.models.ocr`` for the networks.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from ocrtool.errors import UsageError

VisionKind = Literal["vit", "line", "formula"]
Norm = Literal["rms", "layer"]
Fusion = Literal["cross", "prefix"]

FRAME = 4
"""Width in pixels of a CTC frame of the ``line`` encoder."""
LINE_COLUMNS = (4, 8)
"""Allowed widths in pixels of one token of the ``line`` encoder."""
LINE_HEIGHT_STRIDE = 8
"""Factor by which the ``line`` stem reduces the height."""
FORMULA_CELL = (16, 8)
"""Height and width in pixels of one token of the ``formula`` encoder."""

_C = TypeVar("_C", "VisionConfig", "DecoderConfig")


@dataclass(frozen=True)
class VisionConfig:
    """The vision encoder.

    Attributes:
        kind: ``vit`` splits a fixed-size image into square patches; ``line`` encodes a text line
            of any width as columns of 4 or 8 pixels; ``formula`` encodes an image of any size as
            cells of 16 x 8 pixels.
        channels: image channels (3 for ``vit`` presets, 1 grey for the others).
        height: image height in pixels; the maximum for ``formula``.
        width: image width in pixels; 0 means any (``line`` only); the maximum for ``formula``.
        patch: side of a patch, or width of a column or cell, in pixels.
        d_model: width of the residual stream.
        n_layer: transformer blocks.
        n_head: attention heads.
        d_ff: hidden width of the MLP.
        dropout: probability on every residual branch.
        stem: channels of the strided convolutions of the stem: three for ``line``, four for
            ``formula``, none for ``vit``.
        norm: ``rms`` or ``layer`` normalisation; ``layer`` is for ``vit`` only.
        norm_eps: epsilon of the normalisation.
        bias: whether attention and MLP have biases (``vit`` only).
        class_token: whether a learned class token joins the patches (``vit`` only). It is not
            part of the output.
    """

    kind: VisionKind
    channels: int
    height: int
    width: int
    patch: int
    d_model: int
    n_layer: int
    n_head: int
    d_ff: int
    dropout: float
    stem: tuple[int, ...] = ()
    norm: Norm = "rms"
    norm_eps: float = 1e-6
    bias: bool = False
    class_token: bool = False

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            UsageError: A value is invalid; the message names the field and the allowed values.
        """
        if self.kind not in get_args(VisionKind):
            raise UsageError(f"vision.kind is {self.kind!r}", "use one of: vit, line, formula")
        _positive(self, "vision", "channels", "height", "patch", "d_model", "n_layer", "n_head")
        _positive(self, "vision", "d_ff", "norm_eps")
        if self.norm not in get_args(Norm):
            raise UsageError(f"vision.norm is {self.norm!r}", "use one of: rms, layer")
        _check_dropout("vision", self.dropout)
        _divides("vision.n_head", self.n_head, "vision.d_model", self.d_model)
        if self.kind == "vit":
            _positive(self, "vision", "width")
            _divides("vision.patch", self.patch, "vision.height", self.height)
            _divides("vision.patch", self.patch, "vision.width", self.width)
            if self.stem:
                raise UsageError(
                    "vision.stem is for kinds 'line' and 'formula'", "leave it empty for 'vit'"
                )
            return
        if self.norm != "rms" or self.bias or self.class_token:
            raise UsageError(
                "vision.norm, bias and class_token are for kind 'vit'", "leave them out"
            )
        _even_head("vision", self.d_model // self.n_head)
        if self.kind == "formula":
            self._check_formula()
            return
        if self.patch not in LINE_COLUMNS:
            raise UsageError(
                f"vision.patch is {self.patch}", "the line stem makes columns of 4 or 8 pixels"
            )
        if self.height % LINE_HEIGHT_STRIDE:
            raise UsageError(
                f"vision.height is {self.height}",
                f"use a multiple of {LINE_HEIGHT_STRIDE}, such as 32, 40 or 48",
            )
        if self.width != 0:
            raise UsageError(f"vision.width is {self.width}", "use 0: a line has any width")
        if len(self.stem) != 3 or min(self.stem) < 1:
            raise UsageError(
                f"vision.stem is {list(self.stem)}", "give three channel counts, such as 24,64,128"
            )

    def _check_formula(self) -> None:
        down, across = FORMULA_CELL
        if self.patch != across:
            raise UsageError(f"vision.patch is {self.patch}", f"cells are {across} pixels wide")
        if self.height % down or self.width % across or self.width <= 0:
            raise UsageError(
                f"vision takes at most {self.height} x {self.width} pixels",
                f"use multiples of {down} and {across}, such as 160 and 1024",
            )
        if self.d_model // self.n_head % 4:
            raise UsageError(
                f"vision heads are {self.d_model // self.n_head} wide",
                "choose vision.n_head so that 4 divides it: half turns by rows, half by columns",
            )
        if len(self.stem) != 4 or min(self.stem) < 1:
            raise UsageError(
                f"vision.stem is {list(self.stem)}", "give four channels, such as 24,48,96,192"
            )

    @property
    def frames(self) -> int:
        """CTC frames per token; a wide column can contain more than one letter."""
        return self.patch // FRAME


@dataclass(frozen=True)
class DecoderConfig:
    """The text decoder.

    Attributes:
        d_model: width of the residual stream.
        n_layer: blocks of self-attention, cross-attention and MLP.
        n_head: query heads.
        n_kv_head: key and value heads; fewer than ``n_head`` is grouped-query attention.
        d_ff: hidden width of the MLP.
        dropout: probability on the embedding and on every residual branch.
        swiglu: SwiGLU when true, a GELU MLP when false.
        rope_theta: base of the rotary frequencies.
        max_length: longest token sequence, BOS included; image and prompt are not counted.
        fusion: how the image is attended to: by ``cross`` attention in every block, or as a
            ``prefix`` of the text in the same sequence.
        tied: whether the output head shares the weights of the embedding.
        norm_eps: epsilon of the normalisation.
    """

    d_model: int
    n_layer: int
    n_head: int
    n_kv_head: int
    d_ff: int
    dropout: float
    swiglu: bool
    rope_theta: float
    max_length: int
    fusion: Fusion = "cross"
    tied: bool = False
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            UsageError: A value is invalid; the message names the field and the allowed values.
        """
        _positive(self, "decoder", "d_model", "n_layer", "n_head", "n_kv_head", "d_ff")
        _positive(self, "decoder", "rope_theta", "max_length", "norm_eps")
        if self.fusion not in get_args(Fusion):
            raise UsageError(f"decoder.fusion is {self.fusion!r}", "use one of: cross, prefix")
        _check_dropout("decoder", self.dropout)
        _divides("decoder.n_head", self.n_head, "decoder.d_model", self.d_model)
        _divides("decoder.n_kv_head", self.n_kv_head, "decoder.n_head", self.n_head)
        _even_head("decoder", self.d_model // self.n_head)

    @property
    def d_head(self) -> int:
        """Width of an attention head."""
        return self.d_model // self.n_head


@dataclass(frozen=True)
class ModelConfig:
    """Hyperparameters of a whole model, from which a checkpoint rebuilds its network.

    Attributes:
        preset: name of the preset that it was derived from.
        vision: the vision encoder.
        decoder: the text decoder.
        vocab_size: number of token ids, with the four special ones; 0 until set from the data.
        ctc: whether there is a CTC head (id 0 is the blank).
        flash: fused attention kernels when true, plain matrix products when false.
        prompt: text between image and transcription (``prefix`` fusion only).
        prompt_ids: token ids of the prompt; empty until set with the vocabulary.
    """

    preset: str
    vision: VisionConfig
    decoder: DecoderConfig
    vocab_size: int
    ctc: bool
    flash: bool
    prompt: str = ""
    prompt_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            UsageError: A value is invalid; the message names the field and the allowed values.
        """
        if self.vocab_size < 0:
            raise UsageError(f"vocab_size is {self.vocab_size}", "leave it 0 to take it from data")
        if self.ctc and self.vision.kind != "line":
            raise UsageError("ctc needs columns in reading order", "use vision.kind 'line'")
        if self.prompt and self.decoder.fusion != "prefix":
            raise UsageError("a prompt stands behind a prefix", "use decoder.fusion 'prefix'")
        if any(not 0 <= id_ < self.vocab_size for id_ in self.prompt_ids):
            raise UsageError(
                f"prompt_ids are {list(self.prompt_ids)}", f"use ids below {self.vocab_size}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON types; ``from_dict`` is the inverse."""
        values = dataclasses.asdict(self)
        values["vision"]["stem"] = list(self.vision.stem)
        values["prompt_ids"] = list(self.prompt_ids)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Build a configuration from the output of ``to_dict``.

        Args:
            values: mapping with the fields of this class; those with a default may be absent.

        Raises:
            UsageError: A key is unknown (the closest known one is suggested) or missing.
        """
        known = _checked_keys(cls, values, "")
        return cls(
            **{
                **known,
                "prompt_ids": tuple(known.get("prompt_ids", ())),
                "vision": _section(VisionConfig, known["vision"], "vision"),
                "decoder": _section(DecoderConfig, known["decoder"], "decoder"),
            }
        )


def _section(cls: type[_C], values: Any, name: str) -> _C:
    """Build one section of a configuration from a mapping."""
    if not isinstance(values, Mapping):
        raise UsageError(f"{name} is not a JSON object", "give its fields as an object")
    known = _checked_keys(cls, values, f"{name}.")
    if "stem" in known:
        known["stem"] = tuple(known["stem"])
    return cls(**known)


def _checked_keys(cls: type, values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return ``values`` as a dict after checking its keys against the dataclass ``cls``."""
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in values:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1, cutoff=0.4)
            remedy = f"did you mean {prefix}{near[0]}?" if near else f"known: {', '.join(fields)}"
            raise UsageError(f"unknown model key {prefix}{key}", remedy)
    for name, field in fields.items():
        if name not in values and field.default is dataclasses.MISSING:
            raise UsageError(f"model key {prefix}{name} is missing", "add it")
    return dict(values)


def _positive(config: VisionConfig | DecoderConfig, section: str, *names: str) -> None:
    for name in names:
        if getattr(config, name) <= 0:
            raise UsageError(
                f"{section}.{name} is {getattr(config, name)}", "use a number above zero"
            )


def _divides(small_name: str, small: int, large_name: str, large: int) -> None:
    if large % small:
        raise UsageError(
            f"{small_name} ({small}) does not divide {large_name} ({large})",
            f"make {large_name} a multiple of {small_name}",
        )


def _check_dropout(section: str, dropout: float) -> None:
    if not 0.0 <= dropout < 1.0:
        raise UsageError(f"{section}.dropout is {dropout}", "use a value from 0 up to, not with, 1")


def _even_head(section: str, d_head: int) -> None:
    # Rotary embedding rotates pairs of coordinates.
    if d_head % 2:
        raise UsageError(
            f"{section} heads are {d_head} wide", f"choose {section}.n_head so that they are even"
        )
