"""Images of formulas and their LaTeX: tables of labels, UniMER-Test, im2latex, CROHME label files.

Formulas are compared as tokens of the normal form of :mod:`ocrtool.latex_syntax`, in which formulas
that look the same are the same. CDM, which compares drawn formulas, is not computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Levenshtein
from sacrebleu.metrics.bleu import BLEU as SacreBleu

from ocrtool.evaluation.figures import Array, Figure
from ocrtool.evaluation.items import Item, Reading, Task, TestSet
from ocrtool.evaluation.normalise import Comparison
from ocrtool.evaluation.protocol import Protocol, Score
from ocrtool.evaluation.truth import read_text, unique
from ocrtool.inputs.paths import IMAGE_SUFFIXES
from ocrtool.latex_syntax import LatexError, normal

ORDER = 4
"""Longest n-gram of BLEU, in tokens."""
UNIMER_PARTS = ("spe", "cpe", "sce", "hwe")
"""Simple, complex, screen-captured and handwritten expressions of UniMER-Test."""


def bleu(sums: Array) -> Array:
    """Return BLEU-4 from sums of matching n-grams, n-grams and lengths. Shape (..., 10)."""
    flat = sums.reshape(-1, sums.shape[-1])
    values = [
        SacreBleu.compute_bleu(
            correct=[int(value) for value in row[:ORDER]],
            total=[int(value) for value in row[ORDER : 2 * ORDER]],
            sys_len=int(row[-2]),
            ref_len=int(row[-1]),
            smooth_method="none",
        ).score
        / 100
        if row[-1]
        else float("nan")
        for row in flat
    ]
    return np.array(values, np.float64).reshape(sums.shape[:-1])


FIGURES = (
    Figure("edit_similarity", "Edit similarity", note="Mean over formulas, in tokens."),
    Figure("exact", "Exact", note="Formulas whose tokens are all right (ExpRate)."),
    Figure("at_most_1", "Up to 1 error", note="Formulas with at most one token wrong."),
    Figure("at_most_2", "Up to 2 errors", note="Formulas with at most two tokens wrong."),
    Figure("bleu", "BLEU", combine=bleu, width=2 * ORDER + 2, note="BLEU-4 over all tokens."),
    Figure("parses", "Parses", note="Readings that are valid LaTeX."),
)


def tokens_of(latex: str) -> list[str] | None:
    """Return the tokens of a formula's normal form; ``None`` where it is no valid LaTeX."""
    try:
        return normal(latex)
    except LatexError:
        return None


def score(item: Item, reading: Reading, how: Comparison) -> Score:
    """Score a formula; a reading that is no valid LaTeX has no token right."""
    wanted = tokens_of(item.truth)
    if not wanted:
        return {}
    parsed = tokens_of(reading.text) if reading.text.strip() else None
    found = parsed or []
    edits = Levenshtein.distance(wanted, found)
    return {
        "edit_similarity": (1 - edits / max(len(wanted), len(found)), 1.0),
        "exact": (float(edits == 0), 1.0),
        "at_most_1": (float(edits <= 1), 1.0),
        "at_most_2": (float(edits <= 2), 1.0),
        "bleu": _ngrams(wanted, found),
        "parses": (float(parsed is not None), 1.0),
    }


def _ngrams(wanted: list[str], found: list[str]) -> tuple[float, ...]:
    """Return matching n-grams and n-grams of each order, and the lengths, for BLEU."""
    matches, totals = [], []
    for order in range(1, ORDER + 1):
        true, said = (
            Counter(tuple(part[i : i + order]) for i in range(len(part) - order + 1))
            for part in (wanted, found)
        )
        matches.append(float((true & said).total()))
        totals.append(float(said.total()))
    return (*matches, *totals, float(len(found)), float(len(wanted)))


def checked(found: TestSet) -> TestSet:
    """Return a set of formulas without the truths that are no valid LaTeX, which are problems."""
    bad = [item for item in found.items if not tokens_of(item.truth)]
    told = tuple(f"{item.origin}: not LaTeX that can be parsed: {item.truth}" for item in bad)
    kept = tuple(item for item in found.items if item not in bad)
    return replace(found, items=kept, problems=(*found.problems, *told))


def recognise(path: Path) -> str:
    """Return which list of formulas a path is; empty where it is none."""
    if path.is_dir() and any(_unimer_part(path, name) for name in UNIMER_PARTS):
        return "UniMER-Test: NAME.txt beside folders NAME"
    if path.is_file() and path.suffix == ".lst" and _im2latex_formulas(path):
        return "im2latex: a list of images beside im2latex_formulas.lst"
    if path.is_dir() and (path / "caption.txt").is_file():
        return "label file of CROHME: caption.txt"
    return ""


def load(path: Path) -> TestSet:
    """Load one of these lists."""
    problems: list[str] = []
    if path.is_file():
        rows: Iterable[tuple[str, str, str]] = _im2latex(path, problems)
        folder = path.parent
    elif (path / "caption.txt").is_file():
        rows, folder = _captions(path / "caption.txt"), path
    else:
        rows, folder = _unimer(path), path
    items = []
    for origin, name, latex in rows:
        image = _image(folder, name)
        if image is None:
            problems.append(f"{origin}: there is no image {name}")
        elif not latex.strip():
            problems.append(f"{origin}: no formula")
        else:
            group = name.partition("/")[0] if "/" in name else ""
            items.append(Item(name, image, origin, latex.strip(), group=group))
    return checked(TestSet(path, "formulas", unique(items), tuple(problems), recognise(path)))


def _unimer_part(folder: Path, name: str) -> bool:
    return (folder / f"{name}.txt").is_file() and (folder / name).is_dir()


def _unimer(folder: Path) -> Iterator[tuple[str, str, str]]:
    for part in UNIMER_PARTS:
        if _unimer_part(folder, part):
            lines = read_text(folder / f"{part}.txt").splitlines()
            for number, line in enumerate(lines):
                yield f"{folder / part}.txt:{number + 1}", f"{part}/{number:07}", line


def _im2latex_formulas(path: Path) -> Path | None:
    file = path.parent / "im2latex_formulas.lst"
    return file if file.is_file() and file != path else None


def _im2latex(path: Path, problems: list[str]) -> Iterator[tuple[str, str, str]]:
    """Return the rows ``NUMBER IMAGE KIND``: a number is a line, from 0, of the formulas."""
    file = _im2latex_formulas(path)
    formulas = read_text(file).split("\n") if file else []
    for line, text in enumerate(read_text(path).splitlines(), 1):
        cells = text.split()
        if len(cells) < 2 or not cells[0].isdigit() or int(cells[0]) >= len(formulas):
            problems.append(f"{path}:{line}: not the number of a formula and an image")
            continue
        yield f"{path}:{line}", cells[1], formulas[int(cells[0])]


def _captions(path: Path) -> Iterator[tuple[str, str, str]]:
    for line, text in enumerate(read_text(path).splitlines(), 1):
        if text.strip():
            name, _, latex = text.partition("\t")
            yield f"{path}:{line}", name, latex


def _image(folder: Path, name: str) -> Path | None:
    places = [folder / name, folder / "formula_images" / name, folder / "img" / name]
    for place in places:
        for candidate in (place, *(place.with_name(place.name + end) for end in IMAGE_SUFFIXES)):
            if candidate.is_file():
                return candidate
    return None


PROTOCOL = Protocol(
    "formulas",
    "images of formulas and their LaTeX, compared in its normal form",
    Task.FORMULA,
    FIGURES,
    score,
    own_rules=True,
    left_out=("CDM (drawn formulas compared by character detection)",),
    recognise=recognise,
    load=load,
)
