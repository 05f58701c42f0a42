"""How well formulas are verified: the tables of docs/formulas.md.

Usage: python -m tests.benchmarks.verifying SHARD... [--count N] [--seed S] [--renderer tex|ziamath]

Each drawn formula, damaged as in training, is compared with the drawing of its label and of labels
with one mistake: a sign exchanged, dropped or put in, a script moved.
"""

from __future__ import annotations

import argparse
import random
import string
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ocrtool.latex_syntax import LatexError, detokenize, normal
from ocrtool.rendering.compare import MARGIN, Match, best_match, formula_inks
from ocrtool.rendering.render import TexRenderer, ZiamathRenderer
from ocrtool.synth.formulas import FormulaSource

KINDS = ("exchanged", "dropped", "put in", "script moved")
LIKE = [
    list(string.ascii_letters),
    list(string.digits),
    [r"\alpha", r"\beta", r"\gamma", r"\delta", r"\epsilon", r"\theta", r"\lambda", r"\mu", r"\nu",
     r"\pi", r"\rho", r"\sigma", r"\phi", r"\omega"],
    [*"+-=<>", r"\leq", r"\times", r"\cdot", r"\in", r"\rightarrow", r"\sim", r"\otimes", r"\cap"],
    list(",.;:"),
]  # fmt: skip
WORDS = (r"\text", r"\textit", r"\textbf", r"\operatorname", r"\operatorname*", r"\begin{array}")


def signs(tokens: Sequence[str]) -> list[int]:
    """Places of signs that may be exchanged."""
    found, at = [], 0
    while at < len(tokens):
        if tokens[at] in WORDS:
            while at < len(tokens) and tokens[at] != "}":
                at += 1
        elif any(tokens[at] in signs for signs in LIKE):
            found.append(at)
        at += 1
    return found


def mistaken(tokens: Sequence[str], kind: str, rng: random.Random) -> list[str]:
    """The tokens with one mistake; none where that is no formula."""
    wrong, places = list(tokens), signs(tokens)
    if kind == "script moved":
        places = [at for at, token in enumerate(tokens) if token in "_^"]
    if not places:
        return []
    at = rng.choice(places)
    if kind == "exchanged":
        like = next(signs for signs in LIKE if wrong[at] in signs)
        wrong[at] = rng.choice([sign for sign in like if sign != wrong[at]])
    elif kind == "dropped":
        del wrong[at]
    elif kind == "put in":
        wrong.insert(at, rng.choice(rng.choice(LIKE[:4])))
    else:
        wrong[at] = "_" if wrong[at] == "^" else "^"
    try:
        found = normal(detokenize(wrong))
    except LatexError:
        return []
    return found if found != list(tokens) else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path, nargs="+")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--renderer", choices=("tex", "ziamath"), default="tex")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    source = FormulaSource(options.shards, seed=100 + options.seed)
    lines = [source.draw(i) for i in range(options.count)]
    labels = [line.text.split(" ") for line in lines]
    groups = []
    for tokens in labels:
        tries = ((kind, [mistaken(tokens, kind, rng) for _ in range(8)]) for kind in KINDS)
        groups.append([("right", tokens), *((k, next(filter(None, t), [])) for k, t in tries)])
    renderer = TexRenderer() if options.renderer == "tex" else ZiamathRenderer()
    begun = time.perf_counter()
    drawn = iter(renderer.looks([detokenize(tokens) for group in groups for _, tokens in group]))
    print(f"drawn in {time.perf_counter() - begun:.1f} s")
    right: list[Match] = []
    wrong: list[tuple[str, int, Match]] = []
    sizes: list[int] = []
    begun, compared = time.process_time(), 0
    for number, (line, group) in enumerate(zip(lines, groups, strict=True)):
        shown = formula_inks(line.image)
        for kind, tokens in group:
            looks = next(drawn)
            compared += bool(looks)
            match = best_match(shown, looks)
            if kind == "right":
                right.append(match)
                sizes.append(len(tokens))
            elif looks:
                wrong.append((kind, number, match))
        if number % 50 == 49 or number == len(lines) - 1:
            seconds = (time.process_time() - begun) / compared
            print(f"\n{number + 1} formulas, {1000 * seconds:.0f} ms of processor a candidate")
            report(right, wrong, sizes)


def report(right: list[Match], wrong: list[tuple[str, int, Match]], sizes: list[int]) -> None:
    """Print how often the right one wins, by how much, and what is believed."""
    believed = [match.agrees(size) for match, size in zip(right, sizes, strict=True)]
    groups = [(kind, [w for w in wrong if w[0] == kind]) for kind in KINDS]
    lengths = {"1-20": (0, 20), "21-60": (20, 60), "61 and more": (60, 9999), "all": (0, 9999)}
    groups += [
        (name, [w for w in wrong if low < sizes[w[1]] <= high])
        for name, (low, high) in lengths.items()
    ]
    for name, chosen in groups:
        lead = np.array([right[i].closeness - match.closeness for _, i, match in chosen])
        caught = np.mean([not match.agrees(sizes[i]) for _, i, match in chosen])
        line = f"{name:14} {len(chosen):5} mistakes: right one closer {np.mean(lead > 0):.3f}"
        for margin in (0.005, MARGIN, 0.02):
            line += (
                f", by {margin} {np.mean(lead > margin):.3f} (wrong {np.mean(lead < -margin):.3f})"
            )
        line += f"; caught {caught:.3f}"
        if name in lengths:
            low, high = lengths[name]
            alarms = [not b for b, size in zip(believed, sizes, strict=True) if low < size <= high]
            line += f", false alarms {np.mean(alarms):.3f} of {len(alarms)}"
        print(line)


if __name__ == "__main__":
    main()
