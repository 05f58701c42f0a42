"""Synthetic training data: labelled images of lines, pages and formulas, seeded and endless."""

from ocrtool.synth.alphabet import ALPHABET, canonical
from ocrtool.synth.fonts import bundled_fonts, find_fonts
from ocrtool.synth.lines import STYLES, DrawnLineImage, LineSource, LineStyle

__all__ = [
    "ALPHABET",
    "STYLES",
    "DrawnLineImage",
    "LineSource",
    "LineStyle",
    "bundled_fonts",
    "canonical",
    "find_fonts",
]
