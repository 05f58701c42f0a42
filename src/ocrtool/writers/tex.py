"""LaTeX: a document that compiles by itself, with pdfLaTeX, XeLaTeX or LuaLaTeX."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ocrtool.document.tree import Cell
from ocrtool.options import ImageChoice, WriteOptions
from ocrtool.writers.flow import FlowPart
from ocrtool.writers.flow_writer import FlowForm, image_source
from ocrtool.writers.formats import PageInput
from ocrtool.writers.list_items import Item, items_of
from ocrtool.writers.styled_text import Attribute, Inline, TextStyle
from ocrtool.writers.tables import runs_of_cell

SECTIONS = ("section", "subsection", "subsubsection", "paragraph", "subparagraph")
"""Headings by level; deeper ones are the last."""
DEEPEST = 4
"""Lists that may be in one another."""
SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "#": r"\#", "$": r"\$", "%": r"\%",
    "&": r"\&", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}", "'": r"{'}", "-": "-", "\u00ad": r"\-", "\u00a0": "~",
    "\u2212": r"\ensuremath{-}",
}  # fmt: skip
"""Characters that mean something to LaTeX, and how they are shown."""
SIGNS = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ζ": "zeta",
    "η": "eta", "θ": "theta", "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu",
    "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "υ": "upsilon", "φ": "varphi",
    "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda",
    "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Υ": "Upsilon", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
    "≤": "leq", "≥": "geq", "≠": "neq", "≈": "approx", "≡": "equiv", "∼": "sim", "∝": "propto",
    "∞": "infty", "∂": "partial", "∇": "nabla", "∑": "sum", "∏": "prod", "∫": "int", "√": "surd",
    "∈": "in", "∉": "notin", "⊂": "subset", "⊆": "subseteq", "∪": "cup", "∩": "cap",
    "∅": "emptyset", "∀": "forall", "∃": "exists", "→": "rightarrow", "←": "leftarrow",
    "↔": "leftrightarrow", "⇒": "Rightarrow", "⇐": "Leftarrow", "⇔": "Leftrightarrow",
    "↦": "mapsto", "∧": "wedge", "∨": "vee", "⊕": "oplus", "⊗": "otimes", "⊥": "perp",
    "∥": "parallel", "∠": "angle", "≪": "ll", "≫": "gg", "⋅": "cdot", "∘": "circ", "×": "times",
    "÷": "div", "±": "pm", "∓": "mp", "ϵ": "epsilon", "ϑ": "vartheta", "ϕ": "phi", "ς": "varsigma",
    "ℓ": "ell", "ℝ": "mathbb{R}", "ℕ": "mathbb{N}", "ℤ": "mathbb{Z}", "′": "prime", "⟨": "langle",
    "⟩": "rangle", "□": "square", "■": "blacksquare", "✓": "checkmark", "★": "bigstar",
    "●": "bullet", "○": "circ",
}  # fmt: skip
"""Signs that pdfLaTeX knows in formulas only, by the names that they have there."""
HEAD = r"""\documentclass{article}
\usepackage{iftex}
\ifPDFTeX
  \usepackage[T1]{fontenc}
  \usepackage[utf8]{inputenc}
  \usepackage{textcomp}
  % Characters that pdfLaTeX's fonts lack become question marks; XeLaTeX and LuaLaTeX have more.
  \makeatletter
  \def\UTFviii@undefined@err#1{?}
  \makeatother
\else
  \usepackage{fontspec}
\fi
\usepackage{amsmath,amssymb,graphicx,array,longtable}
% Without this package merged cells stand in their first row.
\IfFileExists{multirow.sty}{\usepackage{multirow}}{\newcommand{\multirow}[3]{##3}}
% Without this package struck-out words are not marked.
\IfFileExists{ulem.sty}{\usepackage[normalem]{ulem}}{\newcommand{\sout}[1]{#1}}
\usepackage[hidelinks]{hyperref}
\setcounter{secnumdepth}{0}
\setlength{\parindent}{0pt}
\setlength{\parskip}{0.6em plus 0.2em}
\raggedbottom
\sloppy
"""

_SPECIAL = re.compile("[" + re.escape("".join({*SPECIAL, *SIGNS} - {"-"})) + "]|-(?=-)")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def escape(text: str) -> str:
    """Return text so that LaTeX shows it as it is."""
    return _SPECIAL.sub(lambda found: _shown(found.group()), _CONTROL.sub("", text))


def _shown(character: str) -> str:
    if character == "-":  # two are a dash
        return "-{}"
    name = SIGNS.get(character)
    return SPECIAL[character] if name is None else rf"\ensuremath{{\{name}}}"


class _Inline(Inline):
    """LaTeX within paragraphs."""

    def text(self, text: str) -> str:
        """Return plain text so that it is shown as it is."""
        return escape(text)

    def wrap(self, name: Attribute, style: TextStyle, inner: str, before: str, after: str) -> str:
        """Return what is set in a way; see :meth:`Inline.wrap`."""
        if name == "link":
            return rf"\href{{{_address(style.link)}}}{{{inner}}}"
        if name == "script":
            return rf"\text{'super' if style.script > 0 else 'sub'}script{{{inner}}}"
        if name == "mono":
            return rf"\texttt{{{self.text(inner)}}}"
        if name == "struck":
            return rf"\sout{{{inner}}}"
        return rf"\text{'bf' if name == 'bold' else 'it'}{{{inner}}}"


INLINE = _Inline()


def _address(target: str) -> str:
    target = re.sub(r"[{}\\^\s]", lambda found: f"%{ord(found.group()):02X}", target)
    return re.sub(r"[%#&_~]", r"\\\g<0>", target)


def _head(sheet: PageInput, options: WriteOptions) -> str:
    facts = "".join(
        f"pdf{name}={{{escape(sheet.metadata[name])}}},"
        for name in ("title", "author", "subject", "keywords")
        if sheet.metadata.get(name)
    )
    return HEAD + (rf"\hypersetup{{{facts}}}" + "\n" if facts else "") + "\n\\begin{document}\n\n"


def tex_part(part: FlowPart, options: WriteOptions) -> str:
    """Return a part; nothing where there is nothing to show."""
    return FORMS.get(part.kind, _paragraph)(part, options)


def _paragraph(part: FlowPart, options: WriteOptions) -> str:
    # A bracket at the start would be taken for an option of what is before it.
    text = INLINE.write(part.paragraph)
    return "{}" + text if text.startswith(("[", "*")) else text


def _quote(part: FlowPart, options: WriteOptions) -> str:
    text = _paragraph(part, options)
    return f"\\begin{{quote}}\n{text}\n\\end{{quote}}" if text else ""


def _heading(part: FlowPart, options: WriteOptions) -> str:
    text = INLINE.write(part.paragraph.without("bold", "link"))
    section = SECTIONS[min(max(1, part.level), len(SECTIONS)) - 1]
    return rf"\{section}{{{text}}}" if text else ""


def _caption(part: FlowPart, options: WriteOptions) -> str:
    text = INLINE.write(part.paragraph)
    return rf"{{\small\itshape {text}\par}}" if text else ""


def _footnote(part: FlowPart, options: WriteOptions) -> str:
    text = INLINE.write(part.paragraph)
    return rf"{{\footnotesize {text}\par}}" if text else ""


def _list(part: FlowPart, options: WriteOptions) -> str:
    return "\n".join(_items(items_of(part.runs.rows())))


def _items(items: Sequence[Item], depth: int = 1) -> list[str]:
    """Return items with those in them; all carry their own sign, so one kind of list does."""
    lines = [r"\begin{itemize}"]
    i = 0
    while i < len(items):
        item = items[i]
        inner = i + 1
        while inner < len(items) and items[inner].depth > item.depth:
            inner += 1
        text = INLINE.write(item.text)
        sign = "" if item.bullet else "[]"
        if item.number is not None:
            sign = f"[{item.number}.]"
        guard = "{}" if text.startswith("[") and not sign else ""
        lines.append(rf"\item{sign} {guard}{text}".rstrip())
        if inner > i + 1:
            nested = items[i + 1 : inner]
            if depth < DEEPEST:
                lines += _items(nested, depth + 1)
            else:
                lines += [rf"\item {{}}{INLINE.write(one.text)}" for one in nested]
        i = inner
    return [*lines, r"\end{itemize}"]


def _table(part: FlowPart, options: WriteOptions) -> str:
    """Return a table that may go on over pages, with its merged cells."""
    cells = part.cells
    if not cells:
        return _verbatim(part, options)
    height = max(cell.row + cell.row_span for cell in cells)
    width = max(cell.column + cell.column_span for cell in cells)
    starts = {(cell.row, cell.column): cell for cell in cells}
    # Columns share the width of the text, so that long cells are broken.
    measure = rf"{1 / width:.3f}\dimexpr\linewidth-{2 * width}\tabcolsep\relax"
    column = rf">{{\raggedright\arraybackslash}}p{{{measure}}}"
    lines = [rf"\begin{{longtable}}{{*{{{width}}}{{{column}}}}}", r"\hline"]
    covered: dict[tuple[int, int], int] = {}
    for i in range(height):
        row: list[str] = []
        k = 0
        while k < width:
            cell = starts.get((i, k))
            if cell is None or (i, k) in covered:
                across = covered.get((i, k), 1)
                row.append(rf"\multicolumn{{{across}}}{{l}}{{}}" if across > 1 else "")
                k += across
                continue
            row.append(_cell(cell, width, options))
            for below in range(i + 1, i + cell.row_span):
                covered[below, k] = cell.column_span
            k += cell.column_span
        lines.append(" & ".join(row) + r" \\")
        if (
            all(cell.header for cell in cells if cell.row == i)
            and not any(cell.header and cell.row == i + 1 for cell in cells)
            and any(cell.row == i for cell in cells)
        ):
            lines.append(r"\hline")
    return "\n".join([*lines, r"\hline", r"\end{longtable}"])


def _cell(cell: Cell, width: int, options: WriteOptions) -> str:
    text = INLINE.write(runs_of_cell(cell, options.min_confidence))
    if cell.header and text:
        text = rf"\textbf{{{text}}}"
    if cell.row_span > 1:
        text = rf"\multirow{{{cell.row_span}}}{{=}}{{{text}}}"
    if cell.column_span > 1:
        share = 0.96 * cell.column_span / width
        text = rf"\multicolumn{{{cell.column_span}}}{{p{{{share:.3f}\linewidth}}}}{{{text}}}"
    return "{}" + text if text.startswith(("[", "*")) else text


def _verbatim(part: FlowPart, options: WriteOptions) -> str:
    text = part.runs.text.rstrip()
    if not text:
        return ""
    if text.isascii() and r"\end{verbatim}" not in text:
        return f"\\begin{{verbatim}}\n{_CONTROL.sub('', text)}\n\\end{{verbatim}}"
    rows = (escape(row).replace("  ", "~ ").replace("  ", "~ ") for row in text.splitlines())
    lines = [f"~{row[1:]}" if row.startswith(" ") else row for row in rows]
    return "{\\ttfamily\\obeylines%\n" + "\n".join(line or "~" for line in lines) + "\n}"


def _formula(part: FlowPart, options: WriteOptions) -> str:
    if part.latex.strip():
        latex = re.sub(r"\n\s*\n", "\n", part.latex.strip())
        return f"\\[\n{latex}\n\\]"
    text = INLINE.write(part.paragraph)
    return f"% formula\n\\begin{{center}}\n{text}\n\\end{{center}}" if text else ""


def _figure(part: FlowPart, options: WriteOptions) -> str:
    # LaTeX has no pictures within its text, so those that are to be embedded are left out.
    source = image_source(part, options) if options.images is ImageChoice.REFS else ""
    if not source:
        text = _paragraph(part, options)
        return f"% figure\n{text}" if text else "% figure"
    said = " ".join(part.runs.text.split())
    inside = f"\n% text in the figure: {said}" if said else ""
    return (
        "\\begin{center}\n\\includegraphics[width=\\linewidth,height=0.8\\textheight,"
        f"keepaspectratio]{{\\detokenize{{{source}}}}}\n\\end{{center}}{inside}"
    )


def _comment(name: str, text: str) -> str:
    return f"% {name}: {' '.join(text.split())}"


def _error(part: FlowPart, options: WriteOptions) -> str:
    return rf"\textbf{{[Page {part.number}: unreadable: {escape(part.runs.text)}]}}"


FORMS: dict[str, Callable[[FlowPart, WriteOptions], str]] = {
    "heading": _heading,
    "quote": _quote,
    "list": _list,
    "table": _table,
    "formula": _formula,
    "figure": _figure,
    "caption": _caption,
    "footnote": _footnote,
    "header": lambda part, options: _comment("header", part.runs.text),
    "footer": lambda part, options: _comment("footer", part.runs.text),
    "code": _verbatim,
    "page": lambda part, options: f"% page {part.number}",
    "error": _error,
}
"""How each kind of part is written; the others are paragraphs."""

TEX = FlowForm(tex_part, _head, "\n\\end{document}\n")
