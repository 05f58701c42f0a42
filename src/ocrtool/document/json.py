"""The document tree as JSON and back; ``docs/formats.md`` tells the form in full.

Numbers are rounded: coordinates to a hundredth of a pixel, confidences to four digits, dots an
inch to two. Beyond that the way there and back changes nothing. What has its default value is
left out. Values that a later version may add are passed over when they are read, a later
``schema`` is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast, get_args

from ocrtool.document.tree import (
    Block,
    BlockKind,
    Box,
    Cell,
    DocumentTree,
    FormField,
    Line,
    Page,
    Point,
    Quad,
    Span,
    Word,
)
from ocrtool.errors import InputError

SCHEMA = 1
"""Version of the form; raised when a reader of the old form would misread the new one."""
DIGITS = 2
"""Of coordinates in pixels and of dots an inch."""
CONFIDENCE_DIGITS = 4

KINDS: frozenset[str] = frozenset(get_args(BlockKind))


def to_json(document: DocumentTree, min_confidence: float = 0.0) -> str:
    """Return a document as JSON on one line.

    Args:
        document: What to write.
        min_confidence: Words below it (0 to 1) are marked with ``"doubtful": true``.
    """
    return dump(to_record(document, min_confidence))


def from_json(text: str) -> DocumentTree:
    """Return the document that :func:`to_json` wrote.

    Raises:
        InputError: It is no JSON, no such document, or of a later schema.
    """
    try:
        record = json.loads(text)
    except ValueError as error:
        raise InputError(f"not JSON: {error}") from None
    return from_record(record)


def dump(record: Mapping[str, Any]) -> str:
    """Return plain values as JSON on one line; characters stand as they are.

    Raises:
        ValueError: A number is infinite or none at all.
    """
    return json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def to_record(document: DocumentTree, min_confidence: float = 0.0) -> dict[str, Any]:
    """Return a document as plain values."""
    return {
        "schema": SCHEMA,
        "source": document.source,
        "facts": dict(document.metadata),
        "pages": [page_record(page, min_confidence) for page in document.pages],
    }


def page_record(page: Page, min_confidence: float = 0.0) -> dict[str, Any]:
    """Return a page as plain values."""
    return {
        "number": page.number,
        "width": page.width,
        "height": page.height,
        **_unless(0, turned=page.turned),
        **_unless(0, dpi=_rounded(page.dpi, DIGITS)),
        **_unless("", error=page.error, warning=page.warning),
        **_unless(0, doubtful_lines=page.doubtful_lines, unread_lines=page.unread_lines),
        **_unless([], fields=[_field(field) for field in page.fields]),
        "blocks": [block_record(block, min_confidence) for block in page.blocks],
    }


def _field(field: FormField) -> dict[str, Any]:
    return {
        "name": field.name,
        "kind": field.kind,
        "value": field.value,
        "box": _box(field.box),
        **_unless(True, shown=field.shown),
    }


def block_record(block: Block, min_confidence: float = 0.0) -> dict[str, Any]:
    """Return a block as plain values."""
    return {
        "kind": block.kind,
        "box": _box(block.box),
        "text": block.text,
        **_unless(0, level=block.level),
        **_unless("", latex=block.latex, image=block.image),
        **_unless(False, continued=block.continued),
        "lines": _lines(block.lines, min_confidence),
        **_unless([], cells=[_cell(cell, min_confidence) for cell in block.cells]),
        **_unless([], rules=[_box(rule) for rule in block.rules]),
    }


def _box(box: Box) -> list[float]:
    return [_rounded(value, DIGITS) for value in (box.x0, box.y0, box.x1, box.y1)]


def _cell(cell: Cell, min_confidence: float) -> dict[str, Any]:
    return {
        "row": cell.row,
        "column": cell.column,
        **_unless(1, row_span=cell.row_span, column_span=cell.column_span),
        **_unless(False, header=cell.header),
        "lines": _lines(cell.lines, min_confidence),
    }


def _lines(lines: Sequence[Line], min_confidence: float) -> list[dict[str, Any]]:
    return [
        {
            **_read(line),
            **_unless(0, size=_rounded(line.size, DIGITS)),
            **_unless([], spans=[_span(span) for span in line.spans]),
            **_unless("", reader=line.reader),
            **_unless(False, doubtful=line.is_doubtful),
            "words": [_word(word, min_confidence) for word in line.words],
        }
        for line in lines
    ]


def _span(span: Span) -> dict[str, Any]:
    return {
        "start": span.start,
        "end": span.end,
        **_unless(False, bold=span.bold, italic=span.italic, mono=span.mono),
        **_unless(0, script=span.script),
        **_unless("", link=span.link),
        **_unless(False, struck=span.struck),
    }


def _word(word: Word, min_confidence: float) -> dict[str, Any]:
    return {**_read(word), **_unless(False, doubtful=word.confidence < min_confidence)}


def _read(part: Line | Word) -> dict[str, Any]:
    return {
        "text": part.text,
        "confidence": _rounded(part.confidence, CONFIDENCE_DIGITS),
        "quad": [[_rounded(x, DIGITS), _rounded(y, DIGITS)] for x, y in part.quad],
    }


def _rounded(value: float, digits: int) -> float:
    """Round, whole numbers without a point. NumPy's numbers become Python's."""
    number = round(float(value), digits)
    return int(number) if number.is_integer() else number


def _unless(default: object, **values: Any) -> dict[str, Any]:
    """Return those values that are not the default."""
    return {name: value for name, value in values.items() if value != default}


def from_record(record: object) -> DocumentTree:
    """Return the document that :func:`to_record` gave.

    Raises:
        InputError: It is no such document, or of a later schema.
    """
    if not isinstance(record, Mapping) or "schema" not in record:
        raise InputError("not a document of ocrtool: it has no schema")
    if record["schema"] != SCHEMA or isinstance(record["schema"], bool):
        raise InputError(
            f"the document has schema {record['schema']!r}, known is {SCHEMA}",
            "read it with the version of ocrtool that wrote it",
        )
    try:
        return DocumentTree(
            source=_text(record["source"]),
            pages=tuple(page_from(page) for page in record["pages"]),
            metadata={_text(name): _text(fact) for name, fact in record.get("facts", {}).items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(f"not a document of ocrtool: {reason}") from None


def page_from(record: Mapping[str, Any]) -> Page:
    """Return the page that :func:`page_record` gave.

    Raises:
        KeyError: A value is missing.
        ValueError: A value cannot be; so :class:`TypeError` and :class:`AttributeError`.
    """
    return Page(
        number=int(record["number"]),
        width=int(record["width"]),
        height=int(record["height"]),
        blocks=tuple(_block_from(block) for block in record["blocks"]),
        turned=int(record.get("turned", 0)),
        dpi=float(record.get("dpi", 0)),
        error=_text(record.get("error", "")),
        warning=_text(record.get("warning", "")),
        unread_lines=int(record.get("unread_lines", 0)),
        fields=tuple(
            FormField(
                _text(field["name"]),
                _text(field["kind"]),
                _text(field["value"]),
                _box_from(field["box"]),
                bool(field.get("shown", True)),
            )
            for field in record.get("fields", ())
        ),
    )


def _block_from(record: Mapping[str, Any]) -> Block:
    if record["kind"] not in KINDS:
        raise ValueError(f"there is no kind of block {record['kind']!r}")
    return Block(
        kind=cast(BlockKind, record["kind"]),
        box=_box_from(record["box"]),
        lines=_lines_from(record["lines"]),
        text=_text(record["text"]),
        level=int(record.get("level", 0)),
        cells=tuple(_cell_from(cell) for cell in record.get("cells", ())),
        rules=tuple(_box_from(rule) for rule in record.get("rules", ())),
        latex=_text(record.get("latex", "")),
        image=_text(record.get("image", "")),
        continued=bool(record.get("continued", False)),
    )


def _box_from(values: Sequence[float]) -> Box:
    x0, y0, x1, y1 = map(float, values)
    return Box(x0, y0, x1, y1)


def _cell_from(record: Mapping[str, Any]) -> Cell:
    return Cell(
        row=int(record["row"]),
        column=int(record["column"]),
        row_span=int(record.get("row_span", 1)),
        column_span=int(record.get("column_span", 1)),
        lines=_lines_from(record["lines"]),
        header=bool(record.get("header", False)),
    )


def _lines_from(records: Sequence[Mapping[str, Any]]) -> tuple[Line, ...]:
    return tuple(
        Line(
            text=_text(record["text"]),
            confidence=float(record["confidence"]),
            quad=_quad_from(record["quad"]),
            words=tuple(
                Word(_text(word["text"]), float(word["confidence"]), _quad_from(word["quad"]))
                for word in record["words"]
            ),
            size=float(record.get("size", 0)),
            spans=tuple(_span_from(span) for span in record.get("spans", ())),
            reader=_text(record.get("reader", "")),
        )
        for record in records
    )


def _span_from(record: Mapping[str, Any]) -> Span:
    script = int(record.get("script", 0))
    if script not in (-1, 0, 1):
        raise ValueError(f"script is -1, 0 or 1, not {script}")
    return Span(
        start=int(record["start"]),
        end=int(record["end"]),
        bold=bool(record.get("bold", False)),
        italic=bool(record.get("italic", False)),
        mono=bool(record.get("mono", False)),
        script=cast(Literal[-1, 0, 1], script),
        link=_text(record.get("link", "")),
        struck=bool(record.get("struck", False)),
    )


def _quad_from(points: Sequence[Sequence[float]]) -> Quad:
    head, after, below, foot = (_point(x, y) for x, y in points)
    return head, after, below, foot


def _point(x: float, y: float) -> Point:
    return float(x), float(y)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
