r"""Pictures of formulas, to be compared with those that were read.

TeX draws them where it is installed; else the package ziamath does, in Python alone. Only the
normal form of a formula is ever drawn, whose commands are all known: nothing in it can read a
file, define something or run forever.

The normal form does not say all that is seen: whether a formula stood within a paragraph, and
whether its brackets grow with what is in them. So a formula has several looks.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ocrtool.errors import MissingDependencyError
from ocrtool.latex.delimiters import with_automatic_delimiters
from ocrtool.latex.mathml import to_mathml
from ocrtool.latex.normal import normal
from ocrtool.latex.symbols import LARGE, NAMED
from ocrtool.latex.tokens import LatexError, detokenize

Grey = NDArray[np.uint8]

EM = 30.0
"""Type size of the pictures in pixels: small letters are 13 high."""
_TALL = LARGE | NAMED | {r"\frac", r"\binom", r"\operatorname*"}
"""What is set otherwise within a paragraph."""
logger = logging.getLogger(__name__)


class Renderer(Protocol):
    """Draws formulas."""

    name: str
    """The program or package that draws."""

    def render(self, formulas: Sequence[str]) -> list[Grey | None]:
        """Draw formulas as displays.

        Args:
            formulas: LaTeX; best many at a time, as every call starts a run of TeX.

        Returns:
            For each a picture (H, W), uint8, black on white, cut close to its ink; None where it
            does not parse, shows nothing, or cannot be drawn.
        """
        ...

    def looks(self, formulas: Sequence[str]) -> list[list[Grey]]:
        """Draw formulas in every way that their normal form may look, each picture once.

        Returns:
            For each its pictures as `render` makes them, the first as a display with brackets of
            one size; none where `render` has none.
        """
        ...


def open_renderer() -> Renderer | None:
    """Return the best renderer that this machine has: TeX, ziamath, or None."""
    from ocrtool.rendering.tex import have_tex  # not needed where nothing is drawn

    if have_tex():
        return TexRenderer()
    return ZiamathRenderer() if find_spec("ziamath") else None


class TexRenderer:
    """Draws by TeX, all formulas of a call in one run, in Computer Modern."""

    name = "TeX"

    def render(self, formulas: Sequence[str]) -> list[Grey | None]:
        """Draw formulas; see `Renderer`.

        Raises:
            MissingDependencyError: There is no TeX.
        """
        tokens = [_normal(formula) for formula in formulas]
        texts = [[(detokenize(one), False)] if one else [] for one in tokens]
        return [drawn[0] if drawn else None for drawn in _by_tex(texts)]

    def looks(self, formulas: Sequence[str]) -> list[list[Grey]]:
        """Draw formulas in every way; see `Renderer`.

        Raises:
            MissingDependencyError: There is no TeX.
        """
        return _by_tex([_looks(_normal(formula)) for formula in formulas])


class ZiamathRenderer:
    """Draws by the package ziamath, from MathML, in STIX Two; it has one look for a formula."""

    name = "ziamath"

    def render(self, formulas: Sequence[str]) -> list[Grey | None]:
        """Draw formulas; see `Renderer`.

        Raises:
            MissingDependencyError: The extra `formulas` is not installed.
        """
        texts = [detokenize(_normal(formula)) for formula in formulas]
        drawn = {text: _by_ziamath(text) for text in dict.fromkeys(texts)}
        return [drawn[text] for text in texts]

    def looks(self, formulas: Sequence[str]) -> list[list[Grey]]:
        """Draw formulas; see `Renderer`.

        Raises:
            MissingDependencyError: The extra `formulas` is not installed.
        """
        return [[] if drawn is None else [drawn] for drawn in self.render(formulas)]


def _normal(formula: str) -> list[str]:
    """Tokens of the normal form; none where there is none."""
    try:
        return normal(formula)
    except LatexError:
        return []


def _looks(tokens: Sequence[str]) -> list[tuple[str, bool]]:
    """LaTeX of each look, and whether it is set as within a paragraph."""
    if not tokens:
        return []
    plain, grown = (
        detokenize(tokens),
        detokenize(with_automatic_delimiters(tokens, everywhere=True)),
    )
    texts = [plain] if plain == grown else [plain, grown]
    inline = (False, True) if _TALL & set(tokens) else (False,)
    return [(text, small) for small in inline for text in texts]


def _by_tex(texts: Sequence[Sequence[tuple[str, bool]]]) -> list[list[Grey]]:
    """Draw all in one run; equal pictures of one formula come once."""
    from ocrtool.rendering.tex import INCH, TexStyle, draw_formulas

    asked = sorted({text for group in texts for text in group})
    style = TexStyle(points=10, dpi=EM * INCH / 10)
    pictures = draw_formulas([text for text, _ in asked], style, [small for _, small in asked])
    drawn = dict(zip(asked, pictures, strict=True))
    found: list[list[Grey]] = []
    for group in texts:
        kept: list[Grey] = []
        for text in group:
            picture = drawn[text]
            if picture is not None and not any(np.array_equal(picture.image, one) for one in kept):
                kept.append(picture.image)
        found.append(kept)
    return found


def _by_ziamath(latex: str) -> Grey | None:
    """Draw one formula; what ziamath does not know it tells by whatever goes wrong first."""
    from ocrtool.pdf import draw_svg

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it finds its fonts in a way that Python gives up
        try:
            from ziafont.config import config
            from ziamath.zmath import Math
        except ImportError:
            raise MissingDependencyError(
                "formulas are drawn by TeX or ziamath", "pip install 'ocrtool[formulas]'"
            ) from None
        if not latex:
            return None
        config.svg2 = False  # MuPDF draws no symbols that are defined once and used often
        try:
            return draw_svg(Math(to_mathml(latex), size=EM).svg())
        except MissingDependencyError:
            raise
        except Exception as error:
            logger.info("cannot be drawn (%s): %s", error, latex)
            return None
