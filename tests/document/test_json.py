from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrtool.document.json import from_json, page_record, to_json
from ocrtool.document.tree import Block, BlockKind, Box, Cell, DocumentTree, Line, Page, Span, Word
from ocrtool.errors import InputError

# What is rounded already comes back as it was.
coordinates = st.integers(-10_000, 10_000_000).map(lambda n: n / 100)
confidences = st.integers(0, 10_000).map(lambda n: n / 10_000)
texts = st.sampled_from(["", "a", "Zażółć", '\u2028\\"', "x\ny\0", "\U0001f642"])
points = st.tuples(coordinates, coordinates)
quads = st.tuples(points, points, points, points)
words = st.builds(Word, texts, confidences, quads)
flags = st.booleans()
spans = st.builds(
    Span, st.integers(0, 3), st.integers(0, 9), flags, flags, flags, st.sampled_from([-1, 0, 1]),
    texts,
)  # fmt: skip
lines = st.builds(
    Line,
    texts,
    confidences,
    quads,
    st.lists(words, max_size=2).map(tuple),
    st.integers(0, 9_000).map(lambda n: n / 100),
    st.lists(spans, max_size=2).map(tuple),
)
some_lines = st.lists(lines, max_size=2).map(tuple)
counts, places = st.integers(1, 3), st.integers(0, 9)
cells = st.builds(Cell, places, places, counts, counts, some_lines, st.booleans())
boxes = st.builds(Box, coordinates, coordinates, coordinates, coordinates)
blocks = st.builds(
    Block,
    st.sampled_from(get_args(BlockKind)),
    boxes,
    some_lines,
    texts,
    st.integers(0, 6),
    st.lists(cells, max_size=2).map(tuple),
    texts,
    texts,
    flags,
)
pages = st.builds(
    Page,
    st.integers(1, 2_000),
    st.integers(0, 99_999),
    st.integers(0, 99_999),
    st.lists(blocks, max_size=2).map(tuple),
    st.sampled_from([0, 90, 180, 270]),
    st.integers(0, 240_000).map(lambda n: n / 100),
    texts,
)
documents = st.builds(
    DocumentTree, texts, st.lists(pages, max_size=2).map(tuple), st.dictionaries(texts, texts)
)

QUAD = ((0.0, 0.0), (9.0, 0.0), (9.0, 3.0), (0.0, 3.0))


def sample(**changes: Any) -> dict[str, Any]:
    word = Word("ab", 0.5, QUAD)
    block = Block("table", Box(0, 0, 9, 3), (Line("ab", 0.5, QUAD, (word,)),), "ab")
    record: dict[str, Any] = json.loads(to_json(DocumentTree("x", (Page(1, 10, 4, (block,)),))))
    return {**record, **changes}


@settings(max_examples=40, deadline=None)
@given(documents)
def test_there_and_back_changes_nothing(document: DocumentTree) -> None:
    text = to_json(document)
    assert from_json(text) == document
    check(json.loads(text), SCHEMA)


def test_numbers_are_rounded() -> None:
    word = Word("a", 1 / 3, tuple((x + 1 / 3, y) for x, y in QUAD))  # type: ignore[arg-type]
    block = Block("paragraph", Box(2 / 3, 0, 1, 1), (Line("a", 0.99999, QUAD, (word,)),), "a")
    (page,) = from_json(to_json(DocumentTree("x", (Page(1, 9, 9, (block,), dpi=299.9994),)))).pages
    line = page.blocks[0].lines[0]
    assert page.blocks[0].box.x0 == 0.67 and page.dpi == 300 and line.confidence == 1.0
    assert line.words[0].confidence == 0.3333 and line.words[0].quad[0] == (0.33, 0.0)


def test_defaults_are_left_out_and_whole_numbers_have_no_point() -> None:
    assert page_record(Page(1, 10, 20, (Block("figure", Box(1.0, 2.0, 3.5, 4.0)),))) == {
        "number": 1,
        "width": 10,
        "height": 20,
        "blocks": [{"kind": "figure", "box": [1, 2, 3.5, 4], "text": "", "lines": []}],
    }
    assert '"box":[0,0,9,3]' in json.dumps(sample(), separators=(",", ":"))


def test_words_in_doubt_are_marked_and_read_back() -> None:
    document = from_json(json.dumps(sample()))
    text = to_json(document, min_confidence=0.6)
    assert text.count('"doubtful":true') == 2  # the word, and its line, which is doubtful by itself
    assert from_json(text) == document
    assert to_json(document, min_confidence=0.5).count('"doubtful":true') == 1
    assert '"doubtful_lines":1' in text
    check(json.loads(text), SCHEMA)


def test_what_a_later_version_adds_is_passed_over() -> None:
    record = sample(language="de")
    record["pages"][0]["blocks"][0]["colour"] = "red"
    assert from_json(json.dumps(record)) == from_json(json.dumps(sample()))


@pytest.mark.parametrize("schema", [2, 0, "1", None, True])
def test_unknown_schemas_are_refused(schema: object) -> None:
    with pytest.raises(InputError, match=f"schema {schema!r}, known is 1"):
        from_json(json.dumps(sample(schema=schema)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "no schema"),
        ('{"pages": []}', "no schema"),
        ('{"schema": 1, "source": "x"}', "'pages' is missing"),
        (json.dumps(sample(pages=3)), "not a document"),
        (json.dumps(sample(source=3)), "3 is no text"),
        (json.dumps(sample()).replace('"table"', '"poem"'), "kind of block 'poem'"),
        (json.dumps(sample()).replace("[9, 3],", "[9],"), "not a document"),
    ],
)
def test_what_is_no_document_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_json(text)


def test_numbers_that_json_lacks_are_refused() -> None:
    word = Word("a", float("nan"), QUAD)
    block = Block("list", Box(0, 0, 1, 1), (Line("a", 1, QUAD, (word,)),))
    with pytest.raises(ValueError, match="Out of range"):
        to_json(DocumentTree("x", (Page(1, 1, 1, (block,)),)))


SCHEMA: dict[str, Any] = json.loads(
    files("ocrtool.document").joinpath("schema.json").read_text("utf-8")
)
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}


def check(value: Any, rule: dict[str, Any]) -> None:
    """Hold a value against the part of JSON Schema that the shipped file uses."""
    if "$ref" in rule:
        rule = SCHEMA["$defs"][rule["$ref"].removeprefix("#/$defs/")]
    if "const" in rule:
        assert value == rule["const"]
    if "enum" in rule:
        assert value in rule["enum"]
    kind = rule.get("type")
    if kind == "number":
        assert isinstance(value, int | float) and not isinstance(value, bool)
    elif kind:
        assert isinstance(value, TYPES[kind]), (value, kind)
    if kind in ("number", "integer"):
        assert rule.get("minimum", value) <= value <= rule.get("maximum", value)
    if kind == "object":
        assert set(rule.get("required", ())) <= set(value)
        known = rule.get("properties", {})
        other = rule.get("additionalProperties")
        for name, part in value.items():
            assert name in known or other, name  # what we write is all described
            check(part, known.get(name, other))
    if kind == "array":
        assert rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", len(value))
        for part in value:
            check(part, rule["items"])
    assert "default" not in rule or isinstance(value, bool) or value != rule["default"]


def test_the_schema_lists_every_kind_of_block() -> None:
    kinds = SCHEMA["$defs"]["block"]["properties"]["kind"]["enum"]
    assert set(kinds) == set(get_args(BlockKind))
