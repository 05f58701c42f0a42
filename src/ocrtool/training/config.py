"""Options from flags, ``--set key=value`` and a JSON file, typed by the fields of a dataclass.

A flag wins over ``--set``, which wins over the file. Nothing here imports torch.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ocrtool.errors import InputError, UsageError
from ocrtool.training.options import OPTIONS, RunOptions, TrainOptions
from ocrtool.training.stage_options import StageOptions

RECIPES = Path(__file__).parent / "recipes"
"""Configurations of the bundled networks; ``--config line`` names one."""
FLAGS = {"out": "output", "start_from": "from", "learning_rate": "lr"}
"""Names of flags that differ from those of their options."""


def make_options(
    flags: Mapping[str, Any], config: Path | None = None, settings: Sequence[str] = ()
) -> TrainOptions | StageOptions:
    """Return options from flags, settings, a configuration file and the defaults.

    A resumed run has its options from ``options.json`` in its folder, so that ``resume`` and
    ``out`` are all that need be given.

    Args:
        flags: Fields by name, as values or as texts; ``None`` means that a flag was not given.
        config: JSON file, or the name of a bundled recipe; its relative paths are relative to it.
        settings: ``key=value`` each, with a field as key.

    Returns:
        `StageOptions` where a stage is named, else `TrainOptions`.

    Raises:
        InputError: The file cannot be read.
        UsageError: An unknown key (the nearest known ones are named), a value of a wrong type, or
            an option of the other kind of training.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    old = Path(given.get("out", RunOptions.out)) / OPTIONS
    saved = read_json(old) if given.get("resume") and old.is_file() else {}
    if config is not None and not config.is_file() and config.name == str(config):
        recipe = RECIPES / f"{config}.json"
        config = recipe if recipe.is_file() else config
    written = read_json(config) if config is not None else {}
    kind = StageOptions if "stage" in {**saved, **written, **given} else TrainOptions
    values = typed(saved, kind, f"{old}: ", old.parent)
    values.pop("overwrite", None)
    if values and kind is TrainOptions:
        for name in ("start_from", "vision_from", "decoder_from"):
            values.pop(name, None)  # the first start of the run has loaded them
        if "synth" in given or "data" in given:  # a new source of data replaces the old one
            values = {k: v for k, v in values.items() if k not in ("synth", "data", "formulas")}
    if config is not None:
        values |= typed(written, kind, f"{config}: ", config.parent)
    pairs = [setting.partition("=") for setting in settings]
    for key, equals, _ in pairs:
        if not equals:
            raise UsageError(f"--set {key}: no value", "write --set key=value")
    values |= typed({k: v for k, _, v in pairs}, kind, "--set ", Path(), texts=True)
    values |= typed(given, kind, "--", Path(), texts=True)
    return kind(**values)


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Raises:
        InputError: The file cannot be read.
        UsageError: It holds something else.
    """
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path}: must hold one JSON object")
    return content


def typed(
    content: Mapping[str, Any], kind: type, origin: str, folder: Path, *, texts: bool = False
) -> dict[str, Any]:
    """Convert values to the types of a dataclass's fields.

    Args:
        content: Values by the name of the field.
        kind: The dataclass.
        origin: Prefix of a key in messages.
        folder: Folder that relative paths are relative to.
        texts: Whether numbers, truth values and lists may be texts in the syntax of JSON.

    Raises:
        UsageError: An unknown key (the nearest known ones are named) or a value of a wrong type.
    """
    hints = typing.get_type_hints(kind)
    values = {}
    for key, value in content.items():
        shown = origin + (FLAGS.get(key, key).replace("_", "-") if origin == "--" else key)
        if key not in hints:
            raise UsageError(*_unknown(key, kind, shown))
        if texts and isinstance(value, str) and _value_type(hints[key]) not in (str, Path):
            with contextlib.suppress(ValueError):  # _converted says which type is wanted
                value = json.loads(value)
        try:
            values[key] = _converted(value, hints[key], folder)
        except TypeError as error:
            raise UsageError(f"{shown}: {error}") from None
    return values


def _unknown(name: str, kind: type, shown: str) -> tuple[str, str]:
    """Return the message and the remedy where a dataclass lacks a field."""
    if name in typing.get_type_hints(StageOptions):
        return f"{shown} is for training in stages", "give --stage, or leave it out"
    if name in typing.get_type_hints(TrainOptions):
        return f"{shown} is not for training in stages", "leave it out"
    near = difflib.get_close_matches(name, typing.get_type_hints(kind), n=3, cutoff=0.5)
    remedy = (
        f"did you mean {' or '.join(near)}?" if near else "docs/train-options.md lists all options"
    )
    return f"{shown} is not an option", remedy


def _value_type(hint: Any) -> Any:
    """Return the type of a field's value where it is given."""
    if isinstance(hint, types.UnionType):
        return next(kind for kind in typing.get_args(hint) if kind is not type(None))
    return hint


def _converted(value: Any, hint: Any, folder: Path) -> Any:
    """Check a value against a field's type and convert it; TypeError if it is not one."""
    if isinstance(hint, types.UnionType):
        return None if value is None else _converted(value, _value_type(hint), folder)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise TypeError("must be a list")
        return tuple(_converted(item, typing.get_args(hint)[0], folder) for item in value)
    if hint is Path and isinstance(value, str | Path):
        return folder / value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
        return value
    name = {int: "a whole number", float: "a number", bool: "true or false"}.get(hint, "a string")
    raise TypeError(f"must be {name}, not {json.dumps(value, default=str)}")
