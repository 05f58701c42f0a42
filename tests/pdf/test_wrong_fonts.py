"""Fonts whose tables give wrong characters, and pages with damaged content."""

from __future__ import annotations

import re
from importlib.resources import files

import pymupdf
import pytest

from ocrtool.documents import PageResult
from ocrtool.documents.page import PageConverter
from ocrtool.inputs.page_source import PdfPage
from ocrtool.pdf import PdfFile

TEXT = (
    "The keeper of the lock had lived in the lodge beside",
    "the gate for nineteen years, and nobody knew the river",
    "better than he did in 1847 or after it.",
)
LETTERS = [c for c in dict.fromkeys("".join(TEXT))]
"""Characters in the order of their first use; the codes of the font count up from 0x21."""


def coded_pdf(
    mapping: dict[str, str] | None,
    rows: tuple[str, ...] = TEXT,
    *,
    plain: tuple[str, ...] = (),
    little_endian: bool = False,
) -> bytes:
    """Return a PDF with a symbolic TrueType font whose codes count up from 0x21.

    Args:
        mapping: ToUnicode, by the character that the glyph shows; None for a font without one.
        rows: Lines in that font.
        plain: Lines below them in Helvetica.
        little_endian: Whether the bytes of the values of ToUnicode are swapped.
    """
    path = str(files("ocrtool.synth").joinpath("fonts/Serif.ttf"))
    font = pymupdf.Font(fontfile=path)
    with pymupdf.open() as document:
        page = document.new_page(width=420, height=200)
        page.insert_font("F0", fontfile=path)
        xref = page.get_fonts()[0][0]
        descendant = int(document.xref_get_key(xref, "DescendantFonts")[1].strip("[]").split()[0])
        described = document.xref_get_key(descendant, "FontDescriptor")
        descriptor = int(described[1].split()[0])
        program = int(document.xref_get_key(descriptor, "FontFile2")[1].split()[0])
        document.update_stream(program, _with_codes(document.xref_stream(program), font))
        widths = " ".join(f"{1000 * font.glyph_advance(ord(c)):.1f}" for c in LETTERS)
        table = ""
        if mapping is not None:
            pairs = "".join(
                f"<{0x21 + i:02x}> <{_hex(mapping[c], little_endian)}>\n"
                for i, c in enumerate(LETTERS) if c in mapping
            )  # fmt: skip
            code = (
                "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
                "1 begincodespacerange <00> <ff> endcodespacerange\n"
                f"{pairs.count(chr(10))} beginbfchar\n{pairs}endbfchar endcmap end end"
            )
            stream = document.get_new_xref()
            document.update_object(stream, "<<>>")
            document.update_stream(stream, code.encode())
            table = f"/ToUnicode {stream} 0 R"
        document.xref_set_key(descriptor, "Flags", "4")
        document.update_object(
            xref,
            f"<</Type/Font/Subtype/TrueType/BaseFont/ABCDEF+Sub/FirstChar 33/LastChar"
            f" {32 + len(LETTERS)}/Widths[{widths}]/FontDescriptor {descriptor} 0 R{table}>>",
        )
        shown = "".join(
            f"BT /F0 14 Tf 30 {160 - 20 * i} Td <{_codes(row)}> Tj ET\n"
            for i, row in enumerate(rows)
        )
        for i, row in enumerate(plain):
            page.insert_text((30, 120 + 20 * i), row, fontsize=12)
        stream = document.get_new_xref()
        document.update_object(stream, "<<>>")
        document.update_stream(stream, shown.encode())
        contents = [*page.get_contents(), stream]
        references = " ".join(f"{part} 0 R" for part in contents)
        document.xref_set_key(page.xref, "Contents", f"[{references}]")
        return bytes(document.tobytes())


def _codes(row: str) -> str:
    return "".join(f"{0x21 + LETTERS.index(c):02x}" for c in row)


def _hex(text: str, little_endian: bool) -> str:
    return text.encode("utf-16-le" if little_endian else "utf-16-be").hex()


def _with_codes(program: bytes, font: pymupdf.Font) -> bytes:
    """Return a TrueType font whose only cmap maps the codes of the test, platform 1."""
    tables = {}
    count = int.from_bytes(program[4:6], "big")
    for i in range(count):
        entry = program[12 + 16 * i : 28 + 16 * i]
        start, length = (int.from_bytes(entry[k : k + 4], "big") for k in (8, 12))
        tables[entry[:4]] = program[start : start + length]
    glyphs = [font.has_glyph(ord(c)) for c in LETTERS]
    numbers = (6, 10 + 2 * len(glyphs), 0, 0x21, len(glyphs), *glyphs)
    body = b"".join(number.to_bytes(2, "big") for number in numbers)
    tables[b"cmap"] = bytes.fromhex("0000 0001 0001 0000 0000000c") + body
    tables[b"post"] = bytes.fromhex("00030000") + bytes(28)
    head, data = b"\0\1\0\0" + len(tables).to_bytes(2, "big") + bytes(6), b""
    at = 12 + 16 * len(tables)
    for name, content in sorted(tables.items()):
        head += name + bytes(4) + (at + len(data)).to_bytes(4, "big")
        head += len(content).to_bytes(4, "big")
        data += content + bytes(-len(content) % 4)
    return head + data


@pytest.fixture(scope="module")
def converter() -> PageConverter:
    return PageConverter()


def convert(converter: PageConverter, content: bytes) -> PageResult:
    with PdfFile(content) as file:
        return converter.convert(PdfPage(file, 1))


def text(result: PageResult) -> str:
    return " ".join(result.page.text.split())


RIGHT = {c: c for c in LETTERS}


def test_a_right_font_is_native(converter: PageConverter) -> None:
    result = convert(converter, coded_pdf(RIGHT))
    assert text(result) == " ".join(TEXT)
    assert result.route == "native" and not result.warnings


def test_swapped_bytes_are_exchanged(converter: PageConverter) -> None:
    result = convert(converter, coded_pdf(RIGHT, little_endian=True))
    assert text(result) == " ".join(TEXT)


def test_codes_without_a_mapping_are_read_from_the_picture(converter: PageConverter) -> None:
    result = convert(converter, coded_pdf(None))
    assert result.route == "ocr" and result.warnings
    assert text(result).startswith("The keeper of the lock had lived")


@pytest.mark.parametrize("rows", [TEXT, ("the lock in the lodge",)])
def test_a_glyph_without_ink_is_a_space(converter: PageConverter, rows: tuple[str, ...]) -> None:
    without = {c: c for c in LETTERS if c != " "}
    assert text(convert(converter, coded_pdf(without, rows))) == " ".join(rows)


def test_signs_with_ink_stay(converter: PageConverter) -> None:
    # Each space is a sign that the page shows.
    result = convert(converter, coded_pdf({**RIGHT, "e": "$"}, ("the lock in the lodge",)))
    assert "$" in result.page.text


def test_damaged_content_is_reported(converter: PageConverter) -> None:
    content = coded_pdf(RIGHT, plain=("A line in another font.",))
    with pymupdf.open(stream=content, filetype="pdf") as document:
        first, *_, last = document[0].get_contents()
        assert first != last
        document.update_object(last, "<<>>")
        cut = bytes(document.tobytes())
    result = convert(converter, cut)
    assert text(result) == "A line in another font."
    assert any("damaged" in warning for warning in result.warnings)


def test_a_blank_page_of_a_repaired_file_is_reported(converter: PageConverter) -> None:
    with pymupdf.open() as document:
        document.new_page(width=200, height=200)
        content = bytes(document.tobytes())
    whole = convert(converter, content)
    assert whole.route == "blank" and not whole.warnings
    cut = re.sub(rb"startxref\s+\d+", b"startxref\n7", content)
    repaired = convert(converter, cut)
    assert repaired.route == "blank" and repaired.warnings
