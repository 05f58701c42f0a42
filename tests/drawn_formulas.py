"""Simple formulas drawn with the one font that Pillow has: powers, indices, fractions, roots.

``formula(rng, depth)`` makes one up; ``draw`` sets it in type. What they look like is coarse, but
it is in two dimensions as real ones are.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LETTERS = "abcdxyzABCDXYZ123"


class Box:
    """Ink (H, W), 0 to 1, and the row of its baseline."""

    def __init__(self, ink: np.ndarray, base: int) -> None:
        self.ink, self.base = ink, base


def text(characters: str, size: float) -> Box:
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(characters, anchor="ls")
    pad = max(1, round(size * 0.06))
    image = Image.new("L", (round(right - left) + 2 * pad, round(bottom - top)))
    ImageDraw.Draw(image).text((pad - left, -top), characters, fill=255, font=font, anchor="ls")
    return Box(np.asarray(image, np.float32) / 255, round(-top))


def beside(boxes: Sequence[Box]) -> Box:
    up = max(box.base for box in boxes)
    down = max(box.ink.shape[0] - box.base for box in boxes)
    ink = np.zeros((up + down, sum(box.ink.shape[1] for box in boxes)), np.float32)
    x = 0
    for box in boxes:
        height, width = box.ink.shape
        ink[up - box.base : up - box.base + height, x : x + width] += box.ink
        x += width
    return Box(ink, up)


def shifted(box: Box, up: float) -> Box:
    return Box(box.ink, box.base + round(up))


def over(top: Box, bottom: Box, size: float) -> Box:
    wide = max(top.ink.shape[1], bottom.ink.shape[1]) + round(0.2 * size)
    gap, rule = max(1, round(0.12 * size)), max(1, round(0.05 * size))
    high = top.ink.shape[0] + 2 * gap + rule + bottom.ink.shape[0]
    ink = np.zeros((high, wide + round(0.3 * size)), np.float32)
    for box, y in ((top, 0), (bottom, high - bottom.ink.shape[0])):
        x = (ink.shape[1] - box.ink.shape[1]) // 2
        ink[y : y + box.ink.shape[0], x : x + box.ink.shape[1]] = box.ink
    y, x = top.ink.shape[0] + gap, round(0.15 * size)
    ink[y : y + rule, x : x + wide] = 1
    return Box(ink, y + round(0.3 * size))


def formula(rng: np.random.Generator, depth: int = 2) -> tuple[str, ...]:
    """Tokens of a formula in its normal form, one to three terms long."""
    tokens: list[str] = []
    for term in range(int(rng.integers(1, 4))):
        if term:
            tokens.append("+" if rng.random() < 0.6 else "=")
        kind = rng.random() if depth else 1.0
        if kind < 0.2:
            top, bottom = formula(rng, 0), formula(rng, 0)
            tokens += ["\\frac", "{", *top, "}", "{", *bottom, "}"]
            continue
        tokens.append(LETTERS[int(rng.integers(len(LETTERS)))])
        if kind < 0.7:
            script = LETTERS[int(rng.integers(len(LETTERS)))]
            tokens += ["^" if kind < 0.45 else "_", "{", script, "}"]
    return tuple(tokens)


def typeset(tokens: Sequence[str], size: float) -> Box:
    """Set tokens that ``formula`` makes."""
    boxes: list[Box] = []
    at = 0

    def group(start: int) -> int:
        depth = 0
        for end in range(start, len(tokens)):
            depth += (tokens[end] == "{") - (tokens[end] == "}")
            if depth == 0:
                return end
        raise ValueError("unbalanced")

    while at < len(tokens):
        if tokens[at] == "\\frac":
            middle = group(at + 1)
            end = group(middle + 1)
            parts = tokens[at + 2 : middle], tokens[middle + 2 : end]
            boxes.append(over(*(typeset(part, 0.9 * size) for part in parts), size))
            at = end + 1
        elif tokens[at] in "^_":
            end = group(at + 1)
            script = typeset(tokens[at + 2 : end], 0.65 * size)
            boxes.append(shifted(script, 0.4 * size if tokens[at] == "^" else -0.25 * size))
            at = end + 1
        else:
            boxes.append(text(tokens[at], size))
            at += 1
    return beside(boxes)


def draw(tokens: Sequence[str], size: float = 32, margin: int = 8) -> np.ndarray:
    """Draw black on white, uint8 (H, W)."""
    ink = np.pad(np.clip(typeset(tokens, size).ink, 0, 1), margin)
    return (255 - 255 * ink).astype(np.uint8)


def write_csv(folder: Path, formulas: Sequence[Sequence[str]], size: float = 24) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "formulas.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "text"])
        for number, tokens in enumerate(formulas):
            Image.fromarray(draw(tokens, size)).save(folder / f"{number}.png")
            writer.writerow([f"{number}.png", " ".join(tokens)])
    return path
