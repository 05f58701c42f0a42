"""Glyphs whose characters a file does not tell."""

from __future__ import annotations

import re
from importlib.resources import files

import pymupdf
import pytest

from ocrtool.document.tree import Line, Quad, Span, Word
from ocrtool.documents.glyph_recovery import meanings, worth_reading
from ocrtool.documents.page import PageConverter
from ocrtool.inputs.page_source import PdfPage
from ocrtool.options import OcrChoice, PageOptions
from ocrtool.pdf import PdfFile, native_page
from ocrtool.pdf.fonts import UNKNOWN
from ocrtool.pdf.glyph_names import replace_unmapped, text_of_glyph_name

ONE, TWO = "\U000f0000", "\U000f0001"
QUAD: Quad = ((0, 0), (9, 0), (9, 1), (0, 1))


def without_k() -> bytes:
    """Return a PDF whose font does not tell which character its "k" is."""
    font = files("ocrtool.synth").joinpath("fonts/Serif.ttf")
    rows = ("The workers walked back to the lake.", "A duck took the book.")
    with pymupdf.open() as document:
        for first in (0, 1):
            page = document.new_page(width=420, height=200)
            for row, text in enumerate(rows[first:]):
                place = (30, 50 + 20 * row)
                page.insert_text(place, text, fontname="F0", fontfile=str(font), fontsize=12)
        glyph = pymupdf.Font(fontfile=str(font)).has_glyph(ord("k"))
        for xref in range(1, document.xref_length()):
            if document.xref_is_stream(xref):
                content = document.xref_stream(xref)
                found = re.search(rb"<(\w{4})> <(\w{4})> <0020>\n", content)
                if found and b"beginbfrange" in content:
                    first, last = (int(side, 16) for side in found.groups())
                    assert first < glyph < last
                    ranges = (
                        f"<{first:04x}> <{glyph - 1:04x}> <0020>\n"
                        f"<{glyph:04x}> <{glyph:04x}> <fffd>\n"
                        f"<{glyph + 1:04x}> <{last:04x}> <{ord('l'):04x}>\n"
                    )
                    content = content.replace(found.group(), ranges.encode())
                    content = re.sub(
                        rb"(\d+) beginbfrange",
                        lambda match: b"%d beginbfrange" % (int(match.group(1)) + 2),
                        content,
                        count=1,
                    )
                    document.update_stream(xref, content)
        return bytes(document.tobytes())


def test_an_unknown_glyph_is_one_private_character() -> None:
    with PdfFile(without_k()) as file:
        lines = [*native_page(file, 0, 200).lines, *native_page(file, 1, 200).lines]
        unknown = {c for line in lines for c in UNKNOWN.findall(line.text)}
        assert len(unknown) == 1 and "\ufffd" not in unknown


def test_glyphs_are_read_from_the_picture() -> None:
    with PdfFile(without_k()) as file:
        result = PageConverter().convert(PdfPage(file, 1))
        assert result.route == "native" and not result.warnings
        assert "The workers walked back to the lake." in result.page.text


def test_a_page_is_the_same_whatever_was_converted_before() -> None:
    converter = PageConverter()
    with PdfFile(without_k()) as file:
        converter.convert(PdfPage(file, 1))
        after = converter.convert(PdfPage(file, 2))
    with PdfFile(without_k()) as file:
        assert PageConverter().convert(PdfPage(file, 2)) == after


def test_what_stays_unknown_is_seen_and_told() -> None:
    never = PageConverter(PageOptions(ocr=OcrChoice.NEVER))
    with PdfFile(without_k()) as file:
        result = never.convert(PdfPage(file, 2))
    assert "A duc\ufffd too\ufffd the boo\ufffd." in result.page.text
    (warning,) = result.warnings
    assert "3 of its letters" in warning


@pytest.mark.parametrize(
    ("name", "text"),
    [("t_i", "ti"), ("f_f_i.alt", "ffi"), ("uni00740069", "ti"), ("u0078", "x"), ("Q_u", "Qu"),
     ("summationdisplay", "∑"), ("integraltext", "∫"), ("parenleftBigg", "("), ("bracelefttp", "{"),
     ("bracketleftbt", ""), ("C192", None), ("g23", None), (".notdef", None),
     ("2210", None), ("", None)],
)  # fmt: skip
def test_names_of_glyphs(name: str, text: str | None) -> None:
    assert text_of_glyph_name(name) == text


def test_spans_keep_their_words() -> None:
    words = tuple(Word(text, 1.0, QUAD) for text in (f"a{ONE}empt", f"o{TWO}ice", "done"))
    text = " ".join(word.text for word in words)
    line = Line(text, 1.0, QUAD, words, 10.0, (Span(7, 12, bold=True), Span(13, 17, italic=True)))
    spelled = replace_unmapped(line, {ONE: "tt", TWO: "ff"}.__getitem__)
    assert spelled.text == "attempt office done"
    assert [word.text for word in spelled.words] == spelled.text.split()
    parts = [spelled.text[span.start : span.end] for span in spelled.spans]
    assert parts == ["office", "done"]


def test_meanings_come_from_what_stands_in_the_same_place() -> None:
    pairs = [
        (f"even a{ONE}empting to form", "even attempting to form"),
        (f"a{ONE}ributed a{TWO}er “that”", 'attributed after "that"'),
        (f"p {chr(0xF0002)} 0.001 in all", "p < 0.001 in all"),
        (f"then press 2 {chr(0xF0003)} again", "then press 2 D again"),
        (f"nothing li{chr(0xF0004)}e it", "quite another row"),
    ]
    assert meanings(pairs) == {ONE: "tt", TWO: "ft", chr(0xF0002): "<"}


def test_few_lines_are_read_for_a_glyph() -> None:
    line = Line(f"li{ONE}le things", 1.0, QUAD, (Word(f"li{ONE}le", 1.0, QUAD),))
    plain = Line("large things", 1.0, QUAD, (Word("large", 1.0, QUAD),))
    assert worth_reading([plain] * 3) == []
    assert len(worth_reading([line, plain] * 9)) == 3
