from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from ocrtool.document.tree import Block, Box, Line, Page
from ocrtool.pages.formulas import MIN_CONFIDENCE, with_latex
from ocrtool.readers.formulas import FormulaResult
from ocrtool.structure.equations import number_of


def line(text: str, x0: float, x1: float, y: float = 100) -> Line:
    return Line(text, 1.0, ((x0, y), (x1, y), (x1, y + 20), (x0, y + 20)))


def formula(*lines: Line) -> Block:
    xs = [x for one in lines for x, _ in one.quad]
    return Block("formula", Box(min(xs), 100, max(xs), 120), lines)


NUMBERED = formula(line("a = b", 200, 300), line("(4.2)", 500, 550))


@dataclass
class Reads:
    """Says the same of every picture, and remembers how large they were."""

    confidence: float = 1.0
    latex: str = "a=b"
    sizes: list[tuple[int, ...]] = field(default_factory=list)
    tokens: tuple[str, ...] = ("a",)

    def read_stream(self, images: Iterable[tuple[str, np.ndarray]]) -> Iterator[FormulaResult]:
        for _, image in images:
            self.sizes.append(image.shape)
            yield FormulaResult(self.latex, self.confidence, self.tokens, True)


def read(block: Block, reads: Reads) -> Block:
    page = Page(1, 600, 800, (Block("paragraph", Box(0, 0, 9, 9), text="x"), block))
    pixels = np.zeros((800, 600), np.uint8)

    def cut(box: Box) -> np.ndarray:
        return pixels[round(box.y0) : round(box.y1), round(box.x0) : round(box.x1)]

    return with_latex(page, cut, lambda: reads).blocks[1]  # type: ignore[arg-type, return-value]


def test_a_number_beside_a_formula_becomes_its_tag() -> None:
    reads = Reads()
    assert read(NUMBERED, reads).latex == r"a=b \tag{4.2}"
    assert reads.sizes == [(30, 300)]  # without the number


def test_a_number_on_the_left() -> None:
    reads = Reads()
    block = formula(line("(3)", 50, 80), line("a = b", 200, 300))
    assert read(block, reads).latex == r"a=b \tag{3}"
    assert reads.sizes == [(30, 220)]


def test_what_reads_badly_stays_text() -> None:
    assert read(NUMBERED, Reads(confidence=MIN_CONFIDENCE / 2)) == NUMBERED
    assert read(NUMBERED, Reads(latex="")) == NUMBERED


def test_what_has_no_text_is_latex_if_it_can_be_read_at_all() -> None:
    block = Block("formula", Box(200, 100, 300, 120), (line("(7)", 500, 530),))
    done = read(block, Reads(confidence=MIN_CONFIDENCE / 2, tokens=("a",) * 20))
    assert done.latex == done.text == r"a=b \tag{7}"
    assert read(block, Reads(confidence=1e-4, tokens=("a",) * 20)) == block
    assert read(NUMBERED, Reads()).text == NUMBERED.text


def test_a_part_of_the_text_is_none() -> None:
    reads = Reads(tokens=("a",) * 20)
    done = read(formula(line("a =", 200, 300)), reads)
    assert done.latex == done.text == "a=b"


def test_a_signature_is_no_formula() -> None:
    page = Page(1, 600, 800, (Block("formula", Box(200, 100, 300, 140)), NUMBERED))
    reads = Reads(confidence=1e-3, tokens=("a",) * 9)
    done = with_latex(page, lambda box: np.zeros((9, 9), np.uint8), lambda: reads)  # type: ignore[arg-type, return-value]
    assert done.blocks == (NUMBERED,)


@dataclass
class ReadsInTurn(Reads):
    """Says one thing after the other."""

    says: tuple[str, ...] = ()

    def read_stream(self, images: Iterable[tuple[str, np.ndarray]]) -> Iterator[FormulaResult]:
        for latex, _ in zip(self.says, images, strict=True):
            yield FormulaResult(latex, 1.0, self.tokens, True)


@pytest.mark.parametrize(("y", "tagged"), [(100, True), (300, False)])
def test_a_number_that_was_found_as_a_formula_is_that_of_the_one_beside_it(
    y: float, tagged: bool
) -> None:
    found = Block("formula", Box(200, 100, 300, 140)), Block("formula", Box(500, y, 550, y + 30))
    page = Page(1, 600, 800, found)
    reader = ReadsInTurn(says=("a=b", "(4.2)"))
    done = with_latex(page, lambda box: np.zeros((9, 9), np.uint8), lambda: reader)  # type: ignore[arg-type, return-value]
    texts = [block.latex for block in done.blocks]
    assert texts == ([r"a=b \tag{4.2}"] if tagged else ["a=b", "(4.2)"])


@pytest.mark.parametrize(
    "lines",
    [
        [line("f(x)", 200, 300), line("(2)", 302, 330)],  # right beside it: an argument
        [line("(2)", 200, 300)],
        [line("a", 200, 300), line("(see 2)", 500, 550)],
    ],
)
def test_what_is_no_number(lines: list[Line]) -> None:
    assert number_of(formula(*lines)) is None


def test_a_page_without_formulas_needs_no_reader() -> None:
    page = Page(1, 10, 10, (Block("paragraph", Box(0, 0, 9, 9), text="x"),))

    def none() -> Reads:
        raise AssertionError("asked for")

    assert with_latex(page, lambda box: np.zeros((1, 1), np.uint8), none) == page  # type: ignore[arg-type]
