"""hOCR and ALTO: well-formed, of the right structure, with everything at its place."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from ocrtool.document.geometry import angle, baseline, is_upright
from ocrtool.document.tree import Block, Box, Line, Page, Word
from ocrtool.writers import PageInput
from writers.drawing import all_words, block, written

XHTML = "{http://www.w3.org/1999/xhtml}"
ALTO = "{http://www.loc.gov/standards/alto/ns-v4#}"

BLOCKS = "(TextBlock|Illustration|GraphicalElement|ComposedBlock)"
FLOAT, NAME, ANY = r"-?\d+(\.\d+)?", r"[A-Za-z_][\w.-]*", r".*"
UNIT = r"0(\.\d+)?|1(\.0+)?"
POINTS = rf"{FLOAT},{FLOAT}( {FLOAT},{FLOAT})+"
PLACE = {"HPOS": FLOAT, "VPOS": FLOAT, "WIDTH": FLOAT, "HEIGHT": FLOAT}
TAGGED = {**PLACE, "TAGREFS": rf"{NAME}( {NAME})*"}
# What the schema, version 4.4, says of the elements that are used here: children in their order;
# attributes that there must be; others that there may be.
RULES: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "alto": ("(Description)?(Styles)?(Tags)?(ReadingOrder)?Layout", {}, {"SCHEMAVERSION": ANY}),
    "Description": ("MeasurementUnit(sourceImageInformation)?(Processing)*", {}, {}),
    "MeasurementUnit": ("", {}, {}),
    "sourceImageInformation": ("(fileName)?(fileIdentifier)*(documentIdentifier)*", {}, {}),
    "fileName": ("", {}, {}),
    "Processing": (
        "(processingCategory)?(processingDateTime)?(processingAgency)?"
        "(processingStepDescription)*(processingStepSettings)?(processingSoftware)?",
        {"ID": NAME},
        {},
    ),
    "processingCategory": ("", {}, {}),
    "processingSoftware": (
        "(softwareCreator)?(softwareName)?(softwareVersion)?(applicationDescription)?",
        {},
        {},
    ),
    "softwareName": ("", {}, {}),
    "softwareVersion": ("", {}, {}),
    "Tags": ("(LayoutTag|StructureTag|RoleTag|NamedEntityTag|OtherTag)*", {}, {}),
    "LayoutTag": ("(XmlData)?", {"ID": NAME, "LABEL": ANY}, {}),
    "Layout": ("(Page)+", {}, {}),
    "Page": (
        "(TopMargin)?(LeftMargin)?(RightMargin)?(BottomMargin)?(PrintSpace)?",
        {"ID": NAME, "PHYSICAL_IMG_NR": r"\d+"},
        {"WIDTH": FLOAT, "HEIGHT": FLOAT, "PC": UNIT},
    ),
    "PrintSpace": (f"(Shape)?{BLOCKS}*", {}, PLACE),
    "TextBlock": ("(Shape)?(TextLine)*", {"ID": NAME}, TAGGED),
    "Illustration": ("(Shape)?", {"ID": NAME}, TAGGED),
    "ComposedBlock": (f"(Shape)?{BLOCKS}*", {"ID": NAME}, TAGGED),
    "TextLine": ("(Shape)?(String(SP)?)+(HYP)?", {}, {"ID": NAME, **TAGGED, "BASELINE": POINTS}),
    "String": (
        "(Shape)?(ALTERNATIVE)*(Glyph)*",
        {"CONTENT": ANY},
        {"ID": NAME, **TAGGED, "WC": UNIT},
    ),
    "SP": ("", {}, PLACE),
    "Shape": ("(Polygon|Ellipse|Circle)", {}, {}),
    "Polygon": ("", {"POINTS": POINTS}, {}),
}


def check_alto(text: str) -> ElementTree.Element:
    root = ElementTree.fromstring(text)
    names: list[str] = []
    references: list[str] = []
    for element in root.iter():
        assert element.tag.startswith(ALTO)
        name = element.tag.removeprefix(ALTO)
        children, required, optional = RULES[name]
        given = "".join(child.tag.removeprefix(ALTO) for child in element)
        assert re.fullmatch(children, given), (name, given)
        attributes = {key: value for key, value in element.attrib.items() if key[0] != "{"}
        assert required.keys() <= attributes.keys() <= required.keys() | optional.keys()
        for key, value in attributes.items():
            assert re.fullmatch({**required, **optional}[key], value), (name, key, value)
        names += [attributes["ID"]] if "ID" in attributes else []
        references += attributes.get("TAGREFS", "").split()
        if len(element):
            assert not (element.text or "").strip()
    assert len(set(names)) == len(names) and set(references) <= set(names)
    assert root.findtext(f"{ALTO}Description/{ALTO}MeasurementUnit") == "pixel"
    return root


def test_alto_obeys_the_schema(two_pages: tuple[PageInput, PageInput]) -> None:
    root = check_alto(written("alto", *two_pages))
    pages = root.findall(f".//{ALTO}Page")
    assert [page.get("PHYSICAL_IMG_NR") for page in pages] == ["1", "2"]
    assert root.findtext(f".//{ALTO}fileName") == "a & b.jpg"
    assert root.tag == f"{ALTO}alto" and root.get("SCHEMAVERSION") == "4.4"


def test_alto_has_every_word_at_its_place(sheet: PageInput) -> None:
    root = check_alto(written("alto", sheet))
    words = all_words(sheet.page)
    strings = root.findall(f".//{ALTO}String")
    assert [string.get("CONTENT") for string in strings] == [word.text for word in words]
    for string, word in zip(strings, words, strict=True):
        box = word.box
        place = [float(string.get(key, "")) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT")]
        assert place == pytest.approx([box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0], abs=0.01)
        assert float(string.get("WC", "")) == pytest.approx(word.confidence)
        assert (string.find(f"{ALTO}Shape") is None) == is_upright(word.quad)
    spaces = root.findall(f".//{ALTO}SP")
    assert len(spaces) == len(words) - len(root.findall(f".//{ALTO}TextLine"))
    kinds = [b.get("TAGREFS") for b in root.find(f".//{ALTO}PrintSpace") or ()]
    assert kinds == [f"kind_{b.kind}" for b in sheet.page.blocks]


def test_alto_of_odd_pages() -> None:
    quad = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
    wordless = Line("two words", 0.5, quad)
    blank = Line(" ", 0.5, quad)
    signs = Line("x", 0.5, quad, (Word("<\"&'>\x00\x0b\ud800", 1.0, quad),))
    picture = Block("figure", Box(0, 0, 9, 9), (wordless,), "two words")
    page = Page(7, 9, 9, (picture, block("paragraph", blank, signs)))
    root = check_alto(
        written("alto", PageInput('"<&>".png', page), PageInput('"<&>".png', Page(8, 1, 1)))
    )
    strings = [string.get("CONTENT") for string in root.iter(f"{ALTO}String")]
    assert strings == ["two", "words", "<\"&'>"]
    assert root.find(f".//{ALTO}ComposedBlock/{ALTO}Illustration") is not None


def title(element: ElementTree.Element) -> dict[str, list[str]]:
    """The properties of an element of hOCR."""
    parts = (part.split() for part in element.get("title", "").split(";"))
    return {name: values for name, *values in parts}


def of_class(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in root.iter() if element.get("class") == name]


def test_hocr_nests_pages_areas_paragraphs_lines_and_words(
    two_pages: tuple[PageInput, PageInput],
) -> None:
    root = ElementTree.fromstring(written("hocr", *two_pages))
    assert root.tag == f"{XHTML}html"
    assert root.findtext(f"{XHTML}head/{XHTML}title") == "Tëst"
    metas = {m.get("name"): m.get("content", "") for m in root.iter(f"{XHTML}meta")}
    assert (metas["ocr-system"] or "").startswith("ocrtool ")
    used = {element.get("class") for element in root.iter() if element.get("class")}
    assert used <= set((metas["ocr-capabilities"] or "").split())
    names = [element.get("id") for element in root.iter() if element.get("class")]
    assert None not in names and len(set(names)) == len(names)
    nesting = {
        "ocr_page": {"ocr_carea", "ocr_photo"},
        "ocr_carea": {"ocr_par"},
        "ocr_par": {"ocr_line", "ocr_header", "ocr_caption"},
        "ocr_line": {"ocrx_word"},
        "ocr_header": {"ocrx_word"},
        "ocr_caption": {"ocrx_word"},
    }
    for element in root.iter():
        inside = {child.get("class") for child in element}
        if element.get("class") in nesting:
            assert inside <= nesting[element.get("class", "")]
    pages = of_class(root, "ocr_page")
    assert [title(page)["ppageno"] for page in pages] == [["0"], ["1"]]
    assert title(pages[0])["bbox"] == ["0", "0", "900", "1000"]
    assert title(pages[0])["scan_res"] == ["150", "150"]
    assert 'image "a & b.jpg"' in pages[0].get("title", "")


def test_hocr_has_every_word_at_its_place(sheet: PageInput) -> None:
    root = ElementTree.fromstring(written("hocr", sheet))
    words, elements = all_words(sheet.page), of_class(root, "ocrx_word")
    assert [element.text for element in elements] == [word.text for word in words]
    for element, word in zip(elements, words, strict=True):
        box = word.box
        numbers = [int(number) for number in title(element)["bbox"]]
        assert numbers == pytest.approx([box.x0, box.y0, box.x1, box.y1], abs=0.5)
        assert title(element)["x_wconf"] == [str(round(100 * word.confidence))]


def test_baselines_are_where_letters_stand(sheet: PageInput) -> None:
    root = ElementTree.fromstring(written("hocr", sheet))
    heading = title(of_class(root, "ocr_header")[0])
    assert heading["baseline"] == ["0", "0"]  # "Größe & Maß" has nothing below it
    slope, offset = map(float, title(of_class(root, "ocr_line")[0])["baseline"])
    assert slope == 0 and -8 < offset < -4  # "Zażółć gęślą jaźń, read" has, 6 of 26 pixels
    tilted = title(of_class(root, "ocr_caption")[0])
    slope, offset = map(float, tilted["baseline"])
    assert math.degrees(math.atan(-slope)) == pytest.approx(15, abs=0.2)
    assert abs(offset) < 2
    upwards = [title(element) for element in of_class(root, "ocr_line")][-2]
    assert float(upwards["textangle"][0]) == pytest.approx(90) and "baseline" not in upwards


def test_geometry_of_quads(page: Page) -> None:
    tilted, upright = page.blocks[7].lines[0], page.blocks[8].lines[0]
    assert angle(tilted.quad) == pytest.approx(15) and not is_upright(tilted.quad)
    assert angle(upright.quad) == pytest.approx(90)
    assert angle(page.blocks[0].lines[0].quad) == 0 and is_upright(page.blocks[0].lines[0].quad)
    start, end = baseline(replace(tilted, text="aceno"))
    assert start == tilted.quad[3] and end == tilted.quad[2]
    assert angle(((1, 1), (1, 1), (1, 1), (1, 1))) == 0  # of no size
