"""Painting of signs, covers and screens: plates, shadows, outlines, relief, textured backgrounds.

Grey levels are 0-255; masks are coverage 0-1, shape (H, W).
"""

from __future__ import annotations

import cv2
import numpy as np

from ocrtool.synth import degradations
from ocrtool.synth.warp import InkMask, Random


def paint(rng: Random, sheet: InkMask, paper: float, ink: float) -> np.ndarray:
    """Paint the letters of a sheet on a background: (H, W) float32.

    Args:
        rng: Random generator.
        sheet: The letters.
        paper: Grey level of the background.
        ink: Grey level of the letters.
    """
    mask, em = sheet.mask, sheet.em
    contrast = abs(paper - ink)
    amount = rng.choice([0, rng.uniform(0, 12), rng.uniform(5, 0.35 * contrast + 6)])
    ground: np.ndarray = paper + amount * degradations.texture(rng, mask.shape, em)
    if rng.random() < 0.12:
        ground = _plate(rng, ground, sheet, paper, ink)
    kind = rng.random()
    if kind < 0.35:
        ground = _depth(rng, ground, mask, em)
    elif kind < 0.42:
        return _relief(rng, ground, mask, em, contrast)
    colour: np.ndarray | float = ink
    kind = rng.random()
    if kind < 0.1:  # hollow letters
        edge = max(1, round(em * rng.uniform(0.015, 0.05)))
        mask = cv2.dilate(mask, np.ones((2 * edge + 1, 2 * edge + 1), np.uint8)) - mask
    elif kind < 0.3:  # light that runs over the letters
        colour = ink + rng.uniform(0, 0.3) * contrast * degradations.field(
            rng, mask.shape, em * 1.5
        )
    elif kind < 0.42:  # wood, stone, worn paint
        colour = ink + rng.uniform(0.1, 0.4) * contrast * degradations.texture(rng, mask.shape, em)
    elif kind < 0.5:  # from one shade to another, down the letters
        steps = np.linspace(-1, 1, mask.shape[0], dtype=np.float32)[:, None]
        colour = ink + rng.uniform(-0.45, 0.45) * contrast * steps
    return np.asarray(ground + (colour - ground) * mask, np.float32)


def _plate(rng: Random, ground: np.ndarray, sheet: InkMask, paper: float, ink: float) -> np.ndarray:
    """Draw a plate behind the line, or tiles behind its letters, in another shade."""
    x0, y0, x1, y1 = sheet.box
    margin = sheet.em * rng.uniform(0.02, 0.35, 4)
    wall = rng.uniform(0, 255)
    left, top = round(x0 - margin[0]), round(y0 - margin[1])
    right, bottom = round(x1 + margin[2]), round(y1 + margin[3])
    board = np.zeros(ground.shape, np.float32)
    cv2.rectangle(board, (left, top), (right, bottom), 1.0, -1)
    if rng.random() < 0.3:  # joints
        step = max(4, round(sheet.em * rng.uniform(0.6, 1.2)))
        width = max(1, round(sheet.em * rng.uniform(0.02, 0.06)))
        for x in range(left, right, step):
            cv2.line(board, (x, top), (x, bottom), 0.3, width)
    if rng.random() < 0.4:  # a frame of the letters' own colour
        width = max(1, round(sheet.em * rng.uniform(0.02, 0.08)))
        ground = ground.copy()
        cv2.rectangle(ground, (left, top), (right, bottom), float(ink), width)
    return np.asarray(wall + (ground - wall) * board)


def _depth(rng: Random, ground: np.ndarray, mask: np.ndarray, em: float) -> np.ndarray:
    """Draw a shadow, an edge or extruded sides behind the letters."""
    shift = max(1, int(em * rng.uniform(0.02, 0.1)))
    kind = rng.random()
    if kind < 0.4:
        under = np.roll(mask, (shift, int(rng.choice([-shift, shift]))), (0, 1))
    elif kind < 0.75:
        under = cv2.dilate(mask, np.ones((2 * shift + 1, 2 * shift + 1), np.uint8))
    else:
        under = cv2.dilate(mask, np.eye(2 * shift + 1, dtype=np.uint8))
    return np.asarray(ground + (rng.uniform(0, 255) - ground) * under * rng.uniform(0.3, 1))


def _relief(
    rng: Random, ground: np.ndarray, mask: np.ndarray, em: float, contrast: float
) -> np.ndarray:
    """Draw engraved or embossed letters in the background colour, with edges lit from one side."""
    shift = max(1, round(em * rng.uniform(0.02, 0.06)))
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.5, 0.4 * shift))
    light = np.roll(soft, (shift, shift), (0, 1)) - np.roll(soft, (-shift, -shift), (0, 1))
    strength = rng.choice([-1, 1]) * rng.uniform(0.4, 1.0) * max(60.0, contrast)
    fill = rng.uniform(-0.25, 0.25) * contrast
    return np.asarray(ground + strength * light + fill * mask, np.float32)
