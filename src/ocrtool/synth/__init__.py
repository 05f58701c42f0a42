"""The data engine: labelled text drawn from fonts and texts, seeded and endless."""

from ocrtool.synth.alphabet import ALPHABET, canonical
from ocrtool.synth.fonts import bundled_fonts, find_fonts
from ocrtool.synth.lines import STYLES, Line, LineSource, Style

__all__ = [
    "ALPHABET",
    "STYLES",
    "Line",
    "LineSource",
    "Style",
    "bundled_fonts",
    "canonical",
    "find_fonts",
]
