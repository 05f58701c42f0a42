"""HTML and the overlay."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ocrtool.document.tree import Cell, Line, Page, Word
from ocrtool.inputs.page_source import ImagePage
from ocrtool.writers import PageInput
from ocrtool.writers.html_facsimile import hue
from ocrtool.writers.overlay import KIND_COLORS, draw_overlay, overlay_png
from writers.drawing import all_words, block, written

VOID = {"meta", "img", "rect", "br"}


class Reader(HTMLParser):
    """Notes tags, what is in polygons and spans by their name, and that tags are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, dict[str, str]]] = []
        self.twins: dict[str, dict[str, str]] = {"polygon": {}, "span": {}}
        self._name = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.attributes.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)
        if tag in self.twins and "data-w" in found:
            self._name = found["data-w"]
            assert self._name not in self.twins[tag]
            self.twins[tag][self._name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag, texts in self.twins.items():
            if tag in self.open:
                texts[self._name] += data


def test_html_has_every_word_once_a_side(two_pages: tuple[PageInput, PageInput]) -> None:
    reader = Reader(written("html", *two_pages, min_confidence=0.5))
    boxes, spans = reader.twins["polygon"], reader.twins["span"]
    words = [word for sheet in two_pages for word in all_words(sheet.page)]
    assert list(spans.values()) == [word.text for word in words]
    assert list(boxes) == list(spans)
    for word, box in zip(words, boxes.values(), strict=True):
        assert box == f"{word.text} {100 * word.confidence:.0f} %"
    doubtful = [a["data-w"] for tag, a in reader.attributes if a.get("class") == "doubtful"]
    assert [spans[name] for name in doubtful] == 2 * ["gęślą", "`y`"]


def test_html_stands_alone(sheet: PageInput, jpeg: bytes) -> None:
    text = written("html", sheet)
    assert "http" not in text and "@import" not in text and "url(" not in text
    reader = Reader(text)
    sources = [a["src"] for _, a in reader.attributes if "src" in a]
    assert sources == ["data:image/jpeg;base64," + base64.b64encode(jpeg).decode()]
    assert not any(tag == "link" for tag, _ in reader.attributes)
    assert "prefers-color-scheme: dark" in text


def test_html_draws_rotated_words_as_they_lie(sheet: PageInput) -> None:
    reader = Reader(written("html", sheet))
    view = next(a["viewbox"] for tag, a in reader.attributes if tag == "svg")
    assert view == "0 0 900 1000"
    points = [a["points"] for tag, a in reader.attributes if tag == "polygon"]
    for word, given in zip(all_words(sheet.page), points, strict=True):
        numbers = [float(number) for number in re.split("[ ,]", given)]
        assert numbers == pytest.approx([c for point in word.quad for c in point], abs=0.01)


def test_html_escapes(sheet: PageInput) -> None:
    quad = sheet.page.blocks[0].lines[0].quad
    word = Word("<script>&\"'", 0.9, quad)
    page = Page(1, 9, 9, (block("paragraph", Line("x", 0.9, quad, (word,))),))
    text = written("html", PageInput("<b>.png", page, sheet.picture))
    assert text.count("<script>") == 1 and "<b>" not in text
    assert list(Reader(text).twins["span"].values()) == [word.text]


def test_html_of_pictures_that_browsers_do_not_know(sheet: PageInput) -> None:
    assert sheet.picture
    for file in (None, b"II*\0some tiff"):
        text = written("html", replace(sheet, picture=ImagePage(sheet.picture.pixels, file)))
        content = re.search('src="data:image/jpeg;base64,([^"]+)"', text)
        assert content
        with Image.open(io.BytesIO(base64.b64decode(content.group(1)))) as image:
            assert image.size == (900, 1000)


def test_html_tables_have_their_cells(sheet: PageInput) -> None:
    table = sheet.page.blocks[3]
    reader = Reader(written("html", sheet))
    tags = [tag for tag, _ in reader.attributes]
    assert (tags.count("tr"), tags.count("th"), tags.count("td")) == (3, 2, 4)
    stray = replace(table, cells=(Cell(0, 0, lines=table.lines[:1]),))
    page = replace(sheet.page, blocks=(stray,))
    spans = Reader(written("html", replace(sheet, page=page))).twins["span"]
    assert list(spans.values()) == ["Item", "Price", "Pear", "1.20", "Fig", "0.35"]


def test_html_tables_keep_the_columns_beside_empty_cells(sheet: PageInput) -> None:
    table = next(b for b in sheet.page.blocks if b.cells)
    cells = (Cell(0, 1, lines=table.lines[:1]), Cell(1, 0, lines=table.lines[1:2]))
    page = replace(sheet.page, blocks=(replace(table, cells=cells, lines=table.lines[:2]),))
    text = written("html", replace(sheet, page=page))
    assert re.search(r"<tr><td></td><td><div.*?</td></tr>\s*<tr><td><div.*?</td><td></td></tr>",
                     text, re.DOTALL)  # fmt: skip


def test_colour_follows_confidence() -> None:
    quad = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    hues = [hue(Word("x", c, quad)) for c in (0.0, 0.5, 0.75, 1.0)]
    assert hues == [0, 0, 60, 120]


def test_overlay_frames_words_and_names_blocks(sheet: PageInput) -> None:
    assert sheet.picture
    pixels = sheet.picture.pixels
    before = pixels.copy()
    with Image.open(io.BytesIO(overlay_png(sheet))) as image:
        drawn = np.asarray(image)
    assert (pixels == before).all() and drawn.shape == pixels.shape
    assert (drawn == draw_overlay(pixels, sheet.page)).all()
    box = sheet.page.blocks[5].box  # the figure
    assert tuple(drawn[round(box.y0) + 60, round(box.x0) - 1]) == KIND_COLORS["figure"]
    words = {word.text: word for word in all_words(sheet.page)}
    x, y = words["gęślą"].quad[3]
    assert drawn[round(y), round(x) + 20, 0] > 180 > 90 > drawn[round(y), round(x) + 20, 1]
    x, y = words["Price"].quad[3]
    assert drawn[round(y) - 8, round(x), 1] > drawn[round(y) - 8, round(x), 0]
    assert (drawn[800:900] == pixels[800:900]).all()
    with pytest.raises(ValueError, match="picture"):
        overlay_png(replace(sheet, picture=None))


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

MEASURE = """<script>
const img = document.querySelector("img").getBoundingClientRect();
const places = [...document.querySelectorAll("polygon")].map((polygon) => {
  const box = polygon.getBoundingClientRect();
  return [box.left - img.left, box.top - img.top, box.width, box.height].map((v) => v / img.width);
});
const span = document.querySelector("span[data-w]");
span.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
const lit = [...document.querySelectorAll(".on")].map((twin) => twin.tagName);
span.dispatchEvent(new MouseEvent("mouseout", { bubbles: true }));
const left = document.querySelectorAll(".on").length;
document.title = JSON.stringify({ places, lit, left });
</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_html_in_a_browser(sheet: PageInput, tmp_path: Path) -> None:
    path, shot = tmp_path / "page.html", tmp_path / "page.png"
    text = written("html", sheet)
    path.write_text(text.replace("</body>", MEASURE), "utf-8")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu"]
    command += [f"--user-data-dir={tmp_path}/profile", "--window-size=1200,900"]
    options = {"capture_output": True, "timeout": 120, "check": True}
    done = subprocess.run([*command, "--dump-dom", path.as_uri()], text=True, **options)  # type: ignore[call-overload]
    found = json.loads(html.unescape(re.findall("<title>(.*?)</title>", done.stdout)[0]))
    for place, word in zip(found["places"], all_words(sheet.page), strict=True):
        box = word.box
        wanted = (box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0)
        assert place == pytest.approx([value / sheet.page.width for value in wanted], abs=4e-3)
    assert sorted(found["lit"]) == ["SPAN", "polygon"] and found["left"] == 0
    subprocess.run([*command, f"--screenshot={shot}", path.as_uri()], **options)  # type: ignore[call-overload]
    with Image.open(shot) as image:
        red, green, blue = np.asarray(image.convert("RGB")).astype(int).transpose(2, 0, 1)
    assert ((green > red + 40) & (green > blue + 40)).sum() > 2_000  # sure words
    assert ((red > green + 60) & (abs(green - blue) < 40)).sum() > 50  # the others
