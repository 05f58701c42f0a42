"""Draw PDFs with known truth. Run: python -m tests.benchmarks.pdf_set FOLDER [TEXTS]...

FOLDER gets ``native/NAME.pdf``, the same pages as ``scans/NAME.pdf``, the truth ``truth/NAME.md``
and ``set.json``, which tells how each was made. TEXTS are folders of Markdown; the project's own
short texts alone where none are given, else in turn with those. The same arguments, fonts and
programs give the same set.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pymupdf

from ocrtool.synth import find_fonts
from ocrtool.synth.typefaces import TypeLibrary
from tests.benchmarks.pdf.content import fragments, load, mark_look, number_headings, truth
from tests.benchmarks.pdf.pages_html import has_wide_table
from tests.benchmarks.pdf.pages_tex import can_set
from tests.benchmarks.pdf.render import NAMES, render, renderers
from tests.benchmarks.pdf.scans import scan_file
from tests.benchmarks.pdf.styles import draw_style

OWN = Path(__file__).parent / "pdf" / "texts"
JOINED = 3  # pages of strangers' books in a document
_NOT_TEXT = re.compile(r"math|symbol|dingbat|music|emoji", re.I)  # what their fonts are for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("texts", type=Path, nargs="*")
    parser.add_argument("--fonts", type=Path, action="append", default=[], help="folder of fonts")
    parser.add_argument("--pages", type=int, default=80, help="at least so many; default 80")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--renderers", default="", help=f"of {','.join(NAMES)}; all found")
    args = parser.parse_args()
    programs = args.renderers.split(",") if args.renderers else renderers()
    fonts = [p for p in find_fonts(args.fonts) if not _NOT_TEXT.search(p.stem)]
    press = TypeLibrary(fonts, [])
    for name in ("native", "scans", "truth"):
        (args.folder / name).mkdir(parents=True, exist_ok=True)
    made: list[dict[str, object]] = []
    pages = 0
    for number, (name, text) in enumerate(_texts(args.texts)):
        if pages >= args.pages:
            break
        rng = np.random.default_rng([args.seed, number])
        program = programs[int(rng.integers(len(programs)))]
        slides = name.startswith("slides")
        columns = 2 if name.startswith("paper") else 1 if name.startswith("invoice") else 0
        style = draw_style(rng, press, program, slides=slides, columns=columns)
        content = load(text, rng, style.look, spans=program not in ("latex", "story"))
        if program == "latex" and (slides or not can_set(content)):
            style = dataclasses.replace(style, renderer="story")
        if style.renderer == "story" and has_wide_table(content):
            style = dataclasses.replace(style, columns=1)  # or it clips them
        if style.renderer == "story" and style.look == "shaded":
            style = dataclasses.replace(style, look="bare")
            mark_look(content, style.look)
        if style.numbered:
            number_headings(content)
        name = f"{number:03}_{name}_{style.renderer}"
        native = args.folder / "native" / f"{name}.pdf"
        try:
            render(content, style, native)
        except RuntimeError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        (args.folder / "truth" / f"{name}.md").write_text(truth(content), encoding="utf-8")
        scan_file(native, args.folder / "scans" / f"{name}.pdf", rng)
        with pymupdf.open(native) as file:
            count = len(file)
        pages += count
        made.append({"name": name, "pages": count, **dataclasses.asdict(style)})
        print(f"{name}: {count} pages", file=sys.stderr)
        record = json.dumps({"seed": args.seed, "documents": made}, indent=1)
        (args.folder / "set.json").write_text(record, encoding="utf-8")
    print(f"{len(made)} documents, {pages} pages")


def _texts(folders: list[Path]) -> Iterator[tuple[str, str]]:
    """Names and texts: the project's own over and over, with strangers' in between."""
    own = [(path.stem, path.read_text(encoding="utf-8")) for path in sorted(OWN.glob("*.md"))]
    if not folders:
        yield from itertools.cycle(own)
    files = sorted(path for folder in folders for path in folder.rglob("*.md"))
    parts = [(p.stem, fragments(p.read_text(encoding="utf-8"))) for p in files]
    parts = [(name, text) for name, text in parts if len(text) > 400]
    for i, mine in zip(range(0, len(parts), JOINED), itertools.cycle(own), strict=False):
        yield mine
        chosen = parts[i : i + JOINED]
        yield f"page{chosen[0][0][-4:]}", "\n\n".join(text for _, text in chosen)


if __name__ == "__main__":
    main()
