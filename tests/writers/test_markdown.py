"""What we write is parsed again, and says and shows what it should."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ocrtool.document.tree import Block, Box, Cell, Line, Page, Span
from ocrtool.options import ImageChoice, TableChoice
from ocrtool.writers import PageInput
from ocrtool.writers.inline import HtmlInline, MarkdownInline
from ocrtool.writers.styled_text import Runs, TextStyle, settled
from writers.drawing import written

Q = ((0.0, 0.0), (100.0, 0.0), (100.0, 10.0), (0.0, 10.0))
PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
BOLD, ITALIC, MONO = TextStyle(bold=True), TextStyle(italic=True), TextStyle(mono=True)


class Shown(HTMLParser):
    """Characters of HTML, each with the tags round it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.letters: list[tuple[str, frozenset[str]]] = []
        self.links: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("img", "br", "hr"):
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.letters += [(c, frozenset(self.open)) for c in data if not c.isspace()]

    @property
    def text(self) -> str:
        return "".join(c for c, _ in self.letters)

    def within(self, tag: str) -> str:
        return "".join(c for c, tags in self.letters if tag in tags)


def parsed(markdown: str) -> Shown:
    return Shown(PARSER.render(markdown))


def line(text: str, *spans: Span) -> Line:
    return Line(text, 1.0, Q, spans=spans)


def paragraph(*lines: Line, kind: str = "paragraph", **more: object) -> Block:
    text = "\n".join(one.text for one in lines)
    return Block(kind, Box(0, 0, 100, 10), lines, text, **more)  # type: ignore[arg-type]


def sheet(*blocks: Block, number: int = 1, **more: object) -> PageInput:
    return PageInput("x.pdf", Page(number, 100, 100, blocks), **more)  # type: ignore[arg-type]


def md(*blocks: Block, **options: object) -> str:
    return written("md", sheet(*blocks), **options).strip()


STYLES = st.builds(
    TextStyle,
    bold=st.booleans(),
    italic=st.booleans(),
    mono=st.sampled_from([False, False, True]),
    script=st.sampled_from([0, 0, 0, 1, -1]),
    link=st.sampled_from(["", "", "", "https://a.b/c_(d)?e=1&f"]),
)
WORDS = st.text(st.sampled_from("abZ9.,()[]*_`#!<>&$~|\\-+=:'\" \u00e9"), min_size=1, max_size=9)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(WORDS, STYLES), min_size=1, max_size=6))
def test_any_text_in_any_style_is_shown_as_it_is(parts: list[tuple[str, TextStyle]]) -> None:
    runs = Runs()
    for text, style in parts:
        runs += Runs.plain(text, style)
    # One paragraph, as pages have it: its rows run on.
    wanted = [(c, style) for text, style in settled(runs.strip()) for c in text if not c.isspace()]
    shown = parsed(MarkdownInline().write(runs).join(("x: ", " :x")))
    letters = shown.letters[2:-2]
    assert "".join(c for c, _ in letters) == "".join(c for c, _ in wanted)
    for (_, tags), (character, style) in zip(letters, wanted, strict=True):
        told = {"strong": style.bold, "em": style.italic, "code": style.mono, "a": style.link}
        for tag, is_set in told.items():
            assert (tag in tags) == bool(is_set), (tag, character, parts)
        assert ("sup" in tags) == (style.script > 0) and ("sub" in tags) == (style.script < 0)
    plain = Shown(HtmlInline().write(runs))
    assert plain.text == "".join(c for c, _ in wanted)


@given(WORDS)
def test_a_paragraph_stays_a_paragraph(text: str) -> None:
    shown = PARSER.render(written("md", sheet(paragraph(line(text)))))
    if text.strip():
        assert re.fullmatch(r"<p>.*</p>\s*", shown, re.DOTALL)
        assert "".join(html.unescape(re.sub("<[^>]+>", "", shown)).split()) == "".join(text.split())


def test_quotes_stay_quotes() -> None:
    said = md(paragraph(line("- said by"), line("# another"), kind="quote"), paragraph(line("a")))
    assert said == "> \\- said by # another\n\na"
    assert parsed(said).within("blockquote") == "-saidby#another"


def test_styles_are_merged_over_lines() -> None:
    first = line("It is very impor-", Span(6, 17, bold=True))
    second = line("tant indeed, see here.", Span(0, 11, bold=True), Span(17, 21, italic=True))
    assert md(paragraph(first, second)) == "It is **very important indeed**, see *here*."


def test_emphasis_never_touches_what_it_must_not() -> None:
    one = paragraph(line("a(bold)b and  c", Span(1, 7, bold=True), Span(8, 13, italic=True)))
    assert md(one) == "a<strong>(bold)</strong>b *and*  c"
    assert md(paragraph(line("a - b", Span(2, 3, bold=True)))) == "a - b"
    assert md(paragraph(line("x2 and Hx", Span(1, 2, script=1), Span(8, 9, script=-1)))) == (
        "x<sup>2</sup> and H<sub>x</sub>"
    )
    head = paragraph(line("1 Bold head", Span(0, 11, bold=True)), kind="heading", level=2)
    assert md(head) == "## 1 Bold head"
    assert md(paragraph(line("C #"), kind="heading", level=1)) == "# C \\#"
    assert md(paragraph(line("all in one width", Span(0, 16, mono=True)))) == "all in one width"
    assert md(paragraph(line("call f(`x`) now", Span(5, 11, mono=True)))) == "call ``f(`x`)`` now"


def test_links() -> None:
    link = Span(4, 8, link="https://x.org/a (b)")
    assert md(paragraph(line("see this now", link))) == "see [this](https://x.org/a%20%28b%29) now"
    bare = Span(0, 15, link="https://x.org/a")
    assert md(paragraph(line("https://x.org/a", bare))) == "<https://x.org/a>"
    mail = Span(0, 5, link="mailto:a@b.c")
    assert md(paragraph(line("a@b.c", mail))) == "<a@b.c>"
    for nowhere in ("#page=3", "javascript:alert(1)", "file:///etc/passwd"):
        assert md(paragraph(line("see this", Span(4, 8, link=nowhere)))) == "see this"


def test_formulas_and_dollars_are_told_apart() -> None:
    assert md(paragraph(line("costs $5 and 6$, so"))) == r"costs \$5 and 6\$, so"
    assert md(paragraph(line("from $5 to $7 each"))) == "from $5 to $7 each"
    unread = paragraph(line("a = b + c"), kind="formula")
    assert md(unread) == "<!-- formula -->\n\na = b + c"
    read = paragraph(line("a = b"), kind="formula", latex="a=b")
    assert md(read) == "$$\na=b\n$$"


def test_lists_are_nested_and_count_as_printed() -> None:
    rows = ["1. one", "    • a", "    • b", "       \u2013 deep", "    goes on", "2. two"]
    block = paragraph(*map(line, [*rows, "4. four"]), kind="list")
    assert md(block) == ("1. one\n   - a\n   - b\n     - deep goes on\n2. two\n4) four")
    shown = PARSER.render(md(block))
    assert shown.count("<ol") == 2 and 'start="4"' in shown and shown.count("<ul>") == 2
    lettered = paragraph(line("(a) one"), line("(b) two"), kind="list")
    assert md(lettered) == "- (a) one\n- (b) two"
    again = paragraph(line("1. x"), line("2. y"), kind="list")
    assert md(again, again).count("<!-- -->") == 1


def cells(*rows: tuple[str, ...], header: bool = True) -> tuple[Cell, ...]:
    return tuple(
        Cell(i, k, lines=(line(text),), header=header and i == 0)
        for i, row in enumerate(rows)
        for k, text in enumerate(row)
    )


def table(some: tuple[Cell, ...], **more: object) -> Block:
    lines = tuple(one for cell in some for one in cell.lines)
    text = "\n".join(one.text for one in lines)
    return Block("table", Box(0, 0, 100, 50), lines, text, cells=some, **more)  # type: ignore[arg-type]


def test_tables_fit_githubs_or_are_html() -> None:
    plain = cells(("Name", "a|b"), ("x*y", "`c`"))
    shown = parsed(md(table(plain)))
    assert shown.within("th") == "Namea|b" and shown.within("td") == "x*y`c`"
    merged = (
        Cell(0, 0, 2, 1, (line("Name"),), True),
        Cell(0, 1, 1, 2, (line("Sales & more"),), True),
        Cell(1, 1, lines=(line("2019"),), header=True),
        Cell(1, 2, lines=(line("2020"),), header=True),
        Cell(2, 0, lines=(line("Pear"),)),
        Cell(2, 2, lines=(line("<7"),)),
    )
    assert md(table(merged)) == (
        '<table>\n<thead>\n<tr><th rowspan="2">Name</th>'
        '<th colspan="2">Sales &amp; more</th></tr>\n'
        "<tr><th>2019</th><th>2020</th></tr>\n</thead>\n<tbody>\n"
        "<tr><td>Pear</td><td></td><td>&lt;7</td></tr>\n</tbody>\n</table>"
    )
    assert parsed(md(table(merged))).within("td") == "Pear<7"
    assert md(table(plain), tables=TableChoice.HTML).startswith("<table>\n<thead>")
    comma = cells(("a", "b"), ('1,5 "x"', ""))
    assert md(table(comma), tables=TableChoice.CSV) == '```csv\na,b\n"1,5 ""x""",\n```'


def test_figures_refer_to_their_files() -> None:
    figure = Block("figure", Box(0, 0, 9, 9), (), "0 50", image="page-001-figure-1.png")
    caption = paragraph(line("Figure 2.1: It grows"), kind="caption")
    text = md(figure, caption, images=ImageChoice.REFS, image_folder="a b_images")
    assert text == (
        "![Figure 2.1](a%20b_images/page-001-figure-1.png)\n\n"
        "<!-- text in the figure: 0 50 -->\n\n*Figure 2.1: It grows*"
    )
    content = {"page-001-figure-1.png": b"\x89PNG\r\n\x1a\n"}
    embedded = written("md", sheet(figure, pictures=content), images=ImageChoice.EMBED)
    assert "![figure](data:image/png;base64,iVBORw0KGgo=)" in embedded
    assert parsed(embedded).links == ["data:image/png;base64,iVBORw0KGgo="]
    assert md(figure) == "<!-- figure -->\n\n0 50"


def test_furniture_and_failures() -> None:
    page = sheet(paragraph(line("Head"), kind="header"), paragraph(line("Text")))
    assert written("md", page, keep_furniture=False) == "Text\n"
    assert written("txt", page, keep_furniture=False) == "Text\n"
    failed = PageInput("x.pdf", Page(7, 1, 1, error="took -- too long"))
    assert written("md", page, failed, page_breaks=False).endswith(
        "\n\n<!-- page 7: unreadable: took - - too long -->\n"
    )
    for form in ("txt", "html", "tex", "json", "jsonl"):
        assert "too long" in written(form, failed)


def test_front_matter_is_yaml() -> None:
    yaml = pytest.importorskip("yaml")
    metadata = {"title": 'A: "b" # \u2028c\x85 \\n \U0001f600', "author": "- [x]"}
    text = written(
        "md", sheet(paragraph(line("Text")), metadata=metadata, count=3), front_matter=True
    )
    head, body = re.fullmatch(r"---\n(.*)\n---\n\n(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    assert yaml.safe_load(head) == {**metadata, "pages": 3, "source": "x.pdf"} and body == "Text\n"
    heading = paragraph(line("First"), kind="heading", level=1)
    assert 'title: "First"' in md(heading, front_matter=True)
    unnamed = written("md", sheet(heading, metadata={"title": "untitled"}), front_matter=True)
    assert 'title: "First"' in unnamed


def test_what_goes_on_is_put_together() -> None:
    first = sheet(paragraph(line("It goes on to the")), paragraph(line("1 note"), kind="footnote"))
    second = sheet(
        paragraph(line("Head"), kind="header"),
        paragraph(line("next page."), continued=True),
        paragraph(line("New.")),
        number=2,
    )
    joined = written("md", first, second, keep_furniture=False, page_breaks=False)
    assert joined == "It goes on to the next page.\n\n1 note\n\nNew.\n"
    broken = written("md", first, second, keep_furniture=False)
    assert broken == "It goes on to the <!-- page 2 --> next page.\n\n1 note\n\nNew.\n"
    head, *rows = ("Name", "Sum"), ("a", "1"), ("b", "2")
    one, two = (
        sheet(table(cells(head, rows[0]))),
        sheet(table(cells(head, rows[1]), continued=True), number=2),
    )
    whole = written("md", one, two, page_breaks=False)
    assert whole == "| Name | Sum |\n| --- | --- |\n| a | 1 |\n| b | 2 |\n"
    items = sheet(paragraph(line("1. a"), line("2. b goes"), kind="list"))
    rest = sheet(paragraph(line("    on"), line("3. c"), kind="list", continued=True), number=2)
    assert written("md", items, rest, page_breaks=False) == "1. a\n2. b goes on\n3. c\n"
    code = sheet(paragraph(line("if x:"), kind="code"))
    more = sheet(Block("code", Box(0, 0, 9, 9), (), "    y()", continued=True), number=2)
    assert written("md", code, more, page_breaks=False) == "```\nif x:\n    y()\n```\n"


def test_pages_are_written_as_they_come() -> None:
    from ocrtool.writers import formats, open_writer

    parts: list[str] = []
    writer = open_writer(formats.MD, parts.append)
    lengths = []
    for i in range(6):
        writer.add(sheet(paragraph(line(f"Paragraph {i}.")), number=i + 1))
        lengths.append("".join(parts).count("Paragraph"))
    assert lengths == [0, 1, 2, 3, 4, 5]
