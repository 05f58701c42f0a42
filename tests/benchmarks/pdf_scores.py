"""Score converters on a drawn set. Run: python -m ocrtool.evaluation.markdown_scores SET [options].

SET is a folder made by ``tests.benchmarks.pdf_set``. Each converter is a command in which
``{input}`` and ``{output}`` stand for folders; it writes ``NAME.md`` for each ``NAME.pdf``. Without
``--command`` ocrtool is run and, where ``--peer`` or the variable PYMUPDF2_PYTHON names a Python
that has PyMuPDF 2, its Markdown too, with and without its layout model.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ocrtool.evaluation.markdown_scores import Score, score
from tests.benchmarks.pdf.measure import Run, measured
from tests.benchmarks.pdf.styles import RULED

PEER = Path(__file__).parent / "pdf" / "peer_pymupdf.py"
OURS = f"{shlex.quote(sys.executable)} -m ocrtool pdf {{input}} -o {{output}} --overwrite"


@dataclasses.dataclass(frozen=True)
class Result:
    """What one converter made of one set.

    Attributes:
        converter: Its name.
        kind: ``native`` or ``scans``.
        pages: Of the set.
        run: Time and memory.
        scores: By document.
    """

    converter: str
    kind: str
    pages: int
    run: Run
    scores: dict[str, Score]

    def row(self) -> list[str]:
        """The cells of the table of results."""
        all_ = list(self.scores.values())
        tables = [t for s in all_ for t in s.tables]
        ruled = [t.teds for t in tables if t.look in RULED]
        bare = [t.teds for t in tables if t.look not in RULED]
        return [
            self.converter,
            self.kind,
            _mean([s.text for s in all_]),
            _share([s.order for s in all_]),
            f"{_share([s.headings_right for s in all_])} / "
            f"{_share([s.headings_found for s in all_])}",
            _share([s.levels for s in all_]),
            f"{_share([s.items_right for s in all_])} / {_share([s.items_found for s in all_])}",
            _share([s.nesting for s in all_]),
            f"{_mean(ruled)} ({len(ruled)})",
            f"{_mean(bare)} ({len(bare)})",
            str(sum(s.false_tables for s in all_)),
            f"{self.run.seconds:.1f}",
            f"{self.pages / self.run.seconds:.2f}" if self.run.seconds else "-",
            f"{self.run.cpu_seconds / max(1, self.pages):.2f}",
            f"{self.run.peak_mb:.0f}",
        ]


HEAD = [
    "converter",
    "set",
    "text",
    "order",
    "headings P / R",
    "levels",
    "items P / R",
    "nesting",
    "TEDS ruled (n)",
    "TEDS unruled (n)",
    "false tables",
    "seconds",
    "pages/s",
    "CPU s/page",
    "peak MB",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("--kinds", default="native,scans")
    parser.add_argument("--command", action="append", default=[], help="NAME=COMMAND")
    parser.add_argument("--peer", default=os.environ.get("PYMUPDF2_PYTHON", ""))
    parser.add_argument("--only", default="", help="documents whose name has this")
    parser.add_argument("--first", type=int, default=0, help="so many documents")
    parser.add_argument("--keep", type=Path, help="folder for the converters' output")
    parser.add_argument("--worst", type=int, default=0, help="list the worst documents")
    parser.add_argument("--json", type=Path, help="file for all scores")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        results = run_all(args, args.keep or Path(name))
    print(table(results))
    for result in results:
        if args.worst:
            print(f"\nWorst of {result.converter}, {result.kind}:")
            for name, mark in sorted(result.scores.items(), key=_badness)[: args.worst]:
                tables = " ".join(f"{t.look} {t.teds:.2f}" for t in mark.tables)
                print(f"  {mark.text:.3f}  order {_share([mark.order])}  {name}  {tables}")
    if args.json:
        record = [dataclasses.asdict(result) for result in results]
        args.json.write_text(json.dumps(record, indent=1), encoding="utf-8")


def run_all(args: argparse.Namespace, keep: Path) -> list[Result]:
    """Run every converter on every set."""
    record = json.loads((args.set / "set.json").read_text(encoding="utf-8"))
    documents = [d for d in record["documents"] if args.only in d["name"]]
    documents = documents[: args.first or None]
    commands = dict(pair.split("=", 1) for pair in args.command) or {"ocrtool": OURS}
    if args.peer:
        peer = f"{shlex.quote(args.peer)} {shlex.quote(str(PEER))} {{input}} {{output}}"
        commands |= {"PyMuPDF 2, layout": f"{peer} layout", "PyMuPDF 2, plain": f"{peer} plain"}
    results = []
    for kind in args.kinds.split(","):
        with tempfile.TemporaryDirectory() as name:
            for document in documents:
                pdf = f"{document['name']}.pdf"
                shutil.copyfile(args.set / kind / pdf, Path(name) / pdf)
            for converter, command in commands.items():
                output = keep / f"{converter.replace(', ', '-').replace(' ', '')}-{kind}"
                shutil.rmtree(output, ignore_errors=True)  # what an earlier run left there
                output.mkdir(parents=True)
                filled = command.replace("{input}", shlex.quote(name))
                filled = filled.replace("{output}", shlex.quote(str(output)))
                run = measured(shlex.split(filled), output / "talk.log")
                if run.code:
                    print(f"{converter}, {kind}: exit {run.code}\n{run.talk}", file=sys.stderr)
                scores = {d["name"]: _score(args.set, d["name"], output) for d in documents}
                pages = sum(d["pages"] for d in documents)
                results.append(Result(converter, kind, pages, run, scores))
    return results


def _score(folder: Path, name: str, output: Path) -> Score:
    truth = (folder / "truth" / f"{name}.md").read_text(encoding="utf-8")
    found = next(iter(sorted(output.rglob(f"{name}.md"))), None)
    return score(truth, found.read_text(encoding="utf-8") if found else "")


def table(results: Sequence[Result]) -> str:
    """Results as a table in Markdown."""
    rows = [HEAD, ["---"] * len(HEAD), *(result.row() for result in results)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _badness(pair: tuple[str, Score]) -> float:
    mark = pair[1]
    return mark.text + sum(t.teds - 1 for t in mark.tables) / 10


def _mean(values: Sequence[float]) -> str:
    return f"{sum(values) / len(values):.3f}" if values else "-"


def _share(pairs: Sequence[tuple[int, int]]) -> str:
    right, of = (sum(side) for side in zip(*pairs, strict=True)) if pairs else (0, 0)
    return f"{right / of:.3f}" if of else "-"


if __name__ == "__main__":
    main()
