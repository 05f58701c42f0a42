"""Text within paragraphs, in Markdown and in HTML."""

from __future__ import annotations

import re
from urllib.parse import quote

from ocrtool.writers.markup import escape as escape_html
from ocrtool.writers.styled_text import Attribute, Inline, TextStyle

_SIGNS = re.compile(r"[\\`*<]|(?<![^\W_])_|_(?![^\W_])|\](?=[(:])|&(?=#?\w+;)")
_LINE_START = re.compile(r"^(?:#{1,6}(?=\s|$)|>|[-+](?=\s|$)|=+$|-{3,}$|~{3,})")
_NUMBER_START = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")
_FORMULA = re.compile(r"\$\$|\$[^\s$](?:[^$]*[^\s$])?\$(?!\d)")
"""What may be taken for a formula."""
_STRUCK = re.compile(r"~(?=\S[^~]*\S~|~)|(?<=\S)~")
_ADDRESS = re.compile(r"(?:https?|ftp)://[^\s<>]+|[^\s<>@:/]+@[^\s<>@:/]+\.[a-z]+", re.IGNORECASE)


def escape_signs(text: str) -> str:
    """Return text within a line so that Markdown shows it as it is."""
    text = _SIGNS.sub(r"\\\g<0>", text.replace("\u00ad", ""))
    if "$" in text and _FORMULA.search(text):
        text = text.replace("$", r"\$")
    return _STRUCK.sub(r"\\~", text) if text.count("~") > 1 else text


def escape_start(text: str) -> str:
    """Return a line of Markdown so that its start does not make it something else."""
    return _NUMBER_START.sub(r"\1\\\2", _LINE_START.sub(r"\\\g<0>", text))


class MarkdownInline(Inline):
    """CommonMark; ways of setting that it cannot tell from their neighbours as HTML."""

    def text(self, text: str) -> str:
        """Return plain text so that it is shown as it is."""
        return escape_signs(text)

    def page(self, number: int) -> str:
        """Return a comment."""
        return f"<!-- page {number} -->"

    def wrap(self, name: Attribute, style: TextStyle, inner: str, before: str, after: str) -> str:
        """Return what is set in a way; see :meth:`Inline.wrap`."""
        if name == "mono":
            return code_span(inner)
        if name == "script":
            tag = "sup" if style.script > 0 else "sub"
            return f"<{tag}>{inner}</{tag}>"
        if name == "link":
            return _link(inner, style.link, before)
        if name == "struck":
            return f"~~{inner}~~"
        sign, tag = ("**", "strong") if name == "bold" else ("*", "em")
        if _opens(inner, before) and _closes(inner, after):
            return f"{sign}{inner}{sign}"
        return f"<{tag}>{inner}</{tag}>"


def code_span(text: str) -> str:
    """Return text as code of Markdown, within a line."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1) if longest else "`"
    space = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{fence}{space}{text}{space}{fence}"


def _opens(inner: str, before: str) -> bool:
    """Tell whether a sign of emphasis would be left-flanking, and apart from others."""
    first, last = inner.lstrip("*")[:1], before[-1:]
    return last != "*" and (first.isalnum() or not last.strip())


def _closes(inner: str, after: str) -> bool:
    return inner.rstrip("*")[-1:].isalnum() or not after.strip()


def _link(inner: str, target: str, before: str) -> str:
    plain = target.removeprefix("mailto:")
    if inner.replace("\\", "") == plain and _ADDRESS.fullmatch(plain):
        return f"<{plain}>"
    if before.endswith("!") or not _balanced(inner):  # "!" would make it a picture
        return f'<a href="{escape_html(url(target))}">{inner}</a>'
    return f"[{inner}]({url(target)})"


def _balanced(text: str) -> bool:
    """Tell whether brackets are in pairs; those in code are none, so beside code it is not sure."""
    brackets = [found for found in re.findall(r"\\.|[\[\]]", text) if len(found) == 1]
    if brackets and "`" in text:
        return False
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket == "[" else -1
        if depth < 0:
            return False
    return depth == 0


def url(target: str) -> str:
    """Return an address so that it is one word, without brackets."""
    return quote(target, safe="/:?#@!$&'*+,;=%~-._")


class HtmlInline(Inline):
    """HTML; also what stands in tables of Markdown that have to be HTML."""

    def text(self, text: str) -> str:
        """Return plain text so that it is shown as it is."""
        return escape_html(text.replace("\u00ad", ""))

    def page(self, number: int) -> str:
        """Return a comment."""
        return f"<!-- page {number} -->"

    def wrap(self, name: Attribute, style: TextStyle, inner: str, before: str, after: str) -> str:
        """Return what is set in a way; see :meth:`Inline.wrap`."""
        if name == "link":
            return f'<a href="{escape_html(style.link)}">{inner}</a>'
        if name == "mono":
            return f"<code>{self.text(inner)}</code>"
        tags = {"bold": "strong", "italic": "em", "struck": "s"}
        tag = tags.get(name, "sup" if style.script > 0 else "sub")
        return f"<{tag}>{inner}</{tag}>"
