"""What readers of pages write becomes blocks, each as sure as its own letters."""

from __future__ import annotations

import pytest

from ocrtool.document.tree import Box
from ocrtool.readers.page_models import LOOP_CONFIDENCE, markdown_blocks
from ocrtool.readers.transformers import GeneratedText

MARKDOWN = r"""# A title

Text that goes on
over two lines, and $x$.

## A part

- one
- two
  - deeper

> Somebody said so.

| a | b |
|---|---|
| 1 | 2 |

$$ \frac{a}{b} $$

Before \[ x^2 \] behind.

$$ \broken{ $$

```
code  here
```
"""


def blocks(text: str, looped: bool = False) -> list:
    return list(
        markdown_blocks(GeneratedText(text, (0.9,) * len(text), looped), Box(0, 0, 100, 200))
    )


def test_markdown_becomes_blocks() -> None:
    found = blocks(MARKDOWN)
    assert [(block.kind, block.text) for block in found] == [
        ("heading", "A title"),
        ("paragraph", "Text that goes on\nover two lines, and $x$."),
        ("heading", "A part"),
        ("list", "- one\n- two\n  - deeper"),
        ("quote", "Somebody said so."),
        ("table", "a\tb\n1\t2"),
        ("formula", r"\frac{a}{b}"),
        ("paragraph", "Before"),
        ("formula", "x^2"),
        ("paragraph", "behind."),
        ("paragraph", r"$$ \broken{ $$"),
        ("code", "code  here"),
    ]
    assert [block.level for block in found if block.kind == "heading"] == [1, 2]
    table = next(block for block in found if block.kind == "table")
    assert [(c.row, c.column, c.header, c.lines[0].text) for c in table.cells] == [
        (0, 0, True, "a"), (0, 1, True, "b"), (1, 0, False, "1"), (1, 1, False, "2"),
    ]  # fmt: skip
    assert found[6].latex == r"\frac{a}{b}"


def test_plain_text_is_paragraphs() -> None:
    assert [(b.kind, b.text) for b in blocks("one\ntwo\n\nthree")] == [
        ("paragraph", "one\ntwo"),
        ("paragraph", "three"),
    ]
    assert blocks("") == [] and blocks("\n \n") == []


def test_each_block_is_as_sure_as_its_letters() -> None:
    text = "sure\n\ndoubt"
    letters = (0.99,) * 6 + (0.5,) * 5
    sure, doubt = markdown_blocks(GeneratedText(text, letters), Box(0, 0, 10, 10))
    assert sure.lines[0].words[0].confidence == pytest.approx(0.99**4)
    assert doubt.lines[0].words[0].confidence == pytest.approx(0.5**5)


def test_what_looped_is_not_trusted() -> None:
    for block in blocks("some words\n\nand more", looped=True):
        for line in block.lines:
            assert all(word.confidence <= LOOP_CONFIDENCE for word in line.words)
