"""Paths, folders and patterns on the command line become input files."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

import pytest

from ocrtool.errors import InputError, UsageError
from ocrtool.inputs.paths import OutputNames, expand, paths_of


def names(folder: Path, *inputs: str | Path, recursive: bool = False) -> list[str]:
    found = expand([str(given) for given in inputs], recursive)
    return [
        f"! {one.message}" if isinstance(one, InputError) else os.path.relpath(one.source, folder)
        for one in found
    ]


def test_files_stay_in_the_order_given(pictures: Path) -> None:
    given = [
        pictures / "2.png",
        pictures / "missing.png",
        pictures / "1.png",
        pictures / "notes.txt",
    ]
    assert names(pictures, *given) == ["2.png", "missing.png", "1.png", "notes.txt"]


def test_folder_stands_for_its_images_sorted(pictures: Path) -> None:
    assert names(pictures, pictures) == ["1.png", "2.png"]
    assert names(pictures, pictures, recursive=True) == ["1.png", "2.png", "sub/3.png"]


def test_suffix_may_be_upper_case(pictures: Path) -> None:
    (pictures / "1.png").rename(pictures / "1.PNG")
    assert names(pictures, pictures) == ["1.PNG", "2.png"]


def test_patterns_that_the_shell_left_alone(pictures: Path) -> None:
    assert names(pictures, pictures / "*.png") == ["1.png", "2.png"]
    assert names(pictures, pictures / "**" / "*.png") == ["1.png", "2.png", "sub/3.png"]


def test_a_file_whose_name_looks_like_a_pattern(pictures: Path) -> None:
    (pictures / "1.png").rename(pictures / "[1].png")
    assert names(pictures, pictures / "[1].png") == ["[1].png"]


def test_what_stands_for_nothing_is_an_error_in_its_place(pictures: Path) -> None:
    empty = pictures / "empty"
    empty.mkdir()
    found = names(pictures, empty, pictures / "*.gif", pictures / "1.png")
    assert found == [f"! no images in {empty}", f"! nothing matches {pictures / '*.gif'}", "1.png"]


def test_standard_input_once() -> None:
    assert list(paths_of(expand(["-"]))) == ["-"]
    with pytest.raises(UsageError, match="only once"):
        list(expand(["-", "-"]))


def test_outputs_mirror_the_inputs_under_unique_names() -> None:
    names = OutputNames()
    places = [PurePath(place) for place in ("a/x.png", "a/X.tif", "b/x.png", "a/x.png")]
    assert [names.of(place) for place in places] == ["a/x", "a/X.tif", "b/x", "a/x.png"]
