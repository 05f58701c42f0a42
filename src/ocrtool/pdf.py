"""PDF files in and out. The only module that imports PyMuPDF, which is under the AGPL."""

# PyMuPDF is typed only in part.
# mypy: allow-untyped-calls, disable-error-code="attr-defined"

from __future__ import annotations

import io
import logging
import math
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import TracebackType

import numpy as np
import pymupdf
from numpy.typing import NDArray
from PIL import Image

from ocrtool.errors import EncryptedError, InputError, OutputError

POINTS = 72
"""Of a PDF, to an inch."""
MOST_PIXELS = 180_000_000
"""Of a page that is rasterised; what Pillow, too, takes for an attack beyond."""
PAGES_HELD = 32
"""Pages of a PDF that are held in memory before they are written out."""

FACTS = ("title", "author", "subject", "keywords")
"""What a PDF may say about itself."""
ORIENTATION = 0x0112
"""The EXIF tag that tells how a camera was held."""
SURROGATES = range(0xD8, 0xE0)
"""First bytes of the codes that stand for no character."""

logger = logging.getLogger(__name__)
pymupdf.TOOLS.mupdf_display_errors(False)  # what is wrong is told by the errors raised here
pymupdf.TOOLS.mupdf_display_warnings(False)


class PdfFile:
    """A PDF that is read; a context manager.

    Args:
        source: A path, or the content of a file.
        password: Opens it where it is encrypted.

    Raises:
        InputError: It is missing, no PDF, or damaged beyond repair.
        EncryptedError: It needs a password, or another one.
    """

    def __init__(self, source: Path | bytes, password: str | None = None) -> None:
        self.name = str(source) if isinstance(source, Path) else "PDF data"
        try:
            content = {"filename": str(source)} if isinstance(source, Path) else {"stream": source}
            self.document = pymupdf.open(filetype="pdf", **content)
        except pymupdf.FileNotFoundError:
            raise InputError(f"{self.name}: no such file") from None
        except pymupdf.EmptyFileError:
            raise InputError(f"{self.name}: is empty") from None
        except pymupdf.FileDataError:
            raise InputError(f"{self.name}: no PDF, or damaged") from None
        except Exception as error:  # a damaged file makes MuPDF raise nearly anything
            raise InputError(f"{self.name}: cannot be opened ({_reason(error)})") from None
        if self.document.needs_pass and not self.document.authenticate(password or ""):
            self.document.close()
            if password is None:
                raise EncryptedError(f"{self.name}: is encrypted", "give its password")
            raise EncryptedError(f"{self.name}: the password is wrong")
        if not self.document.is_pdf or len(self) == 0:
            self.document.close()
            raise InputError(f"{self.name}: no PDF, or without pages")

    def __len__(self) -> int:
        """Return the number of pages."""
        try:
            return int(self.document.page_count)
        except Exception:  # a page tree that leads nowhere
            return 0

    def __enter__(self) -> PdfFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.document.close()

    @property
    def facts(self) -> dict[str, str]:
        """Title, author, subject and keywords, those that are given."""
        known = self.document.metadata or {}
        return {name: known[name] for name in FACTS if known.get(name)}

    def size(self, index: int) -> tuple[float, float]:
        """Return width and height of a page as it is shown, in points (72 an inch).

        Raises:
            InputError: The page is damaged.
        """
        rect = self._page(index).rect
        return float(rect.width), float(rect.height)

    def rasterise(self, index: int, dpi: float) -> NDArray[np.uint8]:
        """Draw a page as it is shown: turned as it says, annotations and all.

        Args:
            index: Of the page, from 0.
            dpi: Pixels an inch.

        Returns:
            (H, W, 3) RGB, uint8, origin at the top left.

        Raises:
            InputError: The page is damaged, or has too many pixels.
        """
        page = self._page(index)
        scale = dpi / POINTS
        if page.rect.width * page.rect.height * scale**2 > MOST_PIXELS:
            raise InputError(
                f"{self.name}: page {index + 1} has more than {MOST_PIXELS // 10**6} million"
                f" pixels at {dpi:g} dpi",
                "take a lower resolution",
            )
        try:
            pixmap = page.get_pixmap(
                matrix=pymupdf.Matrix(scale, scale), colorspace=pymupdf.csRGB, alpha=False
            )
        except Exception as error:
            raise self.damaged(index, error) from None
        shape = (pixmap.height, pixmap.width, 3)
        pixels = np.frombuffer(pixmap.samples, np.uint8).reshape(shape).copy()
        pymupdf.TOOLS.store_shrink(100)  # else MuPDF keeps what it decoded, up to 256 MB
        return pixels

    def _page(self, index: int) -> pymupdf.Page:
        try:
            page = self.document[index]
            if page.rect.is_empty or page.rect.is_infinite:
                raise ValueError("it has no size")
            return page
        except Exception as error:
            raise self.damaged(index, error) from None

    def damaged(self, index: int, error: Exception) -> InputError:
        """Return the error that says that a page is damaged."""
        return InputError(f"{self.name}: page {index + 1} is damaged ({_reason(error)})")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


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


class PdfMaker:
    """Makes a PDF of pictures with unseen text; no more than some pages are in memory at a time.

    Raises:
        OutputError: There is no room for temporary files.
    """

    def __init__(self) -> None:
        try:
            self._folder = tempfile.TemporaryDirectory(
                prefix="ocrtool-", ignore_cleanup_errors=True
            )
        except OSError as error:
            raise OutputError(f"no temporary files can be made: {error.strerror}") from None
        self._path = Path(self._folder.name) / "pages.pdf"
        self._document = pymupdf.open()
        self._font = _InvisibleFont(self._document)
        self._unsaved = 0

    def set_facts(self, facts: Mapping[str, str]) -> None:
        """Note title, author and the like; facts that a PDF has no place for are passed over."""
        known = {name: facts[name] for name in FACTS if name in facts}
        self._document.set_metadata({**known, "creator": "ocrtool"})

    def add_image(
        self, file: bytes | None, pixels: NDArray[np.uint8], size: tuple[float, float]
    ) -> None:
        """Begin a page with an image.

        JPEG and JPEG 2000 are embedded as they are, other formats that MuPDF reads without loss.

        Args:
            file: Content of the image file, where there is one of the image alone.
            pixels: (H, W, 3) RGB, uint8, upright; taken where the file cannot be.
            size: Width and height of the page in points, upright.
        """
        turned = _turned(file) if file else None
        if turned in (90, 270):
            size = size[1], size[0]
        page = self._next(lambda: self._document.new_page(width=size[0], height=size[1]))
        if turned is not None:
            try:
                page.insert_image(page.rect, stream=file, keep_proportion=False)
                page.set_rotation(turned)
                return
            except Exception as error:  # a format that MuPDF lacks, or a damaged file
                logger.debug("the image is embedded by its pixels: %s", _reason(error))
        if turned in (90, 270):
            page.set_mediabox(pymupdf.Rect(0, 0, size[1], size[0]))
        grey = bool((pixels == pixels[..., :1]).all())
        samples = pixels[..., 0] if grey else pixels
        space = pymupdf.csGRAY if grey else pymupdf.csRGB
        height, width = pixels.shape[:2]
        pixmap = pymupdf.Pixmap(space, width, height, samples.tobytes(), False)
        page.insert_image(page.rect, pixmap=pixmap, keep_proportion=False)

    def add_page(self, source: PdfFile, index: int) -> None:
        """Begin a page with a page of another PDF, as it is.

        Raises:
            InputError: The page is damaged so that it cannot be copied; nothing is begun.
        """
        try:
            page = self._next(
                lambda: self._document.insert_pdf(source.document, from_page=index, to_page=index)
            )
            page.wrap_contents()
        except OutputError:
            raise
        except Exception as error:
            raise source.damaged(index, error) from None

    def add_text(self, runs: Iterable[Run], width: int, height: int) -> None:
        """Lay text over the last page.

        Args:
            runs: The text in reading order.
            width: Of the page's picture, in whose pixels the runs are.
            height: Likewise.
        """
        document, page = self._document, self._document[-1]
        to_page = pymupdf.Matrix(page.rect.width / width, page.rect.height / height)
        to_page *= page.derotation_matrix
        turned = page.rotation
        page.set_rotation(0)  # of a turned page PyMuPDF's matrix forgets the crop box
        to_pdf = to_page * ~page.transformation_matrix
        page.set_rotation(turned)
        name = self._font.name_on(page)
        shown = "".join(self._font.show(run, name, to_pdf) for run in runs)
        # What the page itself leaves set must not reach the text.
        before = _new_object(document, "<<>>", b"q\n")
        after = _new_object(document, "<<>>", f"\nQ BT 3 Tr\n{shown}ET\n".encode("ascii"))
        contents = [before, *page.get_contents(), after]
        references = " ".join(f"{xref} 0 R" for xref in contents)
        document.xref_set_key(page.xref, "Contents", f"[{references}]")

    def finish(self, write: Callable[[bytes], object]) -> None:
        """Hand on the content of the file, and end.

        Raises:
            OutputError: There are no pages, or no room for temporary files.
        """
        with self._folder:
            if self._document.page_count == 0:
                raise OutputError("a PDF without pages cannot be written")
            self._font.complete()
            self._save()
            self._document.close()
            with self._path.open("rb") as file:
                while content := file.read(1 << 20):
                    write(content)

    def _next(self, make: Callable[[], object]) -> pymupdf.Page:
        """Make a page, after the pages before it have gone to disk if they are many."""
        if self._unsaved == PAGES_HELD:
            self._save()
            self._document.close()  # only so does MuPDF let go of what it holds
            self._document = self._font.document = pymupdf.open(self._path)
            pymupdf.TOOLS.store_shrink(100)
            self._unsaved = 0
        make()
        self._unsaved += 1
        return self._document[-1]

    def _save(self) -> None:
        options = {"incremental": True, "encryption": pymupdf.PDF_ENCRYPT_KEEP}
        try:
            self._document.save(
                str(self._path), deflate=True, **(options if self._path.exists() else {})
            )
        except Exception as error:
            raise OutputError(f"temporary files cannot be written ({_reason(error)})") from None


class _InvisibleFont:
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
        font = files("ocrtool").joinpath("invisible.ttf").read_bytes()
        file = _new_object(document, f"<</Length1 {len(font)}>>", font)
        glyphs = _new_object(document, "<<>>", b"\0\1" * 0x10000)
        self._map = _new_object(document, "<<>>", self._to_unicode())
        descriptor = _new_object(
            document,
            "<</Type/FontDescriptor/FontName/Invisible/Flags 4/FontBBox[0 -200 500 800]"
            "/ItalicAngle 0/Ascent 800/Descent -200/CapHeight 800/StemV 80"
            f"/FontFile2 {file} 0 R>>",
        )
        descendant = _new_object(
            document,
            "<</Type/Font/Subtype/CIDFontType2/BaseFont/Invisible"
            "/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>"
            f"/FontDescriptor {descriptor} 0 R/DW 500/CIDToGIDMap {glyphs} 0 R>>",
        )
        self._font = _new_object(
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


def _new_object(document: pymupdf.Document, content: str, stream: bytes | None = None) -> int:
    """Add an object, or a stream with its dictionary, and return its number."""
    xref = int(document.get_new_xref())
    document.update_object(xref, content)
    if stream is not None:
        document.update_stream(xref, stream, compress=1)
    return xref


def _turned(file: bytes) -> int | None:
    """Return by how many degrees, clockwise, a reader must turn an image file to show it upright.

    None where it must be mirrored, too, or is no image: a page of a PDF cannot say that.
    """
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(file)) as image:
            orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:
        return None
    return {1: 0, 3: 180, 6: 90, 8: 270}.get(orientation)
