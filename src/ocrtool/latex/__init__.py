"""LaTeX formulas: tokenisation, normal form, validation and repair."""

from ocrtool.latex.normal import is_valid, normal, repair
from ocrtool.latex.tokens import LatexError, detokenize, tokenize

__all__ = [
    "LatexError",
    "detokenize",
    "is_valid",
    "normal",
    "repair",
    "tokenize",
]
