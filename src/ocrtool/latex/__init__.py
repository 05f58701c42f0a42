"""LaTeX of formulas: its tokens, its one normal form, and what to do with what does not parse."""

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
