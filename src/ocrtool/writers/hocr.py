"""hOCR 1.2: what was read, as XHTML that carries its geometry in ``title`` attributes.

The form is Breuel's (The hOCR Microformat for OCR Workflow and Results, 2007); element classes
and their nesting follow Tesseract, since that is what readers of hOCR expect.
"""

from __future__ import annotations

from collections.abc import Iterator

from ocrtool.document.geometry import angle, baseline, words_of
from ocrtool.document.tree import Block, Box, Line
from ocrtool.options import WriteOptions
from ocrtool.version import __version__
from ocrtool.writers.formats import PageInput
from ocrtool.writers.markup import escape
from ocrtool.writers.text import TextForm

LINE_CLASSES = {"heading": "ocr_header", "caption": "ocr_caption"}
"""Class of a line by the kind of its block, where it is not ``ocr_line``."""
STEEP = 45.0
"""Degrees from which a line has a ``textangle`` instead of a baseline."""

_HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
    "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>{title}</title>
  <meta http-equiv="Content-Type" content="text/html;charset=utf-8"/>
  <meta name="ocr-system" content="ocrtool {version}"/>
  <meta name="ocr-capabilities" content="{capabilities}"/>
 </head>
 <body>
"""
_CAPABILITIES = (
    "ocr_page ocr_carea ocr_photo ocr_par ocr_line ocr_header ocr_caption ocrx_word"
    " ocrp_dir ocrp_wconf"
)


def _head(sheet: PageInput) -> str:
    title = escape(sheet.metadata.get("title", sheet.source))
    return _HEAD.format(title=title, version=__version__, capabilities=_CAPABILITIES)


def hocr_page(sheet: PageInput, number: int, options: WriteOptions) -> str:
    """Return an ``ocr_page`` with its areas, paragraphs, lines and words."""
    return "\n".join(_page(sheet, number)) + "\n"


def _page(sheet: PageInput, number: int) -> Iterator[str]:
    page = sheet.page
    facts = [f'image "{sheet.source}"', f"bbox 0 0 {page.width} {page.height}"]
    facts.append(f"ppageno {number - 1}")
    if page.dpi:
        facts.append(f"scan_res {page.dpi:.0f} {page.dpi:.0f}")
    yield f"  <div class='ocr_page' id='page_{number}' title='{escape('; '.join(facts))}'>"
    for i, block in enumerate(page.blocks, 1):
        yield from _block(block, f"{number}_{i}")
    yield "  </div>"


def _block(block: Block, name: str) -> Iterator[str]:
    if block.kind == "figure":
        yield f"   <div class='ocr_photo' id='photo_{name}' title='{_bbox(block.box)}'></div>"
    if not block.lines:
        return
    yield f"   <div class='ocr_carea' id='block_{name}' title='{_bbox(block.box)}'>"
    text = Box.around(line.quad for line in block.lines)
    yield f"    <p class='ocr_par' id='par_{name}' title='{_bbox(text)}'>"
    kind = LINE_CLASSES.get(block.kind, "ocr_line")
    for i, line in enumerate(block.lines, 1):
        yield f"     <span class='{kind}' id='line_{name}_{i}' title='{_line_title(line)}'>"
        for k, word in enumerate(words_of(line), 1):
            title = f"{_bbox(word.box)}; x_wconf {round(100 * word.confidence)}"
            yield (
                f"      <span class='ocrx_word' id='word_{name}_{i}_{k}' title='{title}'>"
                f"{escape(word.text)}</span>"
            )
        yield "     </span>"
    yield "    </p>"
    yield "   </div>"


def _line_title(line: Line) -> str:
    """Return bounds, and the baseline relative to their lower left corner, or the angle."""
    box = line.box
    turned = angle(line.quad)
    if abs(turned) > STEEP:
        return f"{_bbox(box)}; textangle {turned % 360:.4g}"
    (ax, ay), (bx, by) = baseline(line)
    slope = (by - ay) / (bx - ax) if bx > ax else 0.0
    offset = ay + slope * (round(box.x0) - ax) - round(box.y1)
    return f"{_bbox(box)}; baseline {_plain(slope, 4)} {_plain(offset, 1)}"


def _plain(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:g}"  # + 0.0: no -0


def _bbox(box: Box) -> str:
    return f"bbox {round(box.x0)} {round(box.y0)} {round(box.x1)} {round(box.y1)}"


HOCR = TextForm(hocr_page, _head, foot=" </body>\n</html>\n")
