"""Displayed formulas on drawn pages: TeX's own, whole, where the page says they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pymupdf
import pytest

from ocrtool.errors import InputError
from ocrtool.rendering import tex
from ocrtool.synth.display_formulas import DisplayFormulaSource
from ocrtool.synth.documents import mathematics
from ocrtool.synth.formulas import main
from ocrtool.synth.pages import KINDS, PageKind, PageSource

HERE = Path(__file__).parent
PDF = HERE / "displays.pdf"
"""Some of `formulas.txt`, by `tex.formula_pages`."""

needs_tex = pytest.mark.skipif(not tex.have_tex(), reason="there is no pdflatex")


def test_no_formula_is_wider_than_asked_for() -> None:
    displays, rng = DisplayFormulaSource([PDF]), np.random.default_rng(1)
    widths = [chosen.width for _ in range(50) if (chosen := displays.choose(rng, 80.0))]
    assert len(set(widths)) > 5 and max(widths) <= 80
    assert displays.choose(rng, 0.5) is None
    assert DisplayFormulaSource([]).choose(rng, 500.0) is None


def test_a_file_that_is_no_pdf_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_text("no")
    with pytest.raises(InputError, match="formulas of drawn pages"):
        DisplayFormulaSource([tmp_path / "a.pdf"]).choose(np.random.default_rng(0), 100.0)


def test_the_ink_of_a_formula_lies_in_its_region() -> None:
    kinds = {"mathematics": PageKind(1.0, mathematics, {"clean": 1.0})}
    source = PageSource(seed=1, kinds=kinds, formulas=[PDF])
    canvas = source._make(0)[1]
    assert canvas is not None
    ink = canvas.ink(np.array([[2.0, 0, 0], [0, 2.0, 0]]), (int(2 * canvas.height), 2000))[1]
    boxes = [(2 * np.array(box)).round().astype(int) for kind, box in canvas.regions]
    assert len(boxes) >= 4
    for x0, y0, x1, y1 in boxes:
        assert ink[y0:y1, x0:x1].max() > 0.5
        ring = ink[max(0, y0 - 4) : y1 + 4, max(0, x0 - 4) : x1 + 4].copy()
        ring[4:-4, 4:-4] = 0
        assert ring.mean() < 0.01  # but for a letter that leans out of its box
    for line in canvas.lines:
        x, y = (line.box[0] + line.box[2]) / 2, (line.box[1] + line.box[3]) / 2
        assert not any(x0 < 2 * x < x1 and y0 < 2 * y < y1 for x0, y0, x1, y1 in boxes)


def test_pages_have_formulas_only_where_there_are_some() -> None:
    assert "mathematics" not in PageSource().kinds
    assert set(PageSource(formulas=[PDF]).kinds) == {*KINDS, "mathematics"}
    assert PageSource(formulas=[PDF], mathematics=3.0).kinds["mathematics"].weight == 3.0


@needs_tex
def test_formulas_become_pages(tmp_path: Path) -> None:
    main([str(HERE / "formulas.txt"), "-o", str(tmp_path), "--count", "20", "--pdf"])
    [path] = tmp_path.iterdir()
    with pymupdf.open(path) as file:
        assert 10 <= len(file) <= 20
        assert all(page.get_drawings() or page.get_text().strip() for page in file)


@needs_tex
def test_what_tex_cannot_set_is_no_page() -> None:
    content = tex.formula_pages(["x^2", r"\undefined{x}", r"\frac{1}{2}"], tex.TexStyle())
    with pymupdf.open(stream=content) as file:
        assert len(file) == 2
    assert tex.formula_pages([r"\undefined"], tex.TexStyle()) == b""
