"""Synthetic scene text: words of many sizes painted on textured backgrounds.

Words are set on small sheets, warped (``warp``) and painted (``signage``) like the lines for
training the line reader. The coordinates of a sheet are warped with it, so each line's outline is
exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from PIL import Image as Pictures
from PIL import ImageDraw

from ocrtool.synth import degradations, signage, warp
from ocrtool.synth.camera import grain
from ocrtool.synth.canvas import open_face
from ocrtool.synth.fonts import load_font
from ocrtool.synth.pictures import photo
from ocrtool.synth.text import change_case
from ocrtool.synth.typefaces import TypeLibrary
from ocrtool.synth.warp import SIGN, InkMask

Random = np.random.Generator
Image = np.ndarray

POINTS_PER_EDGE = 9
"""Number of points along each long edge of an outline."""


@dataclass(frozen=True)
class SceneLine:
    """A line in an image: ``outline`` (18, 2), its upper edge forward and its lower edge back."""

    outline: np.ndarray
    text: str
    board: int


@dataclass(frozen=True)
class _Sign:
    mask: np.ndarray  # (H, W) coverage of the letters
    cover: np.ndarray  # (H, W) coverage of the sheet itself
    lines: list[tuple[np.ndarray, str]]
    box: tuple[float, float, float, float]
    em: float


def draw_scene(
    rng: Random, press: TypeLibrary, shape: tuple[int, int]
) -> tuple[Image, list[SceneLine]]:
    """Draw a scene: (H, W) uint8 grey and its lines, roughly from top to bottom."""
    height, width = shape
    kind = rng.random()
    if kind < 0.7:
        image = photo(rng, shape)
    else:
        image = rng.uniform(20, 235) + rng.uniform(0, 30) * degradations.texture(rng, shape, 60.0)
        image = image + np.linspace(0, rng.uniform(-60, 60), width, dtype=np.float32)[None, :]
    if rng.random() < 0.35:  # a dim place
        image = image * rng.uniform(0.4, 1.0)
    found: list[SceneLine] = []
    taken = np.zeros(shape, bool)
    ems: list[float] = []
    crowd = int(rng.integers(0, 4)) if rng.random() < 0.35 else int(rng.integers(3, 14))
    for number in range(crowd):
        board = _set_sign(rng, press, max(shape))
        if board is None:
            continue
        h, w = board.mask.shape
        x0, y0, x1, y1 = (int(v) for v in board.box)
        if x1 - x0 + 4 > width or y1 - y0 + 4 > height:
            continue
        for _ in range(6):
            left = int(rng.integers(2 - x0, width - x1 - 1))
            top = int(rng.integers(2 - y0, height - y1 - 1))
            a, b = max(0, left), max(0, top)
            c, d = min(width, left + w), min(height, top + h)
            spot = (slice(b, d), slice(a, c))
            if taken[top + y0 : top + y1, left + x0 : left + x1].any():
                continue
            part = (slice(b - top, d - top), slice(a - left, c - left))
            image[spot] = _paint(rng, image[spot], board, part)
            taken[spot] |= board.cover[part] > 0.02
            ems.append(board.em)
            found += [
                SceneLine(outline + np.array([left, top], np.float32), text, number)
                for outline, text in board.lines
            ]
            break
    image = _degrade(rng, np.asarray(image, np.float32), float(np.median(ems)) if ems else 20.0)
    found.sort(key=lambda line: (round(line.outline[:, 1].min() / 40), line.outline[0, 0]))
    return np.clip(image + 0.5, 0, 255).astype(np.uint8), found


def _set_sign(rng: Random, press: TypeLibrary, side: int) -> _Sign | None:
    """Set one to five lines on a sheet and warp it."""
    em = float(np.exp(rng.uniform(np.log(11), np.log(max(40, 0.16 * side)))))
    count = 1 if rng.random() < 0.55 else int(rng.integers(2, 6))
    em = em if count == 1 else em / 1.5 + 4
    rows: list[tuple[str, str, int]] = []
    for i in range(count):
        if i == 0 or rng.random() < 0.3:
            kind = press.type(rng, "display" if rng.random() < 0.35 else "plain")
        size = max(9, round(em * (rng.uniform(0.6, 1.3) if i else 1)))
        if rng.random() < 0.75:
            text = press.words(rng, kind, 1, 1 if rng.random() < 0.5 else 4)
            if rng.random() < 0.6:
                text = kind.clean(change_case(text, rng))
        else:
            text = press.field(rng, kind)
        text = text[: max(3, int(0.9 * side / (0.6 * size)))].strip()
        if text:
            rows.append((text, kind.family.regular, size))
    if not rows:
        return None
    pad = 0.5 * em + 4
    widths = [load_font(path, size).getlength(text) for text, path, size in rows]
    width = int(max(widths) + 2 * pad) + 1
    leading = rng.uniform(1.15, 1.7)
    height = int(sum(leading * size for _, _, size in rows) + 2 * pad)
    page = Pictures.new("L", (width, height))
    pen = ImageDraw.Draw(page)
    boxes: list[tuple[float, float, float, float]] = []
    middle, y = rng.random() < 0.6, pad
    for (text, path, size), wide in zip(rows, widths, strict=True):
        face = open_face(path)
        base = y + size * (leading * 0.5 + 0.3)
        x = (width - wide) / 2 if middle else pad
        pen.text((x, base), text, fill=255, font=load_font(path, size), anchor="ls")
        left = x + face.extent(text[0])[0] * size
        right = x + wide - (face.extent(text[-1])[2] - face.extent(text[-1])[1]) * size
        boxes.append((left, base - face.ascent * size, right, base + face.descent * size))
        y += leading * size
    whole = (
        min(b[0] for b in boxes), min(b[1] for b in boxes),
        max(b[2] for b in boxes), max(b[3] for b in boxes),
    )  # fmt: skip
    letters = np.asarray(page, np.float32) * np.float32(1 / 255)
    pose = SIGN if count == 1 else replace(SIGN, arc=0.0, wave=0.1)
    seed = int(rng.integers(1 << 62))

    def bend(mask: np.ndarray) -> InkMask:
        # The same seed warps ink and coordinates identically.
        return warp.bend(np.random.default_rng(seed), InkMask(mask, whole, em), pose)

    across, down = np.meshgrid(
        np.arange(1, width + 1, dtype=np.float32), np.arange(1, height + 1, dtype=np.float32)
    )
    bent = bend(letters)
    if max(bent.mask.shape) > 2 * side:
        return None
    u, v = bend(across).mask - 0.5, bend(down).mask - 0.5
    cover = bend(np.ones_like(letters)).mask
    lines = []
    for box, (text, _, _) in zip(boxes, rows, strict=True):
        outline = _outline(u, v, cover, box)
        if outline is not None:
            lines.append((outline, text))
    if len(lines) < len(rows):
        return None
    points = np.concatenate([outline for outline, _ in lines])
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    return _Sign(bent.mask, cover, lines, (float(x0), float(y0), float(x1), float(y1)), em)


def _outline(
    u: np.ndarray, v: np.ndarray, cover: np.ndarray, box: tuple[float, float, float, float]
) -> np.ndarray | None:
    """Return the outline of a box after warping, from the flat coordinates ``u`` and ``v``."""
    x0, y0, x1, y1 = box
    inside = (cover > 0.99) & (u >= x0) & (u <= x1) & (v >= y0) & (v <= y1)
    contours = cv2.findContours(inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[
        0
    ]
    if not contours:
        return None
    edge = np.concatenate(contours)[:, 0]
    x = np.linspace(x0, x1, POINTS_PER_EDGE)
    wanted = np.concatenate(
        [np.c_[x, np.full(POINTS_PER_EDGE, y0)], np.c_[x[::-1], np.full(POINTS_PER_EDGE, y1)]]
    )
    flat = np.stack([u[edge[:, 1], edge[:, 0]], v[edge[:, 1], edge[:, 0]]], 1)
    away = np.abs(flat[None] - wanted[:, None]).sum(2)
    nearest = away.argmin(1)
    if away.min(1).max() > 4:
        return None  # part of the line is outside the sheet
    return np.asarray(edge[nearest] + 0.5, np.float32)


def _paint(rng: Random, under: Image, board: _Sign, part: tuple[slice, slice]) -> Image:
    """Paint a sign over a part of the image, on a plate of its own or on the background."""
    mask = np.ascontiguousarray(board.mask[part])
    cover = np.ascontiguousarray(board.cover[part])
    plate = rng.random() < 0.45
    paper = float(rng.uniform(0, 255)) if plate else float(np.median(under))
    contrast = float(rng.uniform(35, 230))
    up, down = 255 - paper, paper
    ink = paper + min(contrast, up) if up > down else paper - min(contrast, down)
    if rng.random() < 0.35 and min(up, down) > 60:
        ink = paper - min(contrast, down) if up > down else paper + min(contrast, up)
    written = under[mask > 0.5]
    if not plate and written.size:  # letters need contrast with the background
        dark, light = np.percentile(written, (4, 96))
        if dark - 25 < ink < light + 25:
            plate = True
            paper = ink - contrast if ink - contrast > 0 else min(255.0, ink + contrast)
    sheet = InkMask(mask, (0.0, 0.0, float(mask.shape[1]), float(mask.shape[0])), board.em)
    painted = signage.paint(rng, sheet, paper, ink)
    if plate:
        return np.asarray(under + (painted - under) * cover, np.float32)
    reach = max(3, round(0.2 * board.em))
    near = cv2.dilate(mask, np.ones((reach, reach), np.uint8))
    near = cv2.GaussianBlur(near, (0, 0), max(1.0, 0.1 * board.em))
    share = np.clip(near, 0, 1)
    # Paint is opaque on the letters; around them its shadows and textures are added.
    over = np.where(mask > 0.02, painted, under + painted - paper)
    blend = under + (painted - under) * mask + (over - under) * (1 - mask)
    return np.asarray(under + (blend - under) * share, np.float32)


def _degrade(rng: Random, image: Image, em: float) -> Image:
    """Apply the degradations of light, lens and file."""
    if rng.random() < 0.35:
        image = degradations.shade(image, rng)
    if rng.random() < 0.55:
        image = degradations.blur(image, rng, em)
    if rng.random() < 0.5:
        image = grain(rng, image)
    if rng.random() < 0.2:
        image = degradations.sharpen(image, rng, em)
    if rng.random() < 0.65:
        image = degradations.jpeg(image, rng, 20, 92)
    if rng.random() < 0.05:
        image = 255 - image
    return image
