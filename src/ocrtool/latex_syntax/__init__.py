"""LaTeX formulas: tokenisation, normal form, validation and repair."""

from ocrtool.latex_syntax.normal import is_valid, normal, repair
from ocrtool.latex_syntax.tokens import LatexError, detokenize, tokenize

__all__ = [
    "LatexError",
    "detokenize",
    "is_valid",
    "normal",
    "repair",
    "tokenize",
]
