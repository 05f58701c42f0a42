"""Small sets of drawn images with their truth, and programs that stand in for peers."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from writers.drawing import FONTS

PAGES = {
    "harbour": "The harbour was built when the town\nstill lived by fishing, and boats\ncame in.",
    "winter": "Snow fell on the hills all night,\nand the road to the village was shut.",
    "market": "Apples and pears were sold at noon,\nbread and cheese until the evening.",
}
WORDS = ("Harbour", "Winter", "Market", "Bridge", "Garden", "Window", "Letter")


def draw_text(text: str, path: Path, size: int = 30) -> None:
    face = ImageFont.truetype(FONTS / "Serif.ttf", size)
    lines = text.split("\n")
    width = max(int(face.getlength(line)) for line in lines) + 2 * size
    image = Image.new("L", (width, size * 2 * (len(lines) + 1)), 255)
    pen = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        pen.text((size, size + 2 * size * number), line, 0, face)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def page_set(folder: Path) -> Path:
    """Return a folder of pages beside their text."""
    for name, text in PAGES.items():
        draw_text(text, folder / f"{name}.png")
        (folder / f"{name}.txt").write_text(text, "utf-8")
    return folder


def word_set(folder: Path) -> Path:
    """Return a table of images of words."""
    folder.mkdir(parents=True)
    for word in WORDS:
        draw_text(word, folder / f"{word}.png", 40)
    rows = "".join(f"{word}.png,{word}\n" for word in WORDS)
    (folder / "labels.csv").write_text(f"image,text\n{rows}", "utf-8")
    return folder / "labels.csv"


def program(folder: Path, code: str) -> str:
    """Return the start of a command that runs a line of Python with its arguments."""
    path = folder / "peer.py"
    path.write_text("import sys\nfrom pathlib import Path\n" + code, "utf-8")
    return f"{sys.executable} {path}"
