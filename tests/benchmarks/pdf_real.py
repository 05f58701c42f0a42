"""Text edit similarity for PDFs with Markdown beside them.

Run: python -m tests.benchmarks.pdf_real FOLDER [--command "... {input} ... {output}"]

Every ``NAME.pdf`` of the folder that has a ``NAME.md`` beside it is converted; the text is compared
as in ``ocrtool.evaluation.markdown_scores``. For Markdown whose structure nobody checked: only text
and order are scored.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import tempfile
from pathlib import Path

from ocrtool.evaluation.markdown_scores import OURS, score
from tests.benchmarks.pdf.measure import measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--command", default=OURS)
    args = parser.parse_args()
    pairs = [(p, p.with_suffix(".pdf")) for p in sorted(args.folder.glob("*.md"))]
    pairs = [(truth, pdf) for truth, pdf in pairs if pdf.exists()]
    with tempfile.TemporaryDirectory() as name:
        source, output = Path(name) / "in", Path(name) / "out"
        source.mkdir()
        for _, pdf in pairs:
            shutil.copyfile(pdf, source / pdf.name)
        command = args.command.replace("{input}", shlex.quote(str(source)))
        command = command.replace("{output}", shlex.quote(str(output)))
        output.mkdir()
        run = measured(shlex.split(command), Path(name) / "talk.log")
        print(f"exit {run.code}, {run.seconds:.1f} s, {run.peak_mb:.0f} MB")
        for truth, pdf in pairs:
            found = next(iter(output.rglob(f"{pdf.stem}.md")), None)
            text = found.read_text(encoding="utf-8") if found else ""
            mark = score(truth.read_text(encoding="utf-8"), text)
            print(f"{mark.text:.3f}  order {mark.order[0]}/{mark.order[1]}  {pdf.name}")


if __name__ == "__main__":
    main()
