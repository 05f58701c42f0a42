"""OmniDocBench: annotated regions of pages against the Markdown of a page.

Ouyang et al., "OmniDocBench: Benchmarking Diverse PDF Document Parsing with Comprehensive
Annotations", CVPR 2025; the JSON of versions 1.5 and 1.6. Of each page the text, the displayed
formulas, the tables and the reading order are scored: sums of edits over the page as a share of
the longer texts, then the mean over pages; TEDS is the mean over tables.

The benchmark pairs blocks by ``quick_match``, of which this is no copy. Here a block of the reading
belongs to the region whose text it overlaps most; regions and blocks that belong together are
compared joined in their order. Headers, footers, captions, footnotes and the like take their blocks
away from the score, as there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lxml.html
from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from ocrtool.evaluation.figures import Figure
from ocrtool.evaluation.items import Item, Reading, Task, TestSet
from ocrtool.evaluation.markdown_pieces import Piece, pieces
from ocrtool.evaluation.markdown_scores import TEDS, TEDS_S, teds
from ocrtool.evaluation.normalise import Comparison
from ocrtool.evaluation.protocol import Protocol, Score
from ocrtool.evaluation.truth import read_text, unique
from ocrtool.latex_syntax import LatexError, normal

TEXT = frozenset({"text_block", "title", "code_txt", "reference", "list_group"})
"""Categories of regions whose text is scored."""
ASIDE = frozenset(
    {
        "header", "footer", "page_number", "page_footnote", "abandon", "figure_caption",
        "figure_footnote", "table_caption", "table_footnote", "code_txt_caption",
        "equation_caption", "need_mask", "text_mask", "table_mask",
    }
)  # fmt: skip
"""Categories whose text a reading may have or lack."""
FORMULA = frozenset({"equation_isolated", "equation_semantic"})
"""Categories of displayed formulas."""
SAME = 50.0
"""Per cent of the shorter text that must be found in the longer one for a pair."""
_DISPLAY = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]", re.S)


def recognise(path: Path) -> str:
    """Return why a path is such a benchmark; empty where it is none."""
    file = _file_of(path)
    if file is None:
        return ""
    with file.open(encoding="utf-8", errors="replace") as content:
        head = content.read(1 << 20)
    is_list = head.lstrip().startswith("[") and '"layout_dets"' in head
    return "a JSON list of pages with layout_dets" if is_list else ""


def _file_of(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix == ".json" else None
    named = path / "OmniDocBench.json"
    if named.is_file():
        return named
    files = sorted(path.glob("*.json"))
    return files[0] if len(files) == 1 else None


def load(path: Path) -> TestSet:
    """Load pages whose images lie beside the file, in ``images/`` or in ``pdfs/`` as PDFs."""
    file = _file_of(path)
    assert file is not None  # recognised before
    text = read_text(file)
    try:
        pages = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        problem = f"{file}:{line}: not JSON: {error}"
        return TestSet(path, PROTOCOL.name, (), (problem,), recognise(path))
    items, problems = [], []
    for number, page in enumerate(pages, 1):
        origin = f"{file}: page {number}"
        try:
            name = Path(page["page_info"]["image_path"])
            regions = tuple(merged(page))
        except (KeyError, TypeError) as error:
            problems.append(f"{origin}: not a page of OmniDocBench: {error!r}")
            continue
        places = [folder / part for folder in (file.parent, file.parent / "images")
                  for part in (name, name.name)]  # fmt: skip
        source = next((place for place in places if place.is_file()), None)
        if source is None:
            problems.append(f"{origin}: {file.parent / name} is missing")
        elif not regions:
            problems.append(f"{origin}: no region that is scored")
        else:
            items.append(Item(name.stem, source, origin, facts=regions))
    return TestSet(path, PROTOCOL.name, unique(items), tuple(problems), recognise(path))


def merged(page: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Return regions in reading order; those that are parts of one are joined.

    Raises:
        KeyError: The page lacks a part; :class:`TypeError` where a part is of another kind.
    """
    relations = page.get("extra", {}).get("relation", ())
    follows = {
        relation["target_anno_id"]: relation["source_anno_id"]
        for relation in relations
        if relation.get("relation_type") == "truncated"
    }
    regions = {region["anno_id"]: dict(region) for region in page["layout_dets"]}
    for target, source in follows.items():
        seen = {target}
        while source in follows and source not in seen:
            seen.add(source)
            source = follows[source]
        if source in regions and target in regions and source != target:
            tail = regions.pop(target).get("text") or ""
            regions[source]["text"] = f"{regions[source].get('text') or ''} {tail}"
    ordered = sorted(regions.values(), key=lambda region: region.get("order") or 0)
    for region in ordered:
        kind = region["category_type"]
        content = region.get("html") or region.get("latex") or region.get("text") or ""
        scored = kind in TEXT or kind in FORMULA or kind == "table"
        if content.strip() and not region.get("ignore") and (scored or kind in ASIDE):
            yield {"kind": kind, "content": content, "order": region.get("order")}


TEXT_EDIT = Figure("text_edit", "Text edit", True, note="Mean over pages of edits of the text.")
ORDER_EDIT = Figure("order_edit", "Order edit", True, note="Edits of the sequence of regions.")
FORMULA_EDIT = Figure("formula_edit", "Formula edit", True, note="Edits of displayed formulas.")


def score(item: Item, reading: Reading, how: Comparison) -> Score:
    """Score a page."""
    formulas = [first or second for first, second in _DISPLAY.findall(reading.text)]
    parts = pieces(_DISPLAY.sub("\n\n", reading.text))
    found: Score = {}
    texts = [region for region in item.facts if region["kind"] not in FORMULA | {"table"}]
    pairs = list(paired(texts, [part for part in parts if part.kind != "table"]))
    scored = [pair for pair in pairs if pair.scored]
    if any(pair.regions for pair in scored):
        edits = sum(Levenshtein.distance(pair.truth, pair.said) for pair in scored)
        length = sum(max(len(pair.truth), len(pair.said)) for pair in scored)
        found["text_edit"] = (edits / max(length, 1), 1.0)
        # The pairs are in the order of the truth; blocks have the places of the reading.
        said = [pair.blocks[0] for pair in scored if pair.regions and pair.blocks]
        wanted = sorted(said)
        if len(said) > 1:
            found["order_edit"] = (Levenshtein.distance(said, wanted) / len(said), 1.0)
    truths = [region["content"] for region in item.facts if region["kind"] in FORMULA]
    if truths:
        found["formula_edit"] = (_formula_edit(truths, formulas), 1.0)
    tables = [region["content"] for region in item.facts if region["kind"] == "table"]
    if tables:
        values = _table_scores(tables, [part for part in parts if part.kind == "table"])
        found["teds"], found["teds_s"] = values
    return found


class Pair:
    """Regions and blocks that belong together.

    Attributes:
        regions: Indices of regions.
        blocks: Indices of blocks.
        truth: Compared characters of the regions.
        said: Compared characters of the blocks.
        scored: Whether it counts: not where a region may be left out.
    """

    def __init__(
        self, regions: Sequence[Mapping[str, Any]], texts: Sequence[str],
        region_indices: Sequence[int], block_indices: Sequence[int], truths: Sequence[str],
    ) -> None:  # fmt: skip
        self.regions = tuple(region_indices)
        self.blocks = tuple(sorted(block_indices))
        self.truth = "".join(truths[i] for i in self.regions)
        self.said = "".join(texts[i] for i in self.blocks)
        self.scored = not any(regions[i]["kind"] in ASIDE for i in self.regions)


def paired(regions: Sequence[Mapping[str, Any]], blocks: Sequence[Piece]) -> Iterator[Pair]:
    """Return pairs in the order of the regions, then the blocks that belong to none.

    Args:
        regions: Regions with text.
        blocks: Blocks of the reading.
    """
    truths = [compared(region["content"]) for region in regions]
    texts = [compared(block.text) for block in blocks]
    # Regions that one block covers, and blocks that one region covers, become one group.
    group = list(range(len(regions)))
    owner: dict[int, int] = {}
    for j, text in enumerate(texts):
        marks = [
            (fuzz.partial_ratio(text, truth), min(len(text), len(truth)), i)
            for i, truth in enumerate(truths)
            if text and truth
        ]
        good = [mark for mark in marks if mark[0] >= SAME]
        if not good:
            continue
        best = max(good)[2]
        owner[j] = best
        within = [i for ratio, _, i in good if ratio >= 90 and len(truths[i]) < len(text)]
        aside = regions[best]["kind"] in ASIDE
        for i in within if len(within) > 1 and not aside else ():
            if regions[i]["kind"] not in ASIDE:
                old, new = group[i], group[best]
                group = [new if value == old else value for value in group]
    for root in dict.fromkeys(group):
        members = [i for i in range(len(regions)) if group[i] == root]
        mine = [j for j, i in owner.items() if group[i] == root]
        yield Pair(regions, texts, members, mine, truths)
    for j in range(len(blocks)):
        if j not in owner and texts[j]:
            yield Pair(regions, texts, (), (j,), truths)


def compared(text: str) -> str:
    """Return the characters that the benchmark compares: letters and digits, without markup."""
    text = re.sub(r"<[^>]+>", "", text)
    text = re.sub(r"\\[a-zA-Z]+", "", text)
    return re.sub(r"[^\w]|_", "", text)


def _formula_edit(truths: Sequence[str], found: Sequence[str]) -> float:
    """Return edits as a share of the longer formulas; each formula is paired once, best first."""
    wanted, said = [_tokens(text) for text in truths], [_tokens(text) for text in found]
    edits, length = _matched(wanted, said)
    return edits / max(length, 1)


def _matched(wanted: Sequence[list[str]], said: Sequence[list[str]]) -> tuple[int, int]:
    marks = sorted(
        (Levenshtein.normalized_distance(a, b), i, j)
        for i, a in enumerate(wanted)
        for j, b in enumerate(said)
    )
    pairs: dict[int, int] = {}
    for _, i, j in marks:
        if i not in pairs and j not in pairs.values():
            pairs[i] = j
    edits = length = 0
    for i, truth in enumerate(wanted):
        other = said[pairs[i]] if i in pairs else []
        edits += Levenshtein.distance(truth, other)
        length += max(len(truth), len(other))
    return edits, length


def _tokens(latex: str) -> list[str]:
    try:
        return normal(re.sub(r"\\tag\*?\{[^}]*\}", "", latex))
    except LatexError:
        return list("".join(latex.split()))


def _table_scores(
    truths: Sequence[str], found: Sequence[Piece]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return sums of TEDS and TEDS-S, and the number of tables; each reading serves once."""
    wanted = [piece for html in truths for piece in pieces(html) if piece.kind == "table"]
    marks = sorted(
        (-teds(truth.html, piece.html), i, j)
        for i, truth in enumerate(wanted)
        for j, piece in enumerate(found)
    )
    pairs: dict[int, int] = {}
    for mark, i, j in marks:
        if mark < 0 and i not in pairs and j not in pairs.values():
            pairs[i] = j
    sums = [
        sum(teds(wanted[i].html, found[j].html, only) for i, j in pairs.items())
        for only in (False, True)
    ]
    count = float(len(truths))
    return (sums[0], count), (sums[1], count)


def explain(item: Item, reading: Reading, how: Comparison) -> Iterator[str]:
    """Tell the regions of a page."""
    for region in item.facts:
        content = region["content"]
        if region["kind"] == "table":
            content = " ".join(lxml.html.fromstring(content).text_content().split())
        yield f"{region['kind']}: {content}"


PROTOCOL = Protocol(
    "omnidocbench",
    "OmniDocBench: regions of pages against Markdown",
    Task.MARKDOWN,
    (TEXT_EDIT, ORDER_EDIT, FORMULA_EDIT, TEDS, TEDS_S),
    score,
    own_rules=True,
    left_out=(
        "CDM of formulas, and the overall score, which needs it",
        "pairing of blocks by quick_match; blocks are paired by the text they share",
    ),
    explain=explain,
    recognise=recognise,
    load=load,
)
