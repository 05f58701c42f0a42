"""Text of ALTO and PAGE XML in the order that the file states.

ALTO (schema of the Library of Congress, versions 2 to 4): words are ``String`` elements of a
``TextLine``; a word split at the end of a line has its two halves, the second marked by
``SUBS_TYPE="HypPart2"``, and the hyphen in an ``HYP`` element. PAGE (PRImA, Pletschacher &
Antonacopoulos, ICPR 2010): text is the ``TextEquiv`` with the lowest index of a line, or of its
words, or of the region; regions follow the ``ReadingOrder`` where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from ocrtool.errors import InputError

MAX_DEPTH = 8
"""Number of levels of nested regions that are followed."""


def text_of_xml(content: str) -> str:
    """Return the text of an ALTO or PAGE file: lines, and a blank line between regions.

    Raises:
        InputError: It is neither, or not well-formed.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)
    try:
        root = etree.fromstring(content.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise InputError(f"line {error.lineno}: not well-formed XML ({error.msg})") from None
    kind = _name(root)
    if kind == "alto":
        regions = [_alto_block(block) for block in _all(root, "TextBlock")]
    elif kind == "PcGts":
        regions = [_page_region(region) for region in _page_regions(root)]
    else:
        raise InputError(f"neither ALTO nor PAGE XML, but <{kind}>")
    return "\n\n".join(region for region in regions if region)


def _name(element: etree._Element) -> str:
    """Return the name of an element without its namespace, which differs between versions."""
    return str(etree.QName(element).localname)


def _all(element: etree._Element, name: str) -> list[etree._Element]:
    return [child for child in element.iter(etree.Element) if _name(child) == name]


def _children(element: etree._Element, name: str) -> list[etree._Element]:
    return [child for child in element.iterchildren(etree.Element) if _name(child) == name]


def _alto_block(block: etree._Element) -> str:
    lines = []
    for line in _children(block, "TextLine"):
        words, hyphen = [], ""
        for part in line.iterchildren(etree.Element):
            if _name(part) == "String":
                words.append(str(part.get("CONTENT", "")))
            elif _name(part) == "HYP":
                hyphen = str(part.get("CONTENT") or "-")
        text = " ".join(words)
        lines.append(text if text.endswith(hyphen) else text + hyphen)
    return "\n".join(lines)


def _page_regions(root: etree._Element) -> Iterator[etree._Element]:
    """Return text regions: those of the reading order first, then the others as they stand."""
    regions = {str(region.get("id")): region for region in _all(root, "TextRegion")}
    for order in _all(root, "ReadingOrder"):
        for name in _references(order, 0):
            if name in regions:
                yield regions.pop(name)
    yield from regions.values()


def _references(group: etree._Element, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        return
    entries = list(group.iterchildren(etree.Element))
    if "Unordered" not in _name(group):
        entries.sort(key=lambda entry: int(entry.get("index") or 0))
    for entry in entries:
        if entry.get("regionRef"):
            yield str(entry.get("regionRef"))
        yield from _references(entry, depth + 1)


def _page_region(region: etree._Element) -> str:
    lines = [_page_line(line) for line in _children(region, "TextLine")]
    return "\n".join(lines) if any(lines) else _equivalent(region)


def _page_line(line: etree._Element) -> str:
    return _equivalent(line) or " ".join(
        text for text in map(_equivalent, _children(line, "Word")) if text
    )


def _equivalent(element: etree._Element) -> str:
    texts = sorted(_children(element, "TextEquiv"), key=lambda text: int(text.get("index") or 0))
    for text in texts:
        for content in _children(text, "Unicode"):
            if content.text:
                return str(content.text).strip()
    return ""
