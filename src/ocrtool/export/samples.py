"""Images for parity checks and calibration, synthetic or the user's own.

Text lines are synthesised in the fonts of the package, from seeds that no training uses; formulas
are typeset ones that come with it. A network whose alphabet cannot express the synthetic texts is
compared on noise only, unless the user provides images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ocrtool.errors import UsageError
from ocrtool.inputs.images import load_image
from ocrtool.training.data import Preparation, Ready, Sample
from ocrtool.training.rows import read_rows
from ocrtool.weights import Vocabulary

CHECK_SEED = 715_517
"""Seed of the images on which precisions are compared."""
CALIBRATION_SEED = 611_953
"""Seed of the images from which int8 quantisation derives its ranges."""
MAX_CHARACTERS = 40
"""Maximum number of characters of a synthetic line."""
LINE_STYLES = ("clean", "scan", "photo")
"""Styles of synthetic lines."""
REQUIRED_CHARACTERS = frozenset("aeinorst")
"""Characters that an alphabet needs so that synthetic texts can be drawn."""


def batches(
    preparation: Preparation, count: int, seed: int, table: Path | None, size: int
) -> list[list[Ready]]:
    """Return labelled images suited to a reader, grouped by similar size.

    Args:
        preparation: Preprocessing and vocabulary of the network.
        count: Maximum number of images.
        seed: Seed of synthetic images.
        table: CSV of the user's own images, instead of synthetic ones.
        size: Mean number of images per batch.

    Raises:
        InputError: The table cannot be read.
        UsageError: None of its rows fits the network.
    """
    if table is not None:
        problems: list[str] = []
        rows = read_rows([table], problems)
        drawn = [Sample(load_image(row.image), row.text) for row in rows[: 2 * count]]
    elif preparation.vocabulary.separator:
        drawn = _formulas()
    else:
        drawn = _lines(preparation.vocabulary, count, seed)
    ready = map(preparation.ready, drawn)
    fitting = [s for s in ready if preparation.misfit(s.pixels.shape[-1], s.text) is None][:count]
    if table is not None and not fitting:
        raise UsageError(f"{table}: no row fits the network", "give pictures like those it learnt")
    if not fitting:
        return []
    groups = preparation.group(fitting, -(-len(fitting) // size))
    return [[fitting[i] for i in group] for group in groups]


def pages(count: int, seed: int) -> list[NDArray[np.uint8]]:
    """Synthesise parts of pages, grey (640, 640), for a detector."""
    from ocrtool.synth.pages import PageSource

    source = PageSource([], [], seed=seed)
    return [source.draw_crop(index, 640).image for index in range(count)]


def _lines(vocabulary: Vocabulary, count: int, seed: int) -> list[Sample]:
    from ocrtool.synth.lines import STYLES, LineSource

    if not REQUIRED_CHARACTERS.issubset(vocabulary.entries):
        return []
    styles = {kind: STYLES[kind] for kind in LINE_STYLES}
    source = LineSource(
        alphabet="".join(vocabulary.entries),
        seed=seed,
        styles=styles,
        max_characters=MAX_CHARACTERS,
    )
    return [Sample(line.image, line.text) for line in map(source.draw, range(count))]


def _formulas() -> list[Sample]:
    from ocrtool.synth.formulas import SHIPPED, FormulaSource

    source = FormulaSource([SHIPPED], looks={})
    return [Sample(drawn.image, drawn.text) for drawn in map(source.draw, range(len(source)))]
