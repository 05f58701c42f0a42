"""Invisible text laid over a page, so that it can be searched and copied."""

# PyMuPDF is typed only in part.
# mypy: allow-untyped-calls, disable-error-code="attr-defined"

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files

import pymupdf

from ocrtool.document.tree import Box

SURROGATES = range(0xD8, 0xE0)
"""High bytes of UTF-16 surrogate codes."""


@dataclass(frozen=True)
class TextRun:
    """A piece of a text line that is laid invisibly over a page image.

    Attributes:
        text: Its characters; a space at the end is not part of the width.
        start: Left end of the lower edge, in pixels, origin top left.
        direction: Reading direction as a unit vector.
        width: Extent along the direction, in pixels.
        height: Extent across the direction, in pixels.
    """

    text: str
    start: tuple[float, float]
    direction: tuple[float, float]
    width: float
    height: float


def lay_text(
    font: InvisibleFont, page: pymupdf.Page, runs: Iterable[TextRun], width: int, height: int
) -> None:
    """Lay invisible text over a page.

    Args:
        font: The invisible font of the page's document.
        page: The page; its visible content is kept.
        runs: The text in reading order.
        width: Width of the page image whose pixels the runs refer to.
        height: Height of that image in pixels.
    """
    document = font.document
    to_page = pymupdf.Matrix(page.rect.width / width, page.rect.height / height)
    to_page *= page.derotation_matrix
    turned = page.rotation
    page.set_rotation(0)  # PyMuPDF's matrix of a rotated page ignores the crop box
    to_pdf = to_page * ~page.transformation_matrix
    page.set_rotation(turned)
    name = font.name_on(page)
    shown = "".join(font.show(run, name, to_pdf) for run in runs)
    # The graphics state that the page's content leaves behind must not affect the text.
    before = new_object(document, "<<>>", b"q\n")
    after = new_object(document, "<<>>", f"\nQ BT 3 Tr\n{shown}ET\n".encode("ascii"))
    contents = [before, *page.get_contents(), after]
    references = " ".join(f"{xref} 0 R" for xref in contents)
    document.xref_set_key(page.xref, "Contents", f"[{references}]")


def words_on(page: pymupdf.Page, width: int, height: int) -> list[tuple[str, Box]]:
    """Return the words on a page, visible or not, and their boxes; none on a damaged page.

    Args:
        page: The page.
        width: Width of the page image in whose pixels the boxes are.
        height: Height of that image in pixels.
    """
    try:
        x, y = width / page.rect.width, height / page.rect.height
        return [
            (text, Box(x0 * x, y0 * y, x1 * x, y1 * y))
            for x0, y0, x1, y1, text, *_ in page.get_text("words")
        ]
    except Exception:  # a damaged file makes MuPDF raise nearly anything
        return []


def remove_invisible_text(page: pymupdf.Page) -> None:
    """Remove the invisible text of a page; a damaged page keeps it."""
    with contextlib.suppress(Exception):  # a damaged file makes MuPDF raise nearly anything
        page.add_redact_annot(page.rect)
        page.apply_redactions(
            images=pymupdf.PDF_REDACT_IMAGE_NONE,
            graphics=pymupdf.PDF_REDACT_LINE_ART_NONE,
            text=pymupdf.PDF_REDACT_TEXT_REMOVE_INVISIBLE,
        )


class InvisibleFont:
    """A font with empty glyphs, each half as wide as high, for invisible text.

    The method is Tesseract's (Ken Sharp's notes in its ``doc/pdf.md``): character codes are UTF-16,
    all map to one empty glyph, and a ToUnicode map declares that codes are characters. Characters
    beyond 16 bits are assigned codes of surrogates, which are no characters by themselves.
    ``invisible.ttf`` holds two empty glyphs and was made for this with fontTools.

    Args:
        document: The PDF that gets the font.
    """

    NAME = "OcrtoolText"
    WIDTH = 0.5
    DESCENT = 0.2

    def __init__(self, document: pymupdf.Document) -> None:
        self.document = document
        self._wide: dict[str, int] = {}
        font = files("ocrtool.pdf").joinpath("invisible.ttf").read_bytes()
        file = new_object(document, f"<</Length1 {len(font)}>>", font)
        glyphs = new_object(document, "<<>>", b"\0\1" * 0x10000)
        self._map = new_object(document, "<<>>", self._to_unicode())
        descriptor = new_object(
            document,
            "<</Type/FontDescriptor/FontName/Invisible/Flags 4/FontBBox[0 -200 500 800]"
            "/ItalicAngle 0/Ascent 800/Descent -200/CapHeight 800/StemV 80"
            f"/FontFile2 {file} 0 R>>",
        )
        descendant = new_object(
            document,
            "<</Type/Font/Subtype/CIDFontType2/BaseFont/Invisible"
            "/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>"
            f"/FontDescriptor {descriptor} 0 R/DW 500/CIDToGIDMap {glyphs} 0 R>>",
        )
        self._font = new_object(
            document,
            "<</Type/Font/Subtype/Type0/BaseFont/Invisible/Encoding/Identity-H"
            f"/DescendantFonts[{descendant} 0 R]/ToUnicode {self._map} 0 R>>",
        )

    def name_on(self, page: pymupdf.Page) -> str:
        """Add the font to a page's resources and return its name there."""
        xref, path = page.xref, ""
        for key in ("Resources", "Font"):
            path = f"{path}/{key}".lstrip("/")
            kind, value = self.document.xref_get_key(xref, path)
            if kind == "xref":  # keys are set on the object itself, not through a reference
                xref, path = int(value.split()[0]), ""
        self.document.xref_set_key(xref, f"{path}/{self.NAME}".lstrip("/"), f"{self._font} 0 R")
        return self.NAME

    def show(self, run: TextRun, name: str, to_pdf: pymupdf.Matrix) -> str:
        """Return the PDF operators that show a run, stretched to its width.

        Args:
            run: The text.
            name: Name of the font in the page's resources.
            to_pdf: Transformation from pixels to PDF user space.
        """
        codes = [self._code(character) for character in run.text]
        x, y = run.direction
        foot = pymupdf.Point(*run.start)
        base = foot + pymupdf.Point(y, -x) * (self.DESCENT * run.height)
        size = (pymupdf.Point(y, -x) * run.height * to_pdf - pymupdf.Point() * to_pdf).norm()
        along = pymupdf.Point(x, y) * to_pdf - pymupdf.Point() * to_pdf
        letters = len(run.text.rstrip()) or len(codes)
        stretch = 100 * run.width / (letters * self.WIDTH * run.height)
        turned = math.atan2(along.y, along.x)
        cosine, sine = math.cos(turned), math.sin(turned)
        base *= to_pdf
        return (
            f"/{name} {size:.3f} Tf {stretch:.3f} Tz"
            f" {cosine:.5f} {sine:.5f} {-sine:.5f} {cosine:.5f} {base.x:.3f} {base.y:.3f} Tm"
            f" <{''.join(f'{code:04X}' for code in codes)}> Tj\n"
        )

    def complete(self) -> None:
        """Write the characters beyond 16 bits that were shown into the ToUnicode map."""
        if self._wide:
            self.document.update_stream(self._map, self._to_unicode(), compress=1)

    def _code(self, character: str) -> int:
        code = ord(character)
        if code <= 0xFFFF:
            return 0xFFFD if 0xD800 <= code <= 0xDFFF else code
        if len(self._wide) < 0x800:
            self._wide.setdefault(character, 0xD800 + len(self._wide))
        return self._wide.get(character, 0xFFFD)

    def _to_unicode(self) -> bytes:
        """Return the ToUnicode map from codes to UTF-16; a section has at most 100 entries."""
        plain = [f"<{i:02X}00> <{i:02X}FF> <{i:02X}00>" for i in range(256) if i not in SURROGATES]
        wide = [
            f"<{code:04X}> <{character.encode('utf-16-be').hex().upper()}>"
            for character, code in self._wide.items()
        ]
        sections = "".join(
            f"{len(some)} begin{kind}\n" + "\n".join(some) + f"\nend{kind}\n"
            for kind, entries in (("bfrange", plain), ("bfchar", wide))
            for some in (entries[i : i + 100] for i in range(0, len(entries), 100))
        )
        return (
            "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
            "/CIDSystemInfo <</Registry (Adobe) /Ordering (UCS) /Supplement 0>> def\n"
            "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
            "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
            f"{sections}endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
        ).encode("ascii")


def new_object(document: pymupdf.Document, content: str, stream: bytes | None = None) -> int:
    """Add an object, with a stream if given, and return its xref number."""
    xref = int(document.get_new_xref())
    document.update_object(xref, content)
    if stream is not None:
        document.update_stream(xref, stream, compress=1)
    return xref
