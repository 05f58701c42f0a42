"""Text that is laid over a page and not seen, so that it can be searched and copied."""

# PyMuPDF is typed only in part.
# mypy: allow-untyped-calls, disable-error-code="attr-defined"

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files

import pymupdf

SURROGATES = range(0xD8, 0xE0)
"""First bytes of the codes that stand for no character."""


@dataclass(frozen=True)
class Run:
    """A piece of a line of text that is laid unseen over a picture.

    Attributes:
        text: What it says.
        start: Where its foot begins, in pixels, origin top left.
        direction: Reading direction, of length 1.
        width: Along the direction, in pixels.
        height: Across it, from foot to head, in pixels.
    """

    text: str
    start: tuple[float, float]
    direction: tuple[float, float]
    width: float
    height: float


def lay_text(
    font: InvisibleFont, page: pymupdf.Page, runs: Iterable[Run], width: int, height: int
) -> None:
    """Lay text over a page.

    Args:
        font: Of the page's document.
        page: Whatever it shows stays.
        runs: The text in reading order.
        width: Of the page's picture, in whose pixels the runs are.
        height: Likewise.
    """
    document = font.document
    to_page = pymupdf.Matrix(page.rect.width / width, page.rect.height / height)
    to_page *= page.derotation_matrix
    turned = page.rotation
    page.set_rotation(0)  # of a turned page PyMuPDF's matrix forgets the crop box
    to_pdf = to_page * ~page.transformation_matrix
    page.set_rotation(turned)
    name = font.name_on(page)
    shown = "".join(font.show(run, name, to_pdf) for run in runs)
    # What the page itself leaves set must not reach the text.
    before = new_object(document, "<<>>", b"q\n")
    after = new_object(document, "<<>>", f"\nQ BT 3 Tr\n{shown}ET\n".encode("ascii"))
    contents = [before, *page.get_contents(), after]
    references = " ".join(f"{xref} 0 R" for xref in contents)
    document.xref_set_key(page.xref, "Contents", f"[{references}]")


class InvisibleFont:
    """A font without shapes, every character half as wide as it is high, for text to be found.

    The method is Tesseract's (Ken Sharp's notes in its ``doc/pdf.md``): codes are UTF-16, all
    lead to one empty glyph, and a map tells readers that codes are characters. Characters beyond
    16 bits take codes of surrogates, which stand for no character of their own.
    ``invisible.ttf`` holds two empty glyphs and was made for this with fontTools.
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
        """Enter the font in a page's resources and return its name there."""
        xref, path = page.xref, ""
        for key in ("Resources", "Font"):
            path = f"{path}/{key}".lstrip("/")
            kind, value = self.document.xref_get_key(xref, path)
            if kind == "xref":  # keys are set on the object itself, not through a reference
                xref, path = int(value.split()[0]), ""
        self.document.xref_set_key(xref, f"{path}/{self.NAME}".lstrip("/"), f"{self._font} 0 R")
        return self.NAME

    def show(self, run: Run, name: str, to_pdf: pymupdf.Matrix) -> str:
        """Return the operators that show a run, stretched to its width.

        Args:
            run: The text.
            name: Of the font in the page's resources.
            to_pdf: From pixels to the page's own coordinates.
        """
        codes = [self._code(character) for character in run.text]
        x, y = run.direction
        foot = pymupdf.Point(*run.start)
        base = foot + pymupdf.Point(y, -x) * (self.DESCENT * run.height)
        size = (pymupdf.Point(y, -x) * run.height * to_pdf - pymupdf.Point() * to_pdf).norm()
        along = pymupdf.Point(x, y) * to_pdf - pymupdf.Point() * to_pdf
        stretch = 100 * run.width / (len(codes) * self.WIDTH * run.height)
        turned = math.atan2(along.y, along.x)
        cosine, sine = math.cos(turned), math.sin(turned)
        base *= to_pdf
        return (
            f"/{name} {size:.3f} Tf {stretch:.3f} Tz"
            f" {cosine:.5f} {sine:.5f} {-sine:.5f} {cosine:.5f} {base.x:.3f} {base.y:.3f} Tm"
            f" <{''.join(f'{code:04X}' for code in codes)}> Tj\n"
        )

    def complete(self) -> None:
        """Enter the characters beyond 16 bits that were shown in the font's map."""
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
        """Return the map from codes to UTF-16; a section has at most 100 entries."""
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
    """Add an object, or a stream with its dictionary, and return its number."""
    xref = int(document.get_new_xref())
    document.update_object(xref, content)
    if stream is not None:
        document.update_stream(xref, stream, compress=1)
    return xref
