"""A text and a style as one HTML file, for the programs that set HTML."""

from __future__ import annotations

import copy
import html
from pathlib import Path

import cv2
import lxml.html
import numpy as np
from lxml.html import HtmlElement, builder

from ocrtool.synth.pictures import photo
from tests.benchmarks.pdf.content import Content
from tests.benchmarks.pdf.styles import Style


def page_html(content: Content, style: Style, folder: Path) -> str:
    """The whole file; pictures are written beside it.

    Args:
        content: The text.
        style: How it is set.
        folder: Where the file will be.
    """
    body = copy.deepcopy(content.body)
    draw_figures(body, folder)
    _wide(body, style)
    if style.renderer == "weasyprint":
        for mark in list(body.iter("sup")):
            if mark.get("class") == "note" and mark.text in content.notes:
                note = copy.deepcopy(content.notes[mark.text])
                note.tag = "span"
                note.attrib["class"] = "footnote"
                note.tail = mark.tail
                mark.getparent().replace(mark, note)
    elif content.notes:
        notes = builder.DIV(builder.CLASS("notes"))
        for key, node in content.notes.items():
            note = copy.deepcopy(node)
            mark = builder.SUP(key)
            mark.tail, note.text = " " + (note.text or ""), ""
            note.insert(0, mark)
            notes.append(note)
        body.append(notes)
    text = lxml.html.tostring(body, encoding="unicode")
    text = text.replace("<body>", "").replace("</body>", "")
    title = html.escape(content.title)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_fonts(style)}{sheet(style)}{_paged(style, content.title)}</style></head>"
        f"<body>{text}</body></html>"
    )


def draw_figures(body: HtmlElement, folder: Path) -> None:
    """Put a photograph in the place of each figure."""
    for node in body.iter("div"):
        if node.get("class") == "figure":
            rng = np.random.default_rng(int(node.get("id") or 0))
            shape = int(rng.integers(160, 260)), int(rng.integers(260, 420))
            name = f"figure{node.get('id')}.jpg"
            code = cv2.imencode(".jpg", np.clip(photo(rng, shape), 0, 255).astype(np.uint8))[1]
            (folder / name).write_bytes(code.tobytes())
            node.text = None
            node[:] = [builder.IMG(src=name)]


def table_columns(table: HtmlElement) -> int:
    """How many columns it has, spans counted."""
    return max(sum(int(c.get("colspan") or 1) for c in row) for row in table.iter("tr"))


def _wide(body: HtmlElement, style: Style) -> None:
    """In two columns, the title and wide tables go over both."""
    if style.columns == 1:
        return
    if len(body) and str(body[0].tag) in ("h1", "h2", "h3"):
        body[0].set("class", "title")
    for table in body.iter("table"):
        if _is_wide(table):
            table.set("class", f"{table.get('class') or ''} wide")


def has_wide_table(content: Content) -> bool:
    """Whether a table is too wide for one column of two."""
    return any(map(_is_wide, content.body.iter("table")))


def _is_wide(table: HtmlElement) -> bool:
    longest = max((len(c.text_content()) for c in table.iter("td", "th")), default=0)
    return table_columns(table) > 4 or longest > 90


def _fonts(style: Style) -> str:
    rules = []
    for name, path, extra in (
        ("text", style.family.regular, ""),
        ("text", style.family.italic, "font-style:italic;"),
        ("text", style.family.bold, "font-weight:bold;"),
        ("mono", style.mono, ""),
    ):
        if path and (not extra or path != style.family.regular):
            where = Path(path).name if style.renderer == "story" else Path(path).as_uri()
            rules.append(f"@font-face{{font-family:{name};{extra}src:url('{where}')}}")
    return "".join(rules)


def sheet(style: Style) -> str:
    """Style rules that every renderer of HTML knows."""
    size, ratio = style.size, style.ratio
    gap = 0 if style.indented else size * 0.6
    rules = [
        f"body{{font-family:text;font-size:{size}pt;line-height:{style.leading:.2f};margin:0;"
        f"text-align:{'justify' if style.justified else 'left'}}}",
        f"p{{margin:0 0 {gap:.1f}pt 0}}",
        "h1,h2,h3,h4,h5,h6{font-family:text;font-weight:bold;text-align:left;line-height:1.2;"
        f"margin:{size * 1.2:.1f}pt 0 {size * 0.5:.1f}pt 0;break-after:avoid;"
        f"color:{style.accent if style.headings in ('colour', 'rule') else '#000000'}}}",
        f"h1{{font-size:{size * ratio**3:.1f}pt}}h2{{font-size:{size * ratio**2:.1f}pt}}",
        f"h3{{font-size:{size * ratio:.1f}pt}}h4,h5,h6{{font-size:{size}pt}}",
        f"ul,ol{{margin:0 0 {gap:.1f}pt 0;padding-left:{size * 1.8:.1f}pt}}li{{margin:0 0 2pt 0}}",
        f"code,pre{{font-family:mono;font-size:{size * 0.88:.1f}pt}}",
        "pre{text-align:left;line-height:1.25;white-space:pre-wrap;margin:6pt 0;padding:5pt;"
        "background-color:#f2f2f2}",
        "blockquote{margin:6pt 18pt;padding:4pt 8pt;"
        + ("background-color:#eef3f8}" if style.boxed else "font-style:italic}"),
        f"table{{border-collapse:collapse;margin:6pt 0 10pt 0;font-size:{size * 0.92:.1f}pt;"
        "text-align:left;line-height:1.25;break-inside:avoid}td,th{padding:2.5pt 6pt;"
        "vertical-align:top}th{font-weight:bold}",
        f".caption{{text-align:left;font-size:{size * 0.92:.1f}pt;font-style:italic;"
        "margin:6pt 0;break-after:avoid}",
        ".figure{margin:8pt 0;text-align:center;break-inside:avoid}img{max-width:100%}",
        f".notes{{font-size:{size * 0.8:.1f}pt;border-top:0.5pt solid #000000;margin-top:12pt}}",
        "sup{font-size:70%;vertical-align:super;line-height:1}",
        {
            "blue": "a{color:#0645ad;text-decoration:none}",
            "underlined": "a{color:#000000;text-decoration:underline}",
            "plain": "a{color:#000000;text-decoration:none}",
        }[style.links],
        {
            "grid": "td,th{border:0.6pt solid #333333}",
            "booktabs": "table{border-top:1.2pt solid #000000;border-bottom:1.2pt solid #000000}"
            "thead{border-bottom:0.6pt solid #000000}",
            "rows": "td,th{border-bottom:0.5pt solid #999999}",
            "shaded": "th{background-color:#d5dde8}tbody tr:nth-child(even) td"
            "{background-color:#f0f2f5}",
            "bare": "",
        }[style.look],
    ]
    if style.indented:
        rules.append(f"p+p{{text-indent:{size * 1.4:.1f}pt}}")
    if style.headings == "rule":
        rules.append(f"h2{{border-bottom:0.8pt solid {style.accent}}}")
    if style.headings == "centred":
        rules.append("h1{text-align:center}")
    if style.slides:
        rules.append("h2{page-break-before:always}")
    if style.renderer == "story":  # which draws grounds again on the next page
        rules.append("pre,blockquote,td,th,tr{background-color:transparent}")
    return "".join(rules)


def _paged(style: Style, title: str) -> str:
    """Rules for pages, columns and notes."""
    if style.renderer == "story":
        return ""
    width, height = style.page
    side, top = style.margins
    text = title.replace("\\", "").replace('"', "'")
    heads = {
        "": "",
        "title": f'@top-center{{content:"{text}";font-size:8pt;font-family:text}}',
        "sides": f'@top-left{{content:"{text}";font-size:8pt;font-family:text}}'
        '@top-right{content:"Draft of 3 May 2026";font-size:8pt;font-family:text}',
    }[style.head]
    feet = {
        "": "",
        "number": "@bottom-center{content:counter(page);font-size:9pt;font-family:text}",
        "of": '@bottom-right{content:"Page " counter(page) " of " counter(pages);font-size:8pt;'
        "font-family:text}",
        "firm": '@bottom-left{content:"Harbour & Vale Ltd. \\2022  Reg. No. 4471829";font-size:7pt;'
        "font-family:text}@bottom-right{content:counter(page);font-size:8pt;font-family:text}",
    }[style.foot]
    rules = [
        f"@page{{size:{width}pt {height}pt;margin:{top:.0f}pt {side:.0f}pt;{heads}{feet}}}",
        f"body{{hyphens:{'auto' if style.hyphenated else 'manual'}}}h1,h2,h3,pre{{hyphens:manual}}",
        f".footnote{{float:footnote;font-size:{style.size * 0.8:.1f}pt;text-align:left}}"
        "::footnote-call{font-size:70%;vertical-align:super;line-height:1}",
    ]
    if style.columns == 2:
        rules.append(
            "body{column-count:2;column-gap:22pt}.title,.wide{column-span:all}.wide{width:100%}"
        )
    return "".join(rules)
