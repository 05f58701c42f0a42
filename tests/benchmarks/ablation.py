"""What each hand-set rule of the layout analysis is worth, in points of the scores.

Run: python -m tests.benchmarks.ablation FOLDER... [options].

Each rule of `RULES` is switched off in turn: its function is replaced by one that always gives the
neutral answer. Truth is a file beside the input: ``NAME.md`` (Markdown, with ``NAME.page.json``
holding ``{"page": 2}`` where it is of one page), ``NAME.tables.json`` (a list of tables as HTML) or
``NAME.txt`` (plain text). Files without truth only tell whether a rule changes the output.

Networks and PDF parsing run once a file: their results are kept while the rules are tried. A rule
is tried only on files on which its function gave another answer than the neutral one.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import importlib
import json
import pickle
import pkgutil
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

import ocrtool
from ocrtool.document.tree import DocumentTree
from ocrtool.evaluation.markdown_scores import score
from ocrtool.inputs.page_source import PdfPage
from ocrtool.layout.detector import Detector
from ocrtool.pipelines.api import Document, Reader
from ocrtool.readers.lines import LineReader
from ocrtool.tables.words import column_gaps

SUFFIXES = (".pdf", ".png", ".jpg", ".jpeg", ".tif", ".tiff")
ROOMS = ("documents", "layout", "pages", "readers", "reading_order", "structure", "tables")
FIGURES = ("text", "order", "headings", "tables", "words")

Function = Callable[..., Any]


def gives(value: Any) -> Function:
    """Return a function that always returns a value."""
    return lambda *_, **__: value


def first(*args: Any, **_: Any) -> Any:
    """Return the first argument unchanged."""
    return args[0]


def as_list(*args: Any, **_: Any) -> Any:
    """Return the first argument, a sequence, as a list."""
    return list(args[0])


NO, YES, NONE = gives(False), gives(True), gives(None)

RULES: dict[str, Function] = {
    # layout and pages: from the detector's maps to lines of text
    "layout.postprocess._lies_inside": lambda quads: np.zeros(len(quads), bool),
    "layout.detector._covered": NO,
    "layout.ruling_lines.table_rules": gives(()),
    "layout.ruling_lines._aligned": lambda rules, _: rules,
    "layout.ruling_lines._outside_text": as_list,
    "layout.ruling_lines._extend_by_faint": first,
    "layout.orientation.page_turn": gives(0),
    "pages.filters.drop_bleed_through": lambda _, read: list(read),
    "pages.filters.is_text": YES,
    "pages.filters.is_readable": YES,
    "pages.filters.without_unstable": as_list,
    "pages.filters.is_cell_text": YES,
    "tables.missed_cells.missed_lines": gives(([], frozenset())),
    # reading order
    "reading_order.rows.split_lines": as_list,
    "reading_order.columns._is_right_aligned": NO,
    "reading_order.columns._is_unaligned": NO,
    "reading_order.columns.in_rows": NO,
    "reading_order.columns._text_evidence": gives(0.0),
    "reading_order.columns._has_rule": NO,
    "reading_order.columns._cells_per_row": gives(0.0),
    "reading_order.gutters._inset": NONE,
    "reading_order.gutters._slabs": lambda _p, _b, _l, start, end: [(start, end)],
    "reading_order.gutters._usual_gap": gives(0.0),
    "reading_order.xy_cut._sides": lambda _, band: (band.left, band.right),
    "reading_order.xy_cut._pieces": lambda _p, chosen, _h: [[i] for i in chosen.tolist()],
    "reading_order.gutters._gutter": NONE,
    "reading_order.gutters._is_flanked": NO,
    # tables
    "tables.ruled.ruled_tables": gives(([], [])),
    "tables.ruled.with_rules": first,
    "tables.ruled._has_bars": NO,
    "tables.ruled._is_underline": NO,
    "tables.ruled._stacks": gives([]),
    "tables.ruled._is_wrapped": NO,
    "tables.ruled._is_running_text": NO,
    "tables.ruled._is_filled": YES,
    "tables.ruled._adjacent_lines": gives([]),
    "tables.ruled._rule_pitch": gives(0.0),
    "tables.ruled._is_spanning_header": NO,
    "tables.grid.Grid.is_table": YES,
    "tables.grid.Grid.is_long": YES,
    "tables.grid.Grid._parts": YES,
    "tables.grid.Grid._repeats": NO,
    "tables.grid.Grid._head_foot": lambda self: self.box.y0,
    "tables.grid.Grid._fit": NONE,
    "tables.grid.Grid._even": gives([]),
    "tables.grid.Grid._group": NONE,
    "tables.grid.Grid._share_out": NONE,
    "tables.grid.Grid._centre": NONE,
    "tables.grid.Grid._is_lined": NO,
    "tables.grid.Grid._join_heads": NONE,
    "tables.grid.Grid._join_unwalled": NONE,
    "tables.grid.Grid._join_tall": NONE,
    "tables.grid.Grid._heads": gives(1),
    "tables.grid.table_part": gives((-np.inf, np.inf)),
    "tables.words.continued_rows": lambda rows, *_: [False] * len(rows),
    "tables.words.is_prose": NO,
    "tables.words._wrapped": NO,
    "tables.words.best_column_gaps": lambda rows, height: column_gaps(rows, height),
    "tables.words._emptiest": lambda _, a, b, start: (start + a, start + b),
    "tables.borderless.is_code": NO,
    "tables.borderless._with_header": first,
    "tables.borderless.crossing_tables": gives([]),
    "tables.borderless.torn_tables": gives([]),
    "tables.borderless._are_typed": YES,
    "tables.borderless._are_two": NO,
    # structure
    "structure.blocks._rejoined": as_list,
    "structure.blocks._code_runs": lambda rows, _: [(0, len(rows), False)],
    "structure.blocks._trimmed": lambda _r, start, end, _m: (start, end),
    "structure.blocks._are_items": NO,
    "structure.blocks._captioned": as_list,
    "structure.blocks._wrapped": NO,
    "structure.blocks._covered": NO,
    "structure.equations.with_formulas": as_list,
    "structure.equations.with_numbers": first,
    "structure.equations._yields": NO,
    "structure.equations._says_so": YES,
    "structure.equations._is_number": NO,
    "structure.equations._are_one": NO,
    "structure.headers_footers.furnished": as_list,
    "structure.headers_footers._is_furniture": NO,
    "structure.headers_footers._is_dated": NO,
    "structure.headers_footers._with_notes": first,
    "structure.headers_footers._with_small_notes": first,
    "structure.native._gathered": lambda lines, boxes: (lines, boxes),
    "structure.native._marks": NO,
    "structure.native._is_dropped": NO,
    "structure.native._seeds": gives([]),
    "structure.native._is_sparse": NO,
    "structure.native._Pictures._with_edge": lambda _s, _b, inside, *_: inside,
    "structure.native._Pictures._prose": gives([]),
    "structure.native._Pictures._is_background": NO,
    "structure.paragraphs._set_as": gives(("paragraph", 0)),
    "structure.paragraphs._numbered_alike": NO,
    "structure.paragraphs._restyled": NO,
    "structure.paragraphs._is_item": NO,
    "structure.paragraphs._count_together": NO,
    "structure.paragraphs._sure_of_size": YES,
    "structure.paragraphs._continues": NO,
    "structure.quotes._is_quote": NO,
}
"""Rules by ``room.module.function`` below ``ocrtool``, and what replaces each function."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("sets", type=Path, nargs="+", help="folders of inputs with truth")
    parser.add_argument("--only", default="", help="rules whose name has this")
    parser.add_argument("--limit", type=int, default=0, help="files a set, evenly spread")
    parser.add_argument("--seconds", type=float, default=0.0, help="begin no file after these")
    args = parser.parse_args()
    rules = {name: rule for name, rule in RULES.items() if args.only in name}
    for room in ROOMS:  # a module that is imported later would keep a replaced function
        for module in pkgutil.iter_modules([str(Path(ocrtool.__path__[0], room))]):
            importlib.import_module(f"ocrtool.{room}.{module.name}")
    started, reader = time.perf_counter(), Reader()
    changed: dict[str, int] = defaultdict(int)
    gains: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    counts: dict[str, int] = defaultdict(int)
    files = [file for folder in args.sets for file in files_of(folder, args.limit)]
    done = 0
    with kept_results() as forget:
        for file in files:
            if args.seconds and time.perf_counter() - started > args.seconds:
                break
            forget()
            done += 1
            fired: set[str] = set()
            with watched(rules, fired):
                usual = converted(reader, file)
            marks = figures(file, usual)
            for name in marks:
                counts[name] += 1
            for rule in sorted(fired, key=list(rules).index):
                with switched_off(rule, rules[rule]):
                    other = converted(reader, file, tolerant=True)
                if same(usual.tree.pages, other.tree.pages):
                    continue
                changed[rule] += 1
                for name, mark in figures(file, other).items():
                    gains[rule][name] += 100 * (marks[name] - mark)
            print(f"{done}/{len(files)} {file.name}", file=sys.stderr)
    print(f"{done} files, {time.perf_counter() - started:.0f} s\n")
    scored = [name for name in FIGURES if counts[name]]
    print("| rule | files changed |", " | ".join(scored), "|")
    print("|---|---|" + "---|" * len(scored))
    for rule in sorted(changed, key=list(rules).index):
        means = (gains[rule][name] / counts[name] for name in scored)
        print(f"| `{rule}` | {changed[rule]} |", " | ".join(f"{m:+.2f}" for m in means), "|")
    print("\nNo output changes without:", ", ".join(r for r in rules if r not in changed))


def files_of(folder: Path, limit: int) -> list[Path]:
    """Return the inputs of a folder, evenly spread ones where there are more than the limit."""
    files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in SUFFIXES]
    if not limit or len(files) <= limit:
        return files
    return [files[i * len(files) // limit] for i in range(limit)]


def converted(reader: Reader, file: Path, tolerant: bool = False) -> Document:
    """Convert a file; if tolerant, an exception gives an empty document."""
    try:
        return reader.convert(file, page_of(file))
    except Exception as error:
        if not tolerant:
            raise
        print(f"{file.name}: {error!r}", file=sys.stderr)
        return Document(DocumentTree(file.name, ()))


def page_of(file: Path) -> str | None:
    """Return the number of the only page that there is a truth for, if so."""
    page = file.with_suffix(".page.json")
    return str(json.loads(page.read_text("utf-8"))["page"]) if page.exists() else None


def figures(file: Path, document: Document) -> dict[str, float]:
    """Return the scores of a document, 0 to 1 each, against the truth beside its file."""
    tables, markdown, text = (
        file.with_suffix(suffix) for suffix in (".tables.json", ".md", ".txt")
    )
    if tables.exists():
        truth = "\n\n".join(json.loads(tables.read_text("utf-8")))
        marks = score(truth, document.to_markdown())
        return {"tables": _mean_table([t.teds for t in marks.tables], marks.false_tables)}
    if markdown.exists():
        marks = score(markdown.read_text("utf-8"), document.to_markdown())
        named, said = marks.headings_found[1], marks.headings_right[1]
        found = {"text": marks.text, "order": _share(*marks.order)}
        found["headings"] = _share(2 * marks.headings_found[0], named + said)
        if marks.tables:
            found["tables"] = _mean_table([t.teds for t in marks.tables], marks.false_tables)
        return found
    if text.exists():
        wanted = text.read_text("utf-8").casefold().split()
        given = re.sub(r"\u00ad", "", document.text).casefold().split()
        similar = Levenshtein.normalized_similarity(" ".join(wanted), " ".join(given))
        rest, hits = list(given), 0
        for word in wanted:
            if word in rest:
                rest.remove(word)
                hits += 1
        return {"text": similar, "words": 2 * hits / max(1, len(wanted) + len(given))}
    return {}


def _mean_table(teds: Sequence[float], false_tables: int) -> float:
    """Return the mean similarity of tables, where one that is none counts as a wrong one."""
    return sum(teds) / max(1, len(teds) + false_tables)


def _share(right: int, of: int) -> float:
    return right / of if of else 1.0


# --------------------------------------------------------------------------- replaced functions


def _owner(name: str) -> tuple[Any, str]:
    """Return the module or class that holds a rule, and the name of its function there."""
    room, module, *rest = name.split(".")
    owner = importlib.import_module(f"ocrtool.{room}.{module}")
    for part in rest[:-1]:
        owner = getattr(owner, part)
    return owner, rest[-1]


@contextmanager
def replaced(name: str, function: Function) -> Iterator[None]:
    """Replace a function of a class or a module, and wherever it was imported."""
    owner, attribute = _owner(name)
    original = getattr(owner, attribute)
    places = [owner]
    if not isinstance(owner, type):
        loaded = [m for key, m in sorted(sys.modules.items()) if key.startswith("ocrtool")]
        places += [m for m in loaded if vars(m).get(attribute) is original and m is not owner]
    for place in places:
        setattr(place, attribute, function)
    try:
        yield
    finally:
        for place in places:
            setattr(place, attribute, original)


def switched_off(name: str, neutral: Function) -> Any:
    """Replace the function of a rule by its neutral form."""
    owner, attribute = _owner(name)
    return replaced(name, functools.wraps(getattr(owner, attribute))(neutral))


@contextmanager
def watched(rules: dict[str, Function], fired: set[str]) -> Iterator[None]:
    """Collect the rules whose functions give other answers than their neutral forms."""

    def watching(name: str, neutral: Function, original: Function) -> Function:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name not in fired and neutral is NONE:
                fired.add(name)  # it changes its arguments
            wanted = None if name in fired else neutral(*args, **kwargs)
            result = original(*args, **kwargs)
            if name not in fired and not same(result, wanted):
                fired.add(name)
            return result

        return functools.wraps(original)(call)

    contexts = []
    for name, neutral in rules.items():
        owner, attribute = _owner(name)
        contexts.append(replaced(name, watching(name, neutral, getattr(owner, attribute))))
        contexts[-1].__enter__()
    try:
        yield
    finally:
        for context in reversed(contexts):
            context.__exit__(None, None, None)


def same(one: Any, two: Any) -> bool:
    """Tell whether two results are equal, whatever they hold."""
    if isinstance(one, (bool, np.bool_)) or isinstance(two, (bool, np.bool_)):
        return bool(one) == bool(two)
    return one is two or repr(one) == repr(two) or pickle.dumps(one) == pickle.dumps(two)


# --------------------------------------------------------------------------- kept results


@contextmanager
def kept_results() -> Iterator[Callable[[], None]]:
    """Keep what the networks and the PDF library return; yields a function that forgets it."""
    store: dict[Any, Any] = {}

    def kept(name: str, key: Callable[..., Any], original: Function) -> Function:
        def call(*args: Any, **kwargs: Any) -> Any:
            place = (name, key(*args, **kwargs))
            if place not in store:
                store[place] = original(*args, **kwargs)
            return store[place]

        return functools.wraps(original)(call)

    def of_pixels(_: Any, pixels: Any, *rest: Any) -> Any:
        return hashlib.sha1(pixels.tobytes()).digest(), pixels.shape, rest

    def of_page(page: PdfPage, dpi: float) -> Any:
        return page.number, dpi

    read, reread = LineReader.read_stream, LineReader.reread_uncertain

    def read_stream(self: LineReader, images: Any) -> Iterator[Any]:
        given = list(images)
        places = [("line", of_pixels(self, pixels)) for _, pixels in given]
        missing = {p: image for p, image in zip(places, given, strict=True) if p not in store}
        store.update(zip(missing, read(self, list(missing.values())), strict=True))
        return iter([store[place] for place in places])

    def reread_uncertain(self: LineReader, first: Any) -> list[Any]:
        place = ("again", tuple((of_pixels(self, image), repr(said)) for image, said in first))
        if place not in store:
            store[place] = reread(self, first)
        return list(store[place])

    changes = [
        (Detector, "maps", kept("maps", of_pixels, Detector.maps)),
        (PdfPage, "native", kept("native", of_page, PdfPage.native)),
        (LineReader, "read_stream", read_stream),
        (LineReader, "reread_uncertain", reread_uncertain),
    ]
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    for owner, name, function in changes:
        setattr(owner, name, function)
    try:
        yield store.clear
    finally:
        for owner, name, function in originals:
            setattr(owner, name, function)


if __name__ == "__main__":
    main()
