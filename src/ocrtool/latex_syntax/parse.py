"""Parser of formulas: tokens to a row of nodes (``tree``), strict or with repairs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from ocrtool.latex_syntax.symbols import (
    ACCENT_NAMES,
    ACCENTS,
    BINARY,
    BRACKETS,
    CHARACTERS,
    DELIMITERS,
    ENVIRONMENTS,
    FONT_COMMANDS,
    FONT_SWITCHES,
    HIDDEN,
    IGNORED,
    LARGE,
    LAST_ARGUMENT,
    LENGTH_SPACES,
    LONG_ARROWS,
    MULTIPLE_SYMBOLS,
    NAMED,
    OPERATORS,
    RELATIONS,
    SIZE_COMMANDS,
    SYMBOLS,
    SYNONYMS,
    TEXT_ACCENTS,
    TEXT_SYMBOLS,
    UNICODE,
)
from ocrtool.latex_syntax.tokens import TEXT_COMMANDS, LatexError
from ocrtool.latex_syntax.tree import (
    DIGITS,
    LETTERS,
    Atop,
    Call,
    Leaf,
    Row,
    Scripts,
    Words,
    accent,
    column_letters,
    fenced,
    flush_words,
    grid,
    infix_node,
    nested,
    only_primes,
    pruned,
    stacked,
    symbol_font,
)

MAX_GROUP_DEPTH = 40
"""Maximum nesting depth of groups."""

_SCRIPT_SIGNS = {"_": "_", "^": "^", "'": "'", r"\sb": "_", r"\sp": "^",
                 r"\degree": "°", r"\textdegree": "°", "°": "°"}  # fmt: skip
_INFIX = frozenset((r"\over", r"\atop", r"\choose", r"\brace", r"\brack"))
_CLOSERS = frozenset(("}", "&", r"\\", r"\cr", r"\right", r"\egroup"))
_RULES = frozenset((r"\hline", r"\hdashline"))
_PLAIN_GRIDS = {r"\substack": "substack", r"\matrix": "matrix", r"\pmatrix": "pmatrix",
                r"\cases": "cases"}  # fmt: skip
"""Commands with rows of cells in braces; all but the first are plain TeX."""
_LENGTH = re.compile(r"[-+]?[\d.,]*(?:pt|em|ex|mm|cm|in|mu|pc|bp|sp|dd|cc)?\*?")
_UNITS = frozenset(("pt", "em", "ex", "mm", "cm", "in", "mu", "pc", "bp", "sp", "dd", "cc"))
_TEXT_FONTS = {r"\textbf": "bf", r"\textit": "it", r"\emph": "it", r"\textsl": "it",
               r"\textsf": "sf", r"\texttt": "tt"}  # fmt: skip
_TEXT_SWITCHES = {r"\rm": "rm", r"\bf": "bf", r"\it": "it", r"\em": "it", r"\sl": "it",
                  r"\sf": "sf", r"\tt": "tt", r"\normalfont": "rm", r"\bfseries": "bf",
                  r"\itshape": "it", r"\rmfamily": "rm", r"\ttfamily": "tt",
                  r"\sffamily": "sf"}  # fmt: skip
_CENTRED_DOTS_BEFORE = (
    BINARY
    | RELATIONS
    | LARGE
    | {name for name, other in SYNONYMS.items() if other in BINARY | RELATIONS}
    | frozenset(("+", "=", "<", ">", "-", "*", ":", r"\not", r"\mid", r"\parallel", r"\iff"))
    | frozenset((r"\implies", r"\coloneqq", r"\ast"))
)
"""Tokens before which three dots are vertically centred."""


def parse(tokens: Sequence[str], lenient: bool = False) -> Row:
    """Parse tokens as a formula.

    Args:
        tokens: Tokens from ``tokenize``.
        lenient: Close open groups and drop invalid tokens instead of failing.

    Returns:
        The formula's row.

    Raises:
        LatexError: It does not parse, or uses an unknown command. In lenient mode only groups
            nested too deeply raise it.
    """
    parser = _Parser(tokens, lenient)
    items = parser.row("")
    while parser.token:  # an unmatched closing token
        if parser.token not in (r"\\", r"\cr"):
            parser.fail(f"unexpected {parser.token}")
        parser.advance()
        items += parser.row("")
    return items


class _Parser:
    """Recursive descent parser; ``token`` is the next token, empty at the end."""

    def __init__(self, tokens: Sequence[str], lenient: bool) -> None:
        self.tokens = tokens
        self.at = 0
        self.token = tokens[0] if tokens else ""
        self.lenient = lenient
        self.depth = 0
        self.empty = False  # whether the last item was a group without visible content

    def fail(self, reason: str) -> None:
        if not self.lenient:
            raise LatexError(reason)

    def advance(self) -> str:
        """Step over the next token and return it."""
        token = self.token
        self.at += 1
        self.token = self.tokens[self.at] if self.at < len(self.tokens) else ""
        return token

    def skip_spaces(self) -> None:
        while self.token in IGNORED:
            self.advance()

    # --- rows ---------------------------------------------------------------------------------

    def row(self, font: str, closer: str = "", in_grid: bool = False) -> Row:
        """Parse up to a closing token or ``closer``, which is not consumed."""
        self.depth += 1
        if self.depth > MAX_GROUP_DEPTH:
            raise LatexError("groups are nested too deeply")
        items: Row = []
        over: Row | None = None
        infix = ""
        script: Scripts | None = None  # the node whose scripts are being parsed
        while token := self.token:
            if token in LETTERS or token in DIGITS:
                items.append(Leaf(token, font) if font else Leaf(token))
                self.advance()
                script = None
                self.empty = False
                continue
            if token in _SCRIPT_SIGNS:
                if script is None:
                    base = items.pop() if items and not self.empty else None
                    script = Scripts(base)
                    items.append(script)
                self.scripts(script, font)
                self.empty = False
                continue
            if token == closer:
                break
            if token in _CLOSERS or token.startswith(r"\end{"):
                if token == r"\\" and not in_grid:
                    self.advance()
                    continue
                break
            if token in IGNORED:
                self.advance()
                continue
            script = None
            self.empty = False
            if token in FONT_SWITCHES:
                font = FONT_SWITCHES[token]
                self.advance()
            elif token in _INFIX:
                if infix:
                    self.fail("two fractions in one group")
                    self.advance()
                    continue
                infix = self.advance()
                over, items = items, []
            else:
                items += self.nucleus(font)
        if over is not None:
            items = infix_node(infix, over, pruned(items))
        self.depth -= 1
        return pruned(items)

    def scripts(self, node: Scripts, font: str) -> None:
        """Parse one script, or a run of only_primes, into a node."""
        kind = _SCRIPT_SIGNS[self.advance()]
        if kind == "°":
            node.sup = [*(node.sup or []), Leaf(r"\circ")]
            return
        if kind == "'":
            if node.sup is not None:
                self.fail("two superscripts")
            dashes: Row = [Leaf(r"\prime")]
            while self.token == "'":
                self.advance()
                dashes.append(Leaf(r"\prime"))
            self.skip_spaces()
            if self.token in ("^", r"\sp"):
                self.advance()
                dashes += self.argument(font)
            node.sup = (node.sup or []) + dashes
            return
        row = self.argument(font)
        if kind == "^" and len(row) == 1 and isinstance(row[0], Scripts):
            inner = row[0]
            if inner.base is None and inner.sub is None and inner.sup and only_primes(inner.sup):
                row = inner.sup  # f^{'} is f'
        present = node.sub if kind == "_" else node.sup
        if present is not None:
            self.fail("two scripts in one place")
            row = present + row
        if kind == "_":
            node.sub = row
        else:
            node.sup = row

    def argument(self, font: str) -> Row:
        """Parse the argument of a command: a group or a single symbol."""
        self.skip_spaces()
        token = self.token
        if not token or token in _CLOSERS or token.startswith(r"\end{") or token in _SCRIPT_SIGNS:
            if token == "'":  # x^' is an empty script with a prime
                self.advance()
                return [Leaf(r"\prime")]
            self.fail("an argument is missing")
            return []
        if token in LETTERS or token in DIGITS:
            self.advance()
            return [Leaf(token, font)]
        row = self.nucleus(font)
        self.empty = False
        return pruned(row)

    def group(self, font: str) -> Row:
        """Parse ``{...}``; the brace is the next token."""
        self.advance()
        row = self.row(font)
        while self.token and self.token not in ("}", r"\egroup"):
            self.fail(f"unexpected {self.token} in a group")
            if not self.lenient or self.token.startswith((r"\end{", r"\right")):
                break  # closed by the end of an outer environment
            self.advance()
            row += self.row(font)
        if self.token in ("}", r"\egroup"):
            self.advance()
        else:
            self.fail("a group is not closed")
        return row

    def option(self, font: str) -> Row | None:
        """Parse ``[...]`` if present."""
        if self.token != "[":
            return None
        self.advance()
        row = self.row(font, "]")
        if self.token == "]":
            self.advance()
        else:
            self.fail("an option is not closed")
        return row

    def raw(self) -> str:
        """Return a group or a token verbatim."""
        if self.token != "{":
            return self.advance() if self.token and self.token not in _CLOSERS else ""
        self.advance()
        parts: list[str] = []
        depth = 1
        while self.token:
            token = self.advance()
            depth += (token == "{") - (token == "}")
            if not depth:
                return "".join(parts)
            parts.append(token)
        self.fail("a group is not closed")
        return "".join(parts)

    # --- items of a row -----------------------------------------------------------------------

    def nucleus(self, font: str) -> Row:
        """Parse one item without its scripts: a symbol, a group, or a command with arguments."""
        token = self.token
        if token in ("{", r"\bgroup"):
            row = self.group(font)
            self.empty = not row
            return row
        if token in CHARACTERS:
            self.advance()
            return [Leaf(token, font if token in LETTERS or token in DIGITS else "")]
        token = SYNONYMS.get(token, token)
        if token in CHARACTERS:
            self.advance()
            return [Leaf(token)]
        if token in SYMBOLS:
            return self.symbol(token, font)
        self.advance()
        if token == r"\dots":
            self.skip_spaces()
            return [Leaf(r"\cdots" if self.token in _CENTRED_DOTS_BEFORE else r"\ldots")]
        if token in FONT_COMMANDS:
            return self.argument(nested(font, FONT_COMMANDS[token]))
        if token in (r"\frac", r"\dfrac", r"\tfrac", r"\cfrac"):
            if token == r"\cfrac":
                self.option(font)
            return [Call(r"\frac", [self.argument(font), self.argument(font)])]
        if token in (r"\binom", r"\dbinom", r"\tbinom"):
            return [Call(r"\binom", [self.argument(font), self.argument(font)])]
        if token == r"\left":
            return self.fence(font)
        if token in SIZE_COMMANDS or token == r"\middle":
            delimiter = self.delimiter()
            return [] if delimiter == "." else [Leaf(delimiter)]
        if token in TEXT_COMMANDS and token != r"\fbox":
            return self.text(token)
        if token in ACCENTS or token in ACCENT_NAMES:
            return [accent(ACCENT_NAMES.get(token, token), self.argument(font))]
        if token == r"\sqrt":
            self.skip_spaces()
            option = self.option(font)
            return [Call(r"\sqrt", [self.argument(font)], option or None)]
        if token.startswith(r"\operatorname"):
            return self.operator("*" if token != r"\operatorname" else "")
        if token in OPERATORS:
            name, letters = OPERATORS[token]
            return [Call(name, [[Leaf(letter) for letter in letters]])]
        if token.startswith(r"\begin{"):
            return self.environment(token[7:-1], font)
        if token == r"\mathop":
            return self.mathop(font)
        if token in (r"\overset", r"\underset", r"\stackrel"):
            script, base = self.argument(font), self.argument(font)
            return [stacked(token, script, base)]
        if token in MULTIPLE_SYMBOLS:
            return [Leaf(sign, letters or "") for sign, letters in MULTIPLE_SYMBOLS[token]]
        if token in BRACKETS:
            left, right = BRACKETS[token]
            return [Leaf(left), *self.argument(font), Leaf(right)]
        return self.rare_command(token, font)

    def rare_command(self, token: str, font: str) -> Row:
        """Parse the rest of a rare command; its name is consumed already."""
        if token in LONG_ARROWS:
            self.skip_spaces()
            option = self.option(font)
            return [Call(token, [self.argument(font)], option or None)]
        if token in _PLAIN_GRIDS and self.token == "{":
            return self.cells(_PLAIN_GRIDS[token], "", font)
        if token == r"\pmod":
            return [Call(r"\pmod", [self.argument(font)])]
        if token in LAST_ARGUMENT:
            for _ in range(LAST_ARGUMENT[token]):
                self.raw()
            if token == r"\smash":
                self.option(font)
            if token == r"\raisebox":
                return self.text(token)
            return self.argument(font)
        if token in HIDDEN:
            if self.token == "*":
                self.advance()
            if token == r"\rule":
                self.option(font)
            for _ in range(HIDDEN[token]):
                self.raw()
            self.empty = token.endswith("phantom")
            return []
        if token in LENGTH_SPACES:
            self.length()
            return []
        if token == r"\genfrac":
            return self.genfrac(font)
        if token == r"\root":
            return self.root(font)
        if token in (r"\AA", r"\aa", r"\ae", r"\AE", r"\o", r"\O", r"\ss", r"\oe", r"\OE"):
            return [Words(r"\text", [token])]
        if token == r"\mathchoice":
            rows = [self.argument(font) for _ in range(4)]
            return rows[0]
        if token in UNICODE:
            sign = UNICODE[token]
            return [Leaf(sign, symbol_font(sign, font))]
        self.fail(f"unknown command {token}")
        return []

    def symbol(self, token: str, font: str) -> Row:
        """Parse a command that is a single symbol."""
        self.advance()
        if token == r"\not":
            self.skip_spaces()
            follows = SYNONYMS.get(self.token, self.token)
            if follows in ("=", r"\in"):
                self.advance()
                return [Leaf(r"\neq" if follows == "=" else r"\notin")]
        return [Leaf(token, symbol_font(token, font) if font else "")]

    def delimiter(self) -> str:
        r"""Parse the delimiter after ``\left``, ``\right`` or a size command."""
        self.skip_spaces()
        name = DELIMITERS.get(self.token)
        if name is None:
            self.fail(f"not a delimiter: {self.token}")
            return "."
        self.advance()
        return name

    def fence(self, font: str) -> Row:
        r"""Parse the rest of ``\left``."""
        left = self.delimiter()
        row = self.row(font)
        while self.token and self.token != r"\right":
            self.fail(f"unexpected {self.token} after \\left")
            if not self.lenient or self.token.startswith(r"\end{") or self.token == "}":
                break
            self.advance()
            row += self.row(font)
        right = "."
        if self.token == r"\right":
            self.advance()
            right = self.delimiter()
        else:
            self.fail(r"\left without \right")
        self.empty = False
        return fenced(left, row, right)

    def operator(self, star: str) -> Row:
        r"""Parse the rest of ``\operatorname``."""
        if self.token == "*":
            star = self.advance()
        row = self.argument("")
        letters = [node.token for node in row if isinstance(node, Leaf)]
        if not letters or len(letters) != len(row) or not all(len(x) == 1 for x in letters):
            return row
        if "\\" + "".join(letters) in NAMED:
            return [Leaf("\\" + "".join(letters))]
        return [Call(r"\operatorname" + star, [[Leaf(letter) for letter in letters]])]

    def mathop(self, font: str) -> Row:
        r"""Parse the rest of ``\mathop``; scripts become limits, unless ``\nolimits`` follows."""
        base = self.argument(font)
        limits = True
        while self.token in IGNORED:
            word = self.advance()
            if word in (r"\limits", r"\nolimits"):
                limits = word == r"\limits"
        if len(base) == 1 and isinstance(base[0], Scripts):  # a prime on a sum, then its limits
            limits = limits and base[0].base is None
        if not limits or self.token not in _SCRIPT_SIGNS or not base:
            return base
        scripts = Scripts(None)
        while self.token in _SCRIPT_SIGNS:
            self.scripts(scripts, font)
            self.skip_spaces()
        node: Row = base
        if scripts.sub:
            node = [stacked(r"\underset", scripts.sub, node)]
        if scripts.sup:
            node = [stacked(r"\overset", scripts.sup, node)]
        return node

    def genfrac(self, font: str) -> Row:
        left, right = self.raw() or ".", self.raw() or "."
        bar, _ = self.raw(), self.raw()
        over, under = self.argument(font), self.argument(font)
        left, right = DELIMITERS.get(left, "."), DELIMITERS.get(right, ".")
        if re.fullmatch(r"0+(\.0*)?[a-z]*", bar):
            if (left, right) == ("(", ")"):
                return [Call(r"\binom", [over, under])]
            return fenced(left, [Atop(over, under)], right)
        return fenced(left, [Call(r"\frac", [over, under])], right)

    def root(self, font: str) -> Row:
        r"""Parse the rest of ``\root 3 \of x``."""
        index: Row = []
        while self.token and self.token != r"\of":
            if self.token in _CLOSERS:
                self.fail(r"\root without \of")
                return index
            index += self.nucleus(font)
        self.advance()
        return [Call(r"\sqrt", [self.argument(font)], index or None)]

    def length(self) -> None:
        """Skip a length such as ``-3.5 mu plus 1 fill``."""
        while self.token and (self.token in "+-.," or self.token in DIGITS):
            self.advance()
        if self.token and self.at + 1 < len(self.tokens):
            unit = self.token + self.tokens[self.at + 1]
            if unit in _UNITS:
                self.advance()
                self.advance()

    # --- grids --------------------------------------------------------------------------------

    def environment(self, name: str, font: str) -> Row:
        """Parse the rest of an environment; its beginning is consumed already."""
        kind = ENVIRONMENTS.get(name)
        if kind is None:
            self.fail(f"unknown environment {name}")
            return []
        columns = ""
        if name in ("array", "darray", "subarray"):
            columns = column_letters(self.raw())
        elif name.startswith(("alignat", "alignedat")):
            self.raw()
        elif self.token == "[" and (name.endswith("*") or name.endswith("ed")):
            self.raw_option()
        row = self.cells(kind, columns, font) if kind else self.row(font)
        if self.token == rf"\end{{{name}}}":
            self.advance()
        else:
            self.fail(f"environment {name} is not closed")
            if self.token.startswith(r"\end{"):
                self.advance()
        self.empty = False
        return row

    def raw_option(self) -> None:
        """Skip ``[...]``."""
        while self.token and self.advance() != "]":
            pass

    def cells(self, kind: str, columns: str, font: str) -> Row:
        """Parse rows of cells up to the end of an environment, or of rows in braces."""
        braces = self.token == "{" and self.tokens[self.at - 1] in _PLAIN_GRIDS
        if braces:
            self.advance()
        rows: list[list[Row]] = []
        rules = [0]
        cells: list[Row] = []
        while True:
            self.skip_spaces()
            while not cells and self.token in _RULES:
                rules[-1] += 1
                self.advance()
                self.skip_spaces()
            cells.append(self.row(font, in_grid=True))
            token = self.token
            if token == "&":
                self.advance()
            elif token in (r"\\", r"\cr"):
                self.advance()
                self.row_gap()
                rows.append(cells)
                cells = []
                rules.append(0)
            elif (self.lenient and token == "}" and not braces and not self.depth) or (
                self.lenient and token == r"\right" and not self.depth
            ):
                self.advance()
            else:
                break
        if braces:
            if self.token == "}":
                self.advance()
            else:
                self.fail("rows in braces are not closed")
        if len(cells) > 1 or cells[0]:
            rows.append(cells)
            rules.append(0)
        return grid(kind, columns, rows, rules)

    def row_gap(self) -> None:
        r"""Skip the star and the length that may follow ``\\``."""
        if self.token == "*":
            self.advance()
        if self.token == "[":
            end = self.at + 1
            while end < len(self.tokens) and self.tokens[end] != "]" and end < self.at + 12:
                end += 1
            if _LENGTH.fullmatch("".join(self.tokens[self.at + 1 : end]).replace("~", "")):
                self.raw_option()

    # --- text ---------------------------------------------------------------------------------

    def text(self, command: str) -> Row:
        """Parse the rest of a text command: text, and formulas between dollar signs."""
        if self.token != "{":
            return self.argument(_TEXT_FONTS.get(command, "rm").replace("it", ""))
        self.advance()
        row: Row = []
        words: list[str] = []
        self._text(row, words, _TEXT_FONTS.get(command, "rm"))
        return row

    def _text(self, row: Row, words: list[str], font: str) -> None:
        while self.token and self.token != "}":
            token = self.advance()
            if token == "{":
                self._text(row, words, font)
            elif token == "$":
                flush_words(row, words, font)
                row += self.row("", "$")
                if self.token == "$":
                    self.advance()
                else:
                    self.fail("a formula in text is not closed")
                    break
            elif token in _TEXT_SWITCHES:
                flush_words(row, words, font)
                font = _TEXT_SWITCHES[token]
            elif token in TEXT_COMMANDS and self.token == "{":
                flush_words(row, words, font)
                self.advance()
                inner = _TEXT_FONTS.get(token, "rm")
                self._text(row, words, inner)
            elif token in TEXT_SYMBOLS:
                words.append(TEXT_SYMBOLS[token])
            elif token in TEXT_ACCENTS:
                letter = self.raw()
                if len(letter) == 1 or letter in (r"\i", r"\j"):
                    words += [token, "{", letter, "}"]
                else:
                    self.fail("an accent in text without its letter")
            elif token in IGNORED:
                if token in ("~", r"\quad", r"\qquad", r"\;", r"\:", r"\,"):
                    words.append("~")
            elif token in HIDDEN:
                for _ in range(HIDDEN[token]):
                    self.raw()
            elif token in (r"\ensuremath",):
                flush_words(row, words, font)
                row += self.argument("")
            elif len(token) == 1 and (token in CHARACTERS or token in "'"):
                words.append(token)
            elif not token.isascii():
                words += self.accented_letter(token)
            else:
                self.fail(f"{token} in text")
        flush_words(row, words, font)
        if self.token == "}":
            self.advance()
        else:
            self.fail("text is not closed")

    def accented_letter(self, letter: str) -> list[str]:
        """Return a non-ASCII letter in text as accent command and letter."""
        if letter in "–—":
            return ["–"]
        if letter in "’‘":
            return ["'"]
        marks = {"\u0301": r"\'", "\u0300": r"\`", "\u0302": r"\^", "\u0303": r"\~",
                 "\u0308": r'\"', "\u030c": r"\v", "\u0327": r"\c", "\u030a": r"\r"}  # fmt: skip
        parts = unicodedata.normalize("NFD", letter)
        if len(parts) == 2 and parts[0] in LETTERS and parts[1] in marks:
            return [marks[parts[1]], "{", parts[0], "}"]
        self.fail(f"unknown letter {letter}")
        return []
