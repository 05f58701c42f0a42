"""Renderers of formulas, for comparison with the image that they were read from.

TeX is used where it is installed, otherwise the Python package ziamath. Only the normal form of a
formula is ever rendered, all of whose commands are known: it cannot read files, define macros or
run forever.

The normal form omits two visible properties: whether a formula is inline or displayed, and
whether its brackets are stretched. A formula therefore has several renderings.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ocrtool.errors import MissingDependencyError, install_command
from ocrtool.latex_syntax.delimiters import with_automatic_delimiters
from ocrtool.latex_syntax.mathml import to_mathml
from ocrtool.latex_syntax.normal import normal
from ocrtool.latex_syntax.symbols import LARGE, NAMED
from ocrtool.latex_syntax.tokens import LatexError, detokenize

Grey = NDArray[np.uint8]

EM = 30.0
"""Type size of the renderings in pixels; small letters are 13 pixels high."""
_STYLE_DEPENDENT = LARGE | NAMED | {r"\frac", r"\binom", r"\operatorname*"}
"""Commands that are set differently in inline formulas."""
logger = logging.getLogger(__name__)


class Renderer(Protocol):
    """Renders formulas."""

    name: str
    """Program or package that renders."""

    def render(self, formulas: Sequence[str]) -> list[Grey | None]:
        """Render displayed formulas.

        Args:
            formulas: LaTeX; preferably many at a time, since every call starts TeX.

        Returns:
            For each an image (H, W), uint8, black on white, cropped to its ink; None where it does
            not parse, is blank, or cannot be rendered.
        """
        ...

    def looks(self, formulas: Sequence[str]) -> list[list[Grey]]:
        """Render every variant of each formula that its normal form allows, without duplicates.

        Returns:
            For each its images as made by ``render``, first the display style with fixed
            delimiters; none where ``render`` returns None.
        """
        ...


def open_renderer() -> Renderer | None:
    """Return the best available renderer: TeX, ziamath, or None."""
    from ocrtool.rendering.tex import have_tex  # loaded only when formulas are rendered

    if have_tex():
        return TexRenderer()
    return ZiamathRenderer() if find_spec("ziamath") else None


class TexRenderer:
    """Renders with TeX in Computer Modern, all formulas of a call in one run."""

    name = "TeX"

    def render(self, formulas: Sequence[str]) -> list[Grey | None]:
        """Render formulas; see ``Renderer``.

        Raises:
            MissingDependencyError: TeX is not installed.
        """
        tokens = [_normal(formula) for formula in formulas]
        texts = [[(detokenize(one), False)] if one else [] for one in tokens]
        return [drawn[0] if drawn else None for drawn in _by_tex(texts)]

    def looks(self, formulas: Sequence[str]) -> list[list[Grey]]:
        """Render every variant; see ``Renderer``.

        Raises:
            MissingDependencyError: TeX is not installed.
        """
        return _by_tex([_variants(_normal(formula)) for formula in formulas])


class ZiamathRenderer:
    """Renders MathML with the package ziamath in STIX Two; one variant per formula."""

    name = "ziamath"

    def render(self, formulas: Sequence[str]) -> list[Grey | None]:
        """Render formulas; see ``Renderer``.

        Raises:
            MissingDependencyError: The extra ``formulas`` is not installed.
        """
        texts = [detokenize(_normal(formula)) for formula in formulas]
        drawn = {text: _by_ziamath(text) for text in dict.fromkeys(texts)}
        return [drawn[text] for text in texts]

    def looks(self, formulas: Sequence[str]) -> list[list[Grey]]:
        """Render formulas; see ``Renderer``.

        Raises:
            MissingDependencyError: The extra ``formulas`` is not installed.
        """
        return [[] if drawn is None else [drawn] for drawn in self.render(formulas)]


def _normal(formula: str) -> list[str]:
    """Return the tokens of the normal form, or none where there is no normal form."""
    try:
        return normal(formula)
    except LatexError:
        return []


def _variants(tokens: Sequence[str]) -> list[tuple[str, bool]]:
    """Return the LaTeX of each variant, and whether it is set inline."""
    if not tokens:
        return []
    plain, grown = (
        detokenize(tokens),
        detokenize(with_automatic_delimiters(tokens, everywhere=True)),
    )
    texts = [plain] if plain == grown else [plain, grown]
    inline = (False, True) if _STYLE_DEPENDENT & set(tokens) else (False,)
    return [(text, small) for small in inline for text in texts]


def _by_tex(texts: Sequence[Sequence[tuple[str, bool]]]) -> list[list[Grey]]:
    """Render all in one run; identical images of a formula are returned once."""
    from ocrtool.rendering.tex import TEX_POINTS_PER_INCH, TexStyle, draw_formulas

    asked = sorted({text for group in texts for text in group})
    style = TexStyle(points=10, dpi=EM * TEX_POINTS_PER_INCH / 10)
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
    """Render one formula; ziamath reports unknown input by arbitrary exceptions."""
    from ocrtool.pdf import draw_svg

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it locates its fonts by a deprecated API
        try:
            from ziafont.config import config
            from ziamath.zmath import Math
        except ImportError:
            raise MissingDependencyError(
                "formulas are drawn by TeX or ziamath", install_command("formulas")
            ) from None
        if not latex:
            return None
        config.svg2 = False  # MuPDF does not support SVG <use> references
        try:
            return draw_svg(Math(to_mathml(latex), size=EM).svg())
        except MissingDependencyError:
            raise
        except Exception as error:
            logger.info("cannot be drawn (%s): %s", error, latex)
            return None
