"""Cut labelled lines out of page pictures, as a detector would: with some random margin.

Usage: python -m tests.benchmarks.cut_lines PAGES -o FOLDER [--type TYPE] [--no-notes] [--most N]

PAGES holds NAME.json files: {"image": FILE, "height": H, "lines": [{"text": T, "box": [x0, y0, x1,
y1], "line_type": ...}]}, boxes in pixels from the top left. FOLDER gets a PNG a line, `labels.tsv`
(FILE, tab, TEXT) for scoring beside other engines, and `labels.csv` (image,text) for ocrtool.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import statistics
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

HYPHENS = str.maketrans({"¬": "-", "\u00ad": "-"})


def lines_of(
    page: Path, line_type: str | None, notes: bool, rng: random.Random
) -> Iterator[tuple[str, Image.Image]]:
    """Yield text and picture of the lines of a page; foot-notes start low down with "(1)"."""
    facts = json.loads(page.read_text("utf-8"))
    image = Image.open(page.parent / facts["image"]).convert("RGB")
    usual = statistics.median(line["box"][3] - line["box"][1] for line in facts["lines"])
    reach = max(2, round(0.1 * usual))
    in_notes = False
    for line in facts["lines"]:
        text = line["text"].translate(HYPHENS).strip()
        x0, y0, x1, y1 = line["box"]
        in_notes |= not notes and y0 > 0.6 * image.height and text.startswith("(")
        if not text or in_notes or min(x1 - x0, y1 - y0) < 4:
            continue
        if line_type is not None and line.get("line_type") != line_type:
            continue
        left, top, right, bottom = (rng.randint(0, reach) for _ in range(4))
        yield (
            text,
            image.crop(
                (
                    max(0, x0 - left),
                    max(0, y0 - top),
                    min(image.width, x1 + right),
                    min(image.height, y1 + bottom),
                )
            ),
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cut_lines")
    parser.add_argument("pages", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--type", help="only lines of this line_type")
    parser.add_argument("--no-notes", action="store_true", help="leave foot-notes out")
    parser.add_argument("--most", type=int, default=400, help="lines kept, evenly spread")
    given = parser.parse_args()
    rng = random.Random(7)
    cut = [
        line
        for page in sorted(given.pages.glob("*.json"))
        if page.name != "meta.json"
        for line in lines_of(page, given.type, not given.no_notes, rng)
    ]
    kept = cut[:: max(1, -(-len(cut) // given.most))]
    given.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for index, (text, image) in enumerate(kept):
        image.save(given.output / f"{index:04}.png", compress_level=1)
        rows.append((f"{index:04}.png", text))
    (given.output / "labels.tsv").write_text("".join(f"{n}\t{t}\n" for n, t in rows), "utf-8")
    with (given.output / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("image", "text"), *rows])
    meta = given.pages / "meta.json"
    if meta.is_file():
        facts = {**json.loads(meta.read_text("utf-8")), "primary": "cer"}
        (given.output / "meta.json").write_text(json.dumps(facts), "utf-8")
    print(f"{len(kept)} of {len(cut)} lines in {given.output}")


if __name__ == "__main__":
    main()
