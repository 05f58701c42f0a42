"""What a document is, in YAML before its Markdown."""

from __future__ import annotations

import json
import re

from ocrtool.options import WriteOptions
from ocrtool.writers.formats import PageInput

_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""What YAML allows in quotes only by its number, beside what JSON escapes."""

NOTHING = frozenset(
    {"untitled", "anonymous", "(anonymous)", "unspecified", "(unspecified)", "unknown"}
)


def front_matter(sheet: PageInput, options: WriteOptions) -> str:
    """Return title, author, pages and source as far as they are known; nothing if not wanted.

    A document that names no title is called by its first heading of level 1, if its first page has
    one.
    """
    if not options.front_matter:
        return ""
    headings = (block for block in sheet.page.blocks if block.kind == "heading")
    first = next((block.text for block in headings if block.level == 1), "")
    facts: dict[str, str | int] = {
        "title": _said(sheet, "title") or " ".join(first.split()),
        "author": _said(sheet, "author"),
        "pages": sheet.count,
        "source": sheet.source,
    }
    lines = [f"{name}: {quoted(fact)}" for name, fact in facts.items() if fact]
    return "\n".join(["---", *lines, "---"]) + "\n\n"


def _said(sheet: PageInput, name: str) -> str:
    """Return a fact, unless it is what programs write where nobody told them."""
    fact = sheet.metadata.get(name, "").strip()
    return "" if fact.casefold() in NOTHING else fact


def quoted(value: str | int) -> str:
    """Return a value as YAML; texts in double quotes, which take any character."""
    text = json.dumps(value, ensure_ascii=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
