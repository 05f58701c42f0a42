"""ALTO 4: layout and text as libraries and archives keep them.

Element order, required attributes and ranges are those of the schema of the ALTO board, version
4.4, https://www.loc.gov/standards/alto/v4/alto-4-4.xsd. Measurements are in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator

from ocrtool.document.geometry import baseline, is_upright, words_of
from ocrtool.document.json import KINDS
from ocrtool.document.tree import Block, Box, Line, Quad
from ocrtool.options import WriteOptions
from ocrtool.version import __version__
from ocrtool.writers.formats import PageInput
from ocrtool.writers.markup import escape, number
from ocrtool.writers.text import TextForm

_HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"
      xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
      xsi:schemaLocation="http://www.loc.gov/standards/alto/ns-v4#\
 http://www.loc.gov/standards/alto/v4/alto-4-4.xsd" SCHEMAVERSION="4.4">
 <Description>
  <MeasurementUnit>pixel</MeasurementUnit>
  <sourceImageInformation>
   <fileName>{source}</fileName>
  </sourceImageInformation>
  <Processing ID="ocrtool">
   <processingCategory>contentGeneration</processingCategory>
   <processingSoftware>
    <softwareName>ocrtool</softwareName>
    <softwareVersion>{version}</softwareVersion>
   </processingSoftware>
  </Processing>
 </Description>
 <Tags>
{tags}
 </Tags>
 <Layout>
"""


def _head(sheet: PageInput) -> str:
    # All kinds, since the pages that use them are not known yet.
    tags = [f'  <LayoutTag ID="kind_{kind}" LABEL="{kind}"/>' for kind in sorted(KINDS)]
    source = escape(sheet.source)
    return _HEAD.format(source=source, version=__version__, tags="\n".join(tags))


def alto_page(sheet: PageInput, count: int, options: WriteOptions) -> str:
    """Return a ``Page`` with its blocks, all in its print space, in reading order."""
    return "\n".join(_page(sheet, count)) + "\n"


def _page(sheet: PageInput, count: int) -> Iterator[str]:
    page = sheet.page
    yield (
        f'  <Page ID="page_{count}" WIDTH="{page.width}" HEIGHT="{page.height}"'
        f' PHYSICAL_IMG_NR="{page.number}" PC="{page.confidence:.4f}">'
    )
    yield f'   <PrintSpace HPOS="0" VPOS="0" WIDTH="{page.width}" HEIGHT="{page.height}">'
    for i, block in enumerate(page.blocks, 1):
        name, place = f"{count}_{i}", f'{_place(block.box)} TAGREFS="kind_{block.kind}"'
        if block.kind != "figure":
            yield from _text_block(block, f"block_{name}", place)
        elif not block.lines:
            yield f'    <Illustration ID="block_{name}" {place}/>'
        else:
            yield f'    <ComposedBlock ID="block_{name}" {place}>'
            yield f'    <Illustration ID="figure_{name}" {_place(block.box)}/>'
            yield from _text_block(block, f"text_{name}", _place(block.box))
            yield "    </ComposedBlock>"
    yield "   </PrintSpace>"
    yield "  </Page>"


def _text_block(block: Block, name: str, place: str) -> Iterator[str]:
    yield f'    <TextBlock ID="{name}" {place}>'
    for i, line in enumerate(block.lines, 1):
        yield from _line(line, f"{name}_{i}")
    yield "    </TextBlock>"


def _line(line: Line, name: str) -> Iterator[str]:
    words = words_of(line)
    if not words:  # a TextLine has at least one String
        return
    points = _points(baseline(line))
    yield f'     <TextLine ID="{name}" {_place(line.box)} BASELINE="{points}">'
    if not is_upright(line.quad):
        yield f"      {_shape(line.quad)}"
    for i, word in enumerate(words, 1):
        if i > 1:
            yield "      <SP/>"
        start = (
            f'      <String ID="{name}_{i}" {_place(word.box)}'
            f' CONTENT="{escape(word.text)}" WC="{word.confidence:.4f}"'
        )
        yield f"{start}/>" if is_upright(word.quad) else f"{start}>{_shape(word.quad)}</String>"
    yield "     </TextLine>"


def _shape(quad: Quad) -> str:
    return f'<Shape><Polygon POINTS="{_points(quad)}"/></Shape>'


def _points(points: tuple[tuple[float, float], ...]) -> str:
    return " ".join(f"{number(x)},{number(y)}" for x, y in points)


def _place(box: Box) -> str:
    return (
        f'HPOS="{number(box.x0)}" VPOS="{number(box.y0)}"'
        f' WIDTH="{number(box.width)}" HEIGHT="{number(box.height)}"'
    )


ALTO = TextForm(alto_page, _head, foot=" </Layout>\n</alto>\n", one_source=True)
