"""The scores of converted PDFs: the truth gets full marks, known damage what it should."""

from __future__ import annotations

import numpy as np
import pymupdf
import pytest

from ocrtool.evaluation.markdown_pieces import pieces
from ocrtool.evaluation.markdown_scores import score, teds
from ocrtool.synth.typefaces import TypeLibrary
from tests.benchmarks.pdf.content import load, number_headings, truth
from tests.benchmarks.pdf.render import render
from tests.benchmarks.pdf.scans import scan_file
from tests.benchmarks.pdf.styles import draw_style
from tests.benchmarks.pdf_set import OWN

TEXT = """# The title of it all

The first paragraph has words[^1] enough that it can be found again from both of its ends.

## A section

The second paragraph is about *something* else & again long enough to have two ends of its own.

1. one thing
2. another thing
   - a smaller thing

<table class="bare"><tr><th rowspan="2">Name</th><th colspan="2">Both</th></tr>
<tr><td>1.25</td><td>2.50</td></tr></table>

| Left | Right |
| --- | --- |
| 10 | 20 |

[^1]: A note that stands at the foot of the page.
"""


def test_truth_scores_one() -> None:
    mark = score(TEXT, TEXT)
    assert mark.text == 1
    assert mark.order[0] == mark.order[1] == 3
    assert mark.headings_found == mark.headings_right == mark.levels == (2, 2)
    assert mark.items_found == mark.items_right == mark.nesting == (3, 3)
    assert [t.teds for t in mark.tables] == [1, 1]
    assert [t.look for t in mark.tables] == ["bare", ""]
    assert mark.false_tables == 0


def test_ways_to_write_the_same_are_the_same() -> None:
    other = TEXT.replace("words[^1]", "words<sup>1</sup>").replace("*something*", "**something**")
    other = other.replace("[^1]: A note", "1 A note")
    other = other.replace("# The", "<!-- page 1 -->\n\n## The").replace("## A sec", "### A sec")
    other = other.replace(
        "| Left | Right |\n| --- | --- |\n| 10 | 20 |",
        "<table><thead><tr><th>Left</th><th>Right</th></tr></thead>"
        "<tbody><tr><td>10</td><td><b>20</b></td></tr></tbody></table>",
    )
    mark = score(TEXT, other)
    assert mark.text == 1
    assert mark.levels == (2, 2)
    assert [t.teds for t in mark.tables] == [1, 1]


def test_empty_output_scores_nothing() -> None:
    mark = score(TEXT, "")
    assert mark.text == 0
    assert mark.order == (0, 0)
    assert mark.headings_found == (0, 2)
    assert [t.teds for t in mark.tables] == [0, 0]


def test_wrong_letters_cost_their_share() -> None:
    text = "abcdefghi " * 10
    assert score(text, text.replace("a", "x", 5)).text == pytest.approx(1 - 5 / 99)


def test_notes_may_stand_at_the_foot_of_their_page() -> None:
    note = "[^1]: A note that stands at the foot of the page.\n"
    moved = TEXT.replace(note, "").replace("## A section", f"{note}\n## A section")
    assert score(TEXT, moved).text == 1


def test_order_counts_what_follows_what() -> None:
    parts = [f"Paragraph {c * 9} tells of {c * 30} until {c * 9} ends." for c in "abcdef"]
    right = score("\n\n".join(parts), "\n\n".join(parts)).order
    swapped = score("\n\n".join(parts), "\n\n".join(parts[3:] + parts[:3])).order
    assert right[0] == right[1]
    assert swapped == (right[1] - 1, right[1])


def test_headings_lists_and_false_tables() -> None:
    damaged = TEXT.replace("## A section", "A section").replace("1. one thing", "# one thing")
    damaged = damaged.replace("10 | 20", "10 | 20 |\n\n| x | y |\n| --- | --- |\n| z | w")
    mark = score(TEXT, damaged)
    assert mark.headings_found == (1, 2)
    assert mark.headings_right == (1, 2)
    assert mark.items_found == (2, 3)
    assert mark.false_tables == 1


def test_tables_lose_by_spans_and_letters() -> None:
    whole = "<table><tr><td>abcd</td><td>e</td></tr></table>"
    assert teds(whole, whole) == 1
    # Four nodes below the table's row and cells; one letter of four is a quarter of one.
    assert teds(whole, whole.replace("abcd", "abcx")) == pytest.approx(1 - 0.25 / 3)
    wide = '<table><tr><td colspan="2">abcd</td><td>e</td></tr></table>'
    assert teds(whole, wide) == pytest.approx(1 - 1 / 3)


def test_html_and_markdown_between() -> None:
    found = pieces("Loose\n\n<div><p>In a box</p></div>\n\n```\ncode  here\n```\n\n- a\n\n  b\n")
    assert [(p.kind, p.text) for p in found] == [
        ("paragraph", "Loose"),
        ("paragraph", "In a box"),
        ("code", "code here"),
        ("item", "a b"),
    ]


@pytest.mark.parametrize("path", sorted(OWN.glob("*.md")), ids=lambda p: p.stem)
def test_truth_of_own_texts_is_stable(path) -> None:
    content = load(path.read_text(encoding="utf-8"), np.random.default_rng(5), "grid")
    number_headings(content)
    known = truth(content)
    assert score(known, known).text == 1
    words = " ".join(p.text for p in pieces(known))
    assert "{{" not in words
    assert any(p.kind == "heading" for p in pieces(known))


def test_drawn_page_has_its_text_and_its_scan_has_none(tmp_path) -> None:
    rng = np.random.default_rng(3)
    style = draw_style(rng, TypeLibrary([], []), "story", slides=False, columns=1)
    text = (OWN / "invoice.md").read_text(encoding="utf-8")
    content = load(text, rng, style.look, spans=False)
    render(content, style, tmp_path / "a.pdf")
    scan_file(tmp_path / "a.pdf", tmp_path / "b.pdf", rng)
    with pymupdf.open(tmp_path / "a.pdf") as native, pymupdf.open(tmp_path / "b.pdf") as scan:
        assert "Harbour & Vale" in native[0].get_text()
        assert len(scan) == len(native)
        assert scan[0].get_text() == ""
        assert len(scan[0].get_images()) == 1
