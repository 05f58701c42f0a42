"""Tesseract as a line reader, with a script in the place of the program ``tesseract``."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from ocrtool.errors import MissingDependencyError, ModelError
from ocrtool.options import ReadOptions
from ocrtool.readers import tesseract
from ocrtool.readers.tesseract import TesseractReader

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the script needs a POSIX shell")

# Page 2 has no words, as if it were blank; the row of level 4 is not a word.
SCRIPT = r"""#!/bin/sh
if [ "$1" = --list-langs ]; then printf 'List of available languages (2):\ndeu\neng\n'; exit; fi
if [ -f "{folder}/broken" ]; then echo 'cannot read' >&2; exit 1; fi
echo "$@ $OMP_THREAD_LIMIT" >> "{folder}/calls"
n=0
printf 'level\tpage\n'
while read -r path; do
  n=$((n + 1))
  [ $n = 2 ] && continue
  printf '4\t%s\t1\t1\t1\t0\t0\t0\t9\t9\t-1\t\n' $n
  printf '5\t%s\t1\t1\t1\t1\t0\t0\t9\t9\t81.0\tab\n' $n
  printf '5\t%s\t1\t1\t1\t2\t0\t0\t9\t9\t50.0\tc\n' $n
done < "$1"
"""
IMAGE = np.full((20, 60), 255, np.uint8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the script; it is the only one in ``PATH`` that holds ``tesseract``."""
    script = tmp_path / "bin" / "tesseract"
    script.parent.mkdir()
    script.write_text(SCRIPT.replace("{folder}", str(tmp_path)))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_rows_of_the_output_are_assigned_to_their_images(folder: Path) -> None:
    reader = TesseractReader(ReadOptions(model="deu+eng", threads=3))
    first, blank, last = reader.read_stream([(name, IMAGE) for name in "xyz"])
    assert [result.source for result in (first, blank, last)] == ["x", "y", "z"]
    assert (first.text, blank.text, last.text) == ("ab c", "", "ab c")
    # 0.9 for each of "a", "b" and the space, 0.5 for "c".
    assert first.confidence == pytest.approx(0.9**3 * 0.5)
    assert "-l deu+eng tsv 3" in (folder / "calls").read_text()


def test_lines_are_read_in_batches(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tesseract, "BATCH_LINES", 2)
    results = list(TesseractReader(ReadOptions()).read_stream([(str(i), IMAGE) for i in range(5)]))
    assert [result.source for result in results] == list("01234")
    assert [result.text for result in results] == ["ab c", "", "ab c", "", "ab c"]
    assert len((folder / "calls").read_text().splitlines()) == 3


def test_an_unsure_line_has_no_text(folder: Path) -> None:
    (result,) = TesseractReader(ReadOptions(min_confidence=0.9)).read_stream([("x", IMAGE)])
    assert result.text == "" and result.confidence < 0.9


def test_a_language_that_is_missing_is_named(folder: Path) -> None:
    with pytest.raises(ModelError, match="no language 'fra'"):
        TesseractReader(ReadOptions(model="eng+fra"))


def test_a_failure_has_the_last_line_of_the_program(folder: Path) -> None:
    reader = TesseractReader(ReadOptions())
    (folder / "broken").touch()
    with pytest.raises(ModelError, match="tesseract failed: cannot read"):
        list(reader.read_stream([("x", IMAGE)]))


def test_without_the_program_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingDependencyError, match="tesseract is not installed"):
        TesseractReader(ReadOptions())
