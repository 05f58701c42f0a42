"""Rendering of many formulas with one run of TeX, one per page, with verified page numbers.

TeX runs in batch mode, so a rejected formula must not shift the others. Each formula is set in a
box of its own; the log states where it begins and ends, its size, and the group nesting level
afterwards. A formula with an error or a missing character between its markers is dropped, and the
size of each PDF page must equal the logged one. A run that fails is split until the formula that
caused the failure is alone.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
import pymupdf
from numpy.typing import NDArray

from ocrtool.errors import MissingDependencyError

_mu: Any = pymupdf  # its functions are untyped
Taken = TypeVar("Taken")
PDF_POINTS_PER_INCH = 72
"""PDF points per inch."""
TEX_POINTS_PER_INCH = 72.27
"""TeX points per inch."""
MARGIN = 4.0
"""White margin in points around a formula on its page; some glyphs exceed their boxes."""
MAX_WIDTH = 1000.0
"""Maximum width of a formula in points; wider ones are dropped."""
MAX_HEIGHT = 500.0
"""Maximum height and depth of a formula in points; taller ones are dropped."""
_RUN_SECONDS = 4.0
"""Processor time in seconds that a run may take, in addition to the time of its formulas."""
_FORMULA_SECONDS = 0.01
"""Processor time in seconds that each formula may take; usual is a quarter of it."""
_MAX_SECONDS = 600
"""Maximum wall-clock time of a run in seconds."""
_MAX_BUFFERED = 60
"""Maximum number of formulas whose log entries may be lost in TeX's buffer when it is stopped."""

SYMBOL_PACKAGES = r"\usepackage{amsmath,amssymb,mathrsfs,dsfont}"
"""Packages of the usual math symbols."""
AMSMATH_ONLY = r"\usepackage{amsmath}"
"""Packages for fonts that define the symbols of amssymb themselves."""
_LATE = r"""
\makeatletter
\providecommand\bm{\boldsymbol}
\providecommand\llbracket{[\mkern-3.5mu[}\providecommand\rrbracket{]\mkern-3.5mu]}
\providecommand\coloneqq{\mathrel{\mathop:}=}\providecommand\eqqcolon{=\mathrel{\mathop:}}
\providecommand\coloneq{\mathrel{\mathop:}-}\providecommand\colonequals{\mathrel{\mathop:}=}
\providecommand\vcentcolon{\mathrel{\mathop:}}
\providecommand\ket[1]{|#1\rangle}\providecommand\bra[1]{\langle#1|}
\providecommand\braket[1]{\langle#1\rangle}
\providecommand\Ket[1]{\left|#1\right\rangle}\providecommand\Bra[1]{\left\langle#1\right|}
\providecommand\Braket[1]{\left\langle#1\right\rangle}
\providecommand\set[1]{\{#1\}}\providecommand\Set[1]{\left\{#1\right\}}
\providecommand\argmin{\operatorname*{arg\,min}}\providecommand\argmax{\operatorname*{arg\,max}}
\providecommand\R{\mathbb R}\providecommand\N{\mathbb N}\providecommand\Z{\mathbb Z}
\providecommand\reals{\mathbb R}\providecommand\bold{\mathbf}\providecommand\degree{{}^\circ}
\providecommand\mathds{\mathbb}\providecommand\emph{\textit}
\providecommand\lt{<}\providecommand\gt{>}\providecommand\rq{'}
\@ifundefined{dcases}{\newenvironment{dcases}{\left\{\array{@{}ll@{}}}{\endarray\right.}}{}
\let\nonumber\relax\let\notag\relax
\makeatother
\tracinglostchars=1 \parindent=0pt \pdfhorigin=0pt \pdfvorigin=0pt \hfuzz=\maxdimen
\def\B#1{\setbox1\vbox{\noindent\par}\immediate\write-1{>>#1}\setbox0\hbox\bgroup}
\def\E#1{\egroup\immediate\write-1{<<#1 \the\wd0 \the\ht0 \the\dp0 \the\currentgrouplevel}%
  \ifdim\wd0<WIDEpt \ifdim\wd0>0.5pt \ifdim\ht0<TALLpt \ifdim\dp0<TALLpt
  \pdfpagewidth=\wd0 \advance\pdfpagewidth by SIDEpt
  \pdfpageheight=\ht0 \advance\pdfpageheight by\dp0 \advance\pdfpageheight by SIDEpt
  \immediate\write-1{==#1 \the\pdfpagewidth \the\pdfpageheight}%
  \shipout\vbox{\kern EDGEpt\hbox{\kern EDGEpt\box0}}\fi\fi\fi\fi}
\begin{document}
"""


@dataclass(frozen=True)
class TexFont:
    """A set of text and math fonts: its preamble lines and its weight in random choices."""

    weight: float
    preamble: str = ""
    defines_symbols: bool = False

    def lines(self) -> str:
        """Return the preamble lines."""
        return (AMSMATH_ONLY if self.defines_symbols else SYMBOL_PACKAGES) + self.preamble


FONTS: dict[str, TexFont] = {
    "computer-modern": TexFont(12.0),
    "latin-modern": TexFont(2.0, r"\usepackage[T1]{fontenc}\usepackage{lmodern}"),
    "bold": TexFont(0.4, r"\AtBeginDocument{\boldmath\bfseries}"),
    "times": TexFont(1.5, r"\usepackage{mathptmx}"),
    "newtx": TexFont(2.0, r"\usepackage{newtxtext,newtxmath}"),
    "txfonts": TexFont(1.2, r"\usepackage{txfonts}", defines_symbols=True),
    "palatino": TexFont(1.5, r"\usepackage{mathpazo}"),
    "newpx": TexFont(1.0, r"\usepackage{newpxtext,newpxmath}"),
    "pxfonts": TexFont(0.5, r"\usepackage{pxfonts}", defines_symbols=True),
    "stix": TexFont(0.8, r"\usepackage{stix}", defines_symbols=True),
    "stix2": TexFont(1.2, r"\usepackage[T1]{fontenc}\usepackage{stix2}", defines_symbols=True),
    "fourier": TexFont(1.0, r"\usepackage{fourier}"),
    "schoolbook": TexFont(0.5, r"\usepackage{fouriernc}"),
    "euler": TexFont(0.8, r"\usepackage{palatino,eulervm}"),
    "charter": TexFont(0.8, r"\usepackage[bitstream-charter]{mathdesign}"),
    "utopia": TexFont(0.4, r"\usepackage[adobe-utopia]{mathdesign}"),
    "libertinus": TexFont(1.0, r"\usepackage[T1]{fontenc}\usepackage{libertinust1math}"),
    "kp": TexFont(0.8, r"\usepackage{kpfonts}", defines_symbols=True),
    "bright": TexFont(0.7, r"\usepackage{cmbright}"),
    "arev": TexFont(0.4, r"\usepackage{arev}"),
    "iwona": TexFont(0.3, r"\usepackage[math]{iwona}"),
    "antykwa": TexFont(0.3, r"\usepackage[math]{anttor}"),
    "erewhon": TexFont(0.5, r"\usepackage{erewhon}\usepackage[utopia]{newtxmath}"),
}
"""Fonts by name; not every TeX installation has all of them, see ``has_font``."""


@dataclass(frozen=True)
class TexStyle:
    """Font (a key of ``FONTS``), type size in points, and resolution in pixels per inch."""

    font: str = "computer-modern"
    points: int = 10
    dpi: float = 220.0

    @property
    def em(self) -> float:
        """Type size in pixels."""
        return self.points * self.dpi / TEX_POINTS_PER_INCH


class Glyph(NamedTuple):
    """A typeset glyph: its character, where known, and its centre in pixels from the top left."""

    character: str
    x: float
    y: float


@dataclass(frozen=True)
class Typeset:
    """A formula rendered by TeX.

    Attributes:
        image: (H, W), uint8, black on white, cropped to its ink.
        glyphs: Its glyphs in TeX's order, without rules. A glyph that the font does not map to
            Unicode has the replacement character.
    """

    image: NDArray[np.uint8]
    glyphs: tuple[Glyph, ...]


def have_tex() -> bool:
    """Tell whether pdflatex is installed."""
    return shutil.which("pdflatex") is not None


@lru_cache(maxsize=128)
def has_font(font: str) -> bool:
    """Tell by a trial whether the installed TeX can set a font.

    Raises:
        MissingDependencyError: TeX is not installed.
    """
    return draw_formulas(["x"], TexStyle(font))[0] is not None


def draw_formulas(
    formulas: Sequence[str], style: TexStyle, inline: Sequence[bool] = ()
) -> list[Typeset | None]:
    """Render formulas in one style.

    Args:
        formulas: LaTeX without ``$``, braces balanced.
        style: Font, type size and resolution of all of them.
        inline: Which are set inline; none by default.

    Returns:
        For each its image and glyphs; None where TeX reports an error, a character is missing, or
        the formula is too large.

    Raises:
        MissingDependencyError: TeX is not installed.
    """
    return _typeset_pages(
        formulas, style, inline, partial(_to_typeset, scale=style.dpi / PDF_POINTS_PER_INCH)
    )


def formula_pages(formulas: Sequence[str], style: TexStyle) -> bytes:
    """Typeset displayed formulas in one style as PDF pages, to be placed on synthetic pages.

    Args:
        formulas: LaTeX without ``$``, braces balanced.
        style: Font and type size of all of them.

    Returns:
        A PDF with one page per formula that TeX accepts, with ``MARGIN`` points of white around it;
        empty where there is none.

    Raises:
        MissingDependencyError: TeX is not installed.
    """
    with _mu.open() as pages:

        def take(page: Any) -> None:
            pages.insert_pdf(page.parent, from_page=page.number, to_page=page.number)

        _typeset_pages(formulas, style, (), take)
        return bytes(pages.tobytes(garbage=4, deflate=True)) if len(pages) else b""


def _typeset_pages(
    formulas: Sequence[str],
    style: TexStyle,
    inline: Sequence[bool],
    take: Callable[[Any], Taken],
) -> list[Taken | None]:
    """Typeset formulas; return the result of ``take`` for the page of each accepted one."""
    if not have_tex():
        raise MissingDependencyError("formulas are drawn by TeX", "install pdflatex (TeX Live)")
    inline = inline or [False] * len(formulas)
    with tempfile.TemporaryDirectory(prefix="formulas-") as folder:
        return _take_pages(formulas, style, inline, Path(folder), take)


def _take_pages(
    formulas: Sequence[str],
    style: TexStyle,
    inline: Sequence[bool],
    folder: Path,
    take: Callable[[Any], Taken],
) -> list[Taken | None]:
    if not formulas:
        return []
    found: list[Taken | None]
    pages = _run(_document(formulas, style, inline), len(formulas), folder)
    if pages is None:
        if len(formulas) == 1:
            return [None]
        found = []
        for part in _split_run(len(formulas), folder):
            found += _take_pages(formulas[part], style, inline[part], folder, take)
        return found
    found = [None] * len(formulas)
    if pages:
        with _mu.open(folder / "run.pdf") as file:
            for number, page in pages.items():
                found[number] = take(file[page])
    return found


def _to_typeset(page: Any, scale: float) -> Typeset | None:
    drawn = page.get_pixmap(matrix=_mu.Matrix(scale, scale), colorspace=_mu.csGRAY, alpha=False)
    grey = np.frombuffer(drawn.samples, np.uint8).reshape(drawn.height, drawn.stride)
    grey = grey[:, : drawn.width]
    left, top, width, height = cv2.boundingRect((grey < 250).astype(np.uint8))
    if width < 1 or height < 1:
        return None
    top, left, bottom, right = max(0, top - 1), max(0, left - 1), top + height + 1, left + width + 1
    glyphs = [
        Glyph(sign["c"], scale * (x0 + x1) / 2 - left, scale * (y0 + y1) / 2 - top)
        for block in page.get_text("rawdict", flags=_mu.TEXT_ACCURATE_BBOXES)["blocks"]
        for line in block["lines"]
        for span in line["spans"]
        for sign in span["chars"]
        for x0, y0, x1, y1 in [sign["bbox"]]
        if not sign["c"].isspace()
    ]
    return Typeset(np.ascontiguousarray(grey[top:bottom, left:right]), tuple(glyphs))


def _split_run(count: int, folder: Path) -> list[slice]:
    """Return how to split a failed run: the part logged as done, the suspects, the rest."""
    log = folder / "run.log"
    marks = _BEGUN.findall(log.read_text("latin-1")) if log.exists() else []
    passed = int(marks[-1]) if marks else 0
    if count > 2 * _MAX_BUFFERED and passed < count:
        first, last = passed, min(count, passed + _MAX_BUFFERED)
        return [slice(0, first), slice(first, last), slice(last, count)]
    return [slice(0, count // 2), slice(count // 2, count)]


def _document(formulas: Sequence[str], style: TexStyle, inline: Sequence[bool]) -> str:
    late = _LATE.replace("WIDE", f"{MAX_WIDTH:g}").replace("TALL", f"{MAX_HEIGHT:g}")
    late = late.replace("SIDE", f"{2 * MARGIN:g}").replace("EDGE", f"{MARGIN:g}")
    head = rf"\documentclass[{style.points}pt]{{article}}" + FONTS[style.font].lines()
    parts = [head, late]
    for number, (formula, small) in enumerate(zip(formulas, inline, strict=True)):
        size = "" if small else r"\displaystyle "
        parts.append(rf"\B{{{number}}}${size}{formula}$\E{{{number}}}" + "\n")
    parts.append(r"\end{document}")
    return "".join(parts)


def _run(document: str, count: int, folder: Path) -> dict[int, int] | None:
    """Typeset; return the page of each accepted formula, or None where the whole run failed."""
    (folder / "run.tex").write_text(document, "utf-8")
    for name in ("run.pdf", "run.log"):
        (folder / name).unlink(missing_ok=True)
    command = ["pdflatex", "-interaction=batchmode", "-no-shell-escape", "run.tex"]
    seconds = math.ceil(_RUN_SECONDS + _FORMULA_SECONDS * count)
    environment = {
        **os.environ, "max_print_line": "1000", "openout_any": "p", "openin_any": "p",
        "MKTEXPK": "0", "MKTEXTFM": "0",  # no generation of missing fonts, which takes minutes
    }  # fmt: skip
    try:
        subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_MAX_SECONDS, check=False,
            preexec_fn=partial(_limit, seconds) if os.name == "posix" else None,
        )  # fmt: skip
    except (subprocess.TimeoutExpired, OSError):
        return None
    log, pdf = folder / "run.log", folder / "run.pdf"
    if not log.exists():
        return None
    text = log.read_text("latin-1")
    if "Fatal error occurred" in text or "Emergency stop" in text:
        return None
    if f"<<{count - 1} " not in text:  # a formula ended the document early
        return None
    pages, sizes = _read_log(text)
    if not sizes:
        return {}
    if not pdf.exists():
        return None
    return pages if _sizes_agree(pdf, sizes) else None


def _limit(seconds: int) -> None:
    """Limit the processor time of the child process before it becomes TeX."""
    import resource  # exists on POSIX only

    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


_BEGUN = re.compile(r"^>>(\d+)$", re.MULTILINE)
_MARK = re.compile(
    r">>(\d+)$|<<(\d+) ([\d.-]+)pt([\d.-]+)pt([\d.-]+)pt(\d+)$|==(\d+) ([\d.]+)pt([\d.]+)pt$"
)


def _read_log(text: str) -> tuple[dict[int, int], list[tuple[float, float]]]:
    """Return the accepted formulas with their pages, and the sizes of all pages in points."""
    pages: dict[int, int] = {}
    sizes: list[tuple[float, float]] = []
    current, clean, ended = -1, False, False
    for line in text.splitlines():
        mark = _MARK.match(line)
        if mark is None:
            if line.startswith("!") or "Missing character" in line or "invalid in math" in line:
                clean = False
        elif mark.group(1) is not None:
            current, clean, ended = int(mark.group(1)), True, False
        elif mark.group(2) is not None:
            ended = int(mark.group(2)) == current
            clean = clean and ended and mark.group(6) == "0"
        else:
            if clean and ended and int(mark.group(7)) == current:
                pages[current] = len(sizes)
            sizes.append((float(mark.group(8)), float(mark.group(9))))
    return pages, sizes


def _sizes_agree(pdf: Path, sizes: Sequence[tuple[float, float]]) -> bool:
    """Tell whether a PDF has exactly these pages, sizes in TeX points.

    Content left outside the boxes may add one page at the end.
    """
    try:
        with _mu.open(pdf) as file:
            seen = [(page.rect.width, page.rect.height) for page in file]
    except RuntimeError:  # a damaged file
        return False
    return len(seen) - len(sizes) in (0, 1) and all(
        abs(a - b * PDF_POINTS_PER_INCH / TEX_POINTS_PER_INCH) < 0.05
        for page, told in zip(seen, sizes, strict=False)
        for a, b in zip(page, told, strict=True)
    )
