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


def make_options(
    flags: Mapping[str, Any], config: Path | None = None, settings: Sequence[str] = ()
) -> TrainOptions | StageOptions:
    """Return options from flags, settings, a configuration file and the defaults.

    A resumed run has its options from ``options.json`` in its folder, so that ``resume`` and
    ``out`` are all that need be given.

    Args:
        flags: Fields by name; ``None`` means that a flag was not given.
        config: JSON file, or the name of a bundled recipe; its relative paths are relative to it.
        settings: ``key=value`` each, with a field as key.

    Returns:
        `StageOptions` where a stage is named, else `TrainOptions`.

    Raises:
        InputError: The file cannot be read.
        UsageError: An unknown key (the nearest known one is named), a value of a wrong type, or an
            option of the other kind of training.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    old = Path(given.get("out", RunOptions.out)) / OPTIONS
    saved = read_json(old) if given.get("resume") and old.is_file() else {}
    recipe = RECIPES / f"{config.name}.json" if config is not None else None
    if recipe and config and not config.is_file() and config.name == str(config):
        config = recipe if recipe.is_file() else config
    written = read_json(config) if config is not None else {}
    kind = StageOptions if "stage" in {**saved, **written, **given} else TrainOptions
    for name in given:
        _check_known(name, kind, "--" + {"start_from": "from"}.get(name, name).replace("_", "-"))
    values = typed(saved, kind, str(old), old.parent)
    values.pop("overwrite", None)
    if values and kind is TrainOptions:
        for name in ("start_from", "vision_from", "decoder_from"):
            values.pop(name, None)  # the first start of the run has loaded them
        if "synth" in given or "data" in given:  # a new source of data replaces the old one
            values = {k: v for k, v in values.items() if k not in ("synth", "data", "formulas")}
    if config is not None:
        values |= typed(written, kind, str(config), config.parent)
    values |= typed_settings(settings, kind)
    return kind(**{**values, **given})


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


def typed_settings(settings: Sequence[str], kind: type) -> dict[str, Any]:
    """Convert ``key=value`` texts to the types of a dataclass's fields; other than texts are JSON.

    Raises:
        UsageError: No value, an unknown key, or a value of a wrong type.
    """
    hints = typing.get_type_hints(kind)
    content: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: no value", "write --set key=value")
        content[key] = text
        if value_type(hints.get(key)) not in (str, Path):
            with contextlib.suppress(ValueError):  # typed() says which type is wanted
                content[key] = json.loads(text)
    return typed(content, kind, "--set", Path())


def typed(content: Mapping[str, Any], kind: type, origin: str, folder: Path) -> dict[str, Any]:
    """Convert JSON values to the types of a dataclass's fields.

    Args:
        content: Values by the name of the field.
        kind: The dataclass.
        origin: Where the values come from, for messages.
        folder: Folder that relative paths are relative to.

    Raises:
        UsageError: An unknown key (the nearest known one is named) or a value of a wrong type.
    """
    hints = typing.get_type_hints(kind)
    values = {}
    for key, value in content.items():
        _check_known(key, kind, f"{origin}: {key}")
        try:
            values[key] = _from_json(value, hints[key], folder)
        except TypeError as error:
            raise UsageError(f"{origin}: {key}: {error}") from None
    return values


def _check_known(name: str, kind: type, shown: str) -> None:
    """Raise UsageError where a dataclass lacks a field, with the nearest name or the reason."""
    known = typing.get_type_hints(kind)
    if name in known:
        return
    if name in typing.get_type_hints(StageOptions):
        raise UsageError(f"{shown} is for training in stages", "give --stage, or leave it out")
    if name in typing.get_type_hints(TrainOptions):
        raise UsageError(f"{shown} is not for training in stages", "leave it out")
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    raise UsageError(f"{shown} is not an option", f"did you mean {near[0]!r}?")


def value_type(hint: Any) -> Any:
    """Return the type of a field's value where it is given."""
    if isinstance(hint, types.UnionType):
        return next(kind for kind in typing.get_args(hint) if kind is not type(None))
    return hint


def _from_json(value: Any, hint: Any, folder: Path) -> Any:
    """Check a JSON value against a field's type and convert it; TypeError if it is not one."""
    if isinstance(hint, types.UnionType):
        return None if value is None else _from_json(value, value_type(hint), folder)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise TypeError("must be a list")
        return tuple(_from_json(item, typing.get_args(hint)[0], folder) for item in value)
    if hint is Path and isinstance(value, str):
        return folder / value
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
        return value
    name = {int: "a whole number", float: "a number", bool: "true or false"}.get(hint, "a string")
    raise TypeError(f"must be {name}, not {json.dumps(value)}")
