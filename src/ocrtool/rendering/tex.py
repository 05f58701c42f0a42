r"""Formulas drawn by TeX: many in one run, a page each, every page known to be the right one.

TeX runs without stopping, so a formula that it does not like must not shift the others. Each
formula is set in a box of its own; the log says where it begins and ends, how large it became and
how deep in groups TeX was afterwards. A formula between whose marks an error or a missing letter
is logged is dropped, and the size of each page of the PDF must be the one that the log tells. A
run that dies is divided, until the formula that killed it stands alone.
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

_mu: Any = pymupdf  # whose functions have no types
Taken = TypeVar("Taken")
POINTS = 72
INCH = 72.27
"""TeX's points to an inch; a PDF has 72."""
MARGIN = 4.0
"""Points of white round a formula on its page: some letters reach out of their boxes."""
WIDEST, TALLEST = 1000.0, 500.0
"""Points; larger formulas are dropped."""
_SECONDS, _PER_FORMULA = 4.0, 0.01
"""Of processor time that a run and each of its formulas may take; usual is a quarter of it."""
_LONGEST = 600
"""Seconds on the clock."""
_UNWRITTEN = 60
"""Formulas whose marks TeX may have had in its buffer when it was stopped."""

COMMON = r"\usepackage{amsmath,amssymb,mathrsfs,dsfont}"
OWN_SIGNS = r"\usepackage{amsmath}"
"""For fonts that bring the letters and signs of amssymb themselves."""
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
    """A set of text and math fonts: the lines of the preamble that choose it, and its weight."""

    weight: float
    preamble: str = ""
    own_signs: bool = False

    def lines(self) -> str:
        """What stands in the preamble."""
        return (OWN_SIGNS if self.own_signs else COMMON) + self.preamble


FONTS: dict[str, TexFont] = {
    "computer-modern": TexFont(12.0),
    "latin-modern": TexFont(2.0, r"\usepackage[T1]{fontenc}\usepackage{lmodern}"),
    "bold": TexFont(0.4, r"\AtBeginDocument{\boldmath\bfseries}"),
    "times": TexFont(1.5, r"\usepackage{mathptmx}"),
    "newtx": TexFont(2.0, r"\usepackage{newtxtext,newtxmath}"),
    "txfonts": TexFont(1.2, r"\usepackage{txfonts}", own_signs=True),
    "palatino": TexFont(1.5, r"\usepackage{mathpazo}"),
    "newpx": TexFont(1.0, r"\usepackage{newpxtext,newpxmath}"),
    "pxfonts": TexFont(0.5, r"\usepackage{pxfonts}", own_signs=True),
    "stix": TexFont(0.8, r"\usepackage{stix}", own_signs=True),
    "stix2": TexFont(1.2, r"\usepackage[T1]{fontenc}\usepackage{stix2}", own_signs=True),
    "fourier": TexFont(1.0, r"\usepackage{fourier}"),
    "schoolbook": TexFont(0.5, r"\usepackage{fouriernc}"),
    "euler": TexFont(0.8, r"\usepackage{palatino,eulervm}"),
    "charter": TexFont(0.8, r"\usepackage[bitstream-charter]{mathdesign}"),
    "utopia": TexFont(0.4, r"\usepackage[adobe-utopia]{mathdesign}"),
    "libertinus": TexFont(1.0, r"\usepackage[T1]{fontenc}\usepackage{libertinust1math}"),
    "kp": TexFont(0.8, r"\usepackage{kpfonts}", own_signs=True),
    "bright": TexFont(0.7, r"\usepackage{cmbright}"),
    "arev": TexFont(0.4, r"\usepackage{arev}"),
    "iwona": TexFont(0.3, r"\usepackage[math]{iwona}"),
    "antykwa": TexFont(0.3, r"\usepackage[math]{anttor}"),
    "erewhon": TexFont(0.5, r"\usepackage{erewhon}\usepackage[utopia]{newtxmath}"),
}
"""Not every TeX has all of them; see `usable`."""


@dataclass(frozen=True)
class TexStyle:
    """How a run is set: font (a key of `FONTS`), type size in points, dots an inch."""

    font: str = "computer-modern"
    points: int = 10
    dpi: float = 220.0

    @property
    def em(self) -> float:
        """The type size in pixels."""
        return self.points * self.dpi / INCH


class Glyph(NamedTuple):
    """A sign that TeX set: what it is, where known, and its middle in pixels from the top left."""

    character: str
    x: float
    y: float


@dataclass(frozen=True)
class Typeset:
    """A formula that TeX set.

    Attributes:
        image: (H, W), uint8, black on white, cut to its ink.
        glyphs: Its signs in TeX's order; of rules there are none. What a font does not name has
            the replacement character.
    """

    image: NDArray[np.uint8]
    glyphs: tuple[Glyph, ...]


def have_tex() -> bool:
    """Tell whether formulas can be drawn on this machine."""
    return shutil.which("pdflatex") is not None


@lru_cache(maxsize=128)
def usable(font: str) -> bool:
    """Tell whether this machine's TeX can set a font, by trying.

    Raises:
        MissingDependencyError: There is no TeX.
    """
    return draw_formulas(["x"], TexStyle(font))[0] is not None


def draw_formulas(
    formulas: Sequence[str], style: TexStyle, inline: Sequence[bool] = ()
) -> list[Typeset | None]:
    """Draw formulas in one style.

    Args:
        formulas: LaTeX without `$`, braces balanced.
        style: Font, type size and resolution of all of them.
        inline: Which are set as within a paragraph; none where not given.

    Returns:
        For each its picture and signs; or None where TeX complains about it, a letter is missing,
        or it is too large.

    Raises:
        MissingDependencyError: There is no TeX.
    """
    return _set(formulas, style, inline, partial(_typeset, scale=style.dpi / POINTS))


def formula_pages(formulas: Sequence[str], style: TexStyle) -> bytes:
    """Set displayed formulas in one style, to be put on drawn pages.

    Args:
        formulas: LaTeX without `$`, braces balanced.
        style: Font and type size of all of them.

    Returns:
        A PDF with a page for each that TeX has nothing to complain about, `MARGIN` points of white
        round it; empty where there is none.

    Raises:
        MissingDependencyError: There is no TeX.
    """
    with _mu.open() as pages:

        def take(page: Any) -> None:
            pages.insert_pdf(page.parent, from_page=page.number, to_page=page.number)

        _set(formulas, style, (), take)
        return bytes(pages.tobytes(garbage=4, deflate=True)) if len(pages) else b""


def _set(
    formulas: Sequence[str],
    style: TexStyle,
    inline: Sequence[bool],
    take: Callable[[Any], Taken],
) -> list[Taken | None]:
    """Set formulas; return what is taken of the page of each good one."""
    if not have_tex():
        raise MissingDependencyError("formulas are drawn by TeX", "install pdflatex (TeX Live)")
    inline = inline or [False] * len(formulas)
    with tempfile.TemporaryDirectory(prefix="formulas-") as folder:
        return _taken(formulas, style, inline, Path(folder), take)


def _taken(
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
        for part in _parts(len(formulas), folder):
            found += _taken(formulas[part], style, inline[part], folder, take)
        return found
    found = [None] * len(formulas)
    if pages:
        with _mu.open(folder / "run.pdf") as file:
            for number, page in pages.items():
                found[number] = take(file[page])
    return found


def _typeset(page: Any, scale: float) -> Typeset | None:
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


def _parts(count: int, folder: Path) -> list[slice]:
    """How a run that died is divided: what its log had passed, what may be guilty, the rest."""
    log = folder / "run.log"
    marks = _BEGUN.findall(log.read_text("latin-1")) if log.exists() else []
    passed = int(marks[-1]) if marks else 0
    if count > 2 * _UNWRITTEN and passed < count:
        first, last = passed, min(count, passed + _UNWRITTEN)
        return [slice(0, first), slice(first, last), slice(last, count)]
    return [slice(0, count // 2), slice(count // 2, count)]


def _document(formulas: Sequence[str], style: TexStyle, inline: Sequence[bool]) -> str:
    late = _LATE.replace("WIDE", f"{WIDEST:g}").replace("TALL", f"{TALLEST:g}")
    late = late.replace("SIDE", f"{2 * MARGIN:g}").replace("EDGE", f"{MARGIN:g}")
    head = rf"\documentclass[{style.points}pt]{{article}}" + FONTS[style.font].lines()
    parts = [head, late]
    for number, (formula, small) in enumerate(zip(formulas, inline, strict=True)):
        size = "" if small else r"\displaystyle "
        parts.append(rf"\B{{{number}}}${size}{formula}$\E{{{number}}}" + "\n")
    parts.append(r"\end{document}")
    return "".join(parts)


def _run(document: str, count: int, folder: Path) -> dict[int, int] | None:
    """Typeset; return the page of each good formula, or None where the run as a whole failed."""
    (folder / "run.tex").write_text(document, "utf-8")
    for name in ("run.pdf", "run.log"):
        (folder / name).unlink(missing_ok=True)
    command = ["pdflatex", "-interaction=batchmode", "-no-shell-escape", "run.tex"]
    seconds = math.ceil(_SECONDS + _PER_FORMULA * count)
    environment = {
        **os.environ, "max_print_line": "1000", "openout_any": "p", "openin_any": "p",
        "MKTEXPK": "0", "MKTEXTFM": "0",  # a font that is not there is not to be made, for minutes
    }  # fmt: skip
    try:
        subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_LONGEST, check=False,
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
    if f"<<{count - 1} " not in text:  # a formula ended the document
        return None
    pages, sizes = _read_log(text)
    if not sizes:
        return {}
    if not pdf.exists():
        return None
    return pages if _sizes_agree(pdf, sizes) else None


def _limit(seconds: int) -> None:
    """Bound the processor time of the process that is about to become TeX."""
    import resource  # not on every system

    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


_BEGUN = re.compile(r"^>>(\d+)$", re.MULTILINE)
_MARK = re.compile(
    r">>(\d+)$|<<(\d+) ([\d.-]+)pt([\d.-]+)pt([\d.-]+)pt(\d+)$|==(\d+) ([\d.]+)pt([\d.]+)pt$"
)


def _read_log(text: str) -> tuple[dict[int, int], list[tuple[float, float]]]:
    """Good formulas and their pages, and the sizes of all pages in points."""
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
    """Tell whether a PDF has just these pages, sizes in TeX's points.

    What a formula left behind outside its box may make one more page, at the end.
    """
    try:
        with _mu.open(pdf) as file:
            seen = [(page.rect.width, page.rect.height) for page in file]
    except RuntimeError:  # a damaged file
        return False
    return len(seen) - len(sizes) in (0, 1) and all(
        abs(a - b * POINTS / INCH) < 0.05
        for page, told in zip(seen, sizes, strict=False)
        for a, b in zip(page, told, strict=True)
    )
