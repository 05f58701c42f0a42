"""Pictures that an export is tried on: what the network sees in use, drawn or the user's own.

Lines are drawn by the data engine in the fonts of the package, from seeds that no training takes;
formulas are typeset ones that come with it. A network with an alphabet in which the engine's texts
cannot be written is compared on noise alone, unless the user gives pictures.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ocrtool.errors import UsageError
from ocrtool.inputs.images import load_image
from ocrtool.training.data import Preparation, Ready, Sample, read_rows
from ocrtool.weights.vocabulary import Vocabulary

CHECK_SEED = 715_517
"""Of the pictures on which precisions are compared."""
CALIBRATION_SEED = 611_953
"""Of those by which int8 chooses its ranges."""
LONGEST = 40
"""Characters that a drawn line may have."""
KINDS = ("clean", "scan", "photo")
"""Of drawn lines."""
NEEDED = frozenset("aeinorst")
"""Characters that an alphabet must have for the data engine's texts to be drawn in it."""


def batches(
    preparation: Preparation, count: int, seed: int, table: Path | None, size: int
) -> list[list[Ready]]:
    """Return labelled pictures that a reader can read, those of like sizes together.

    Args:
        preparation: What the network takes and writes.
        count: How many at most.
        seed: Of those that are drawn.
        table: CSV of the user's own pictures, in the place of drawn ones.
        size: Mean number of pictures that come together.

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
    """Draw parts of pages, grey (640, 640), for a detector."""
    from ocrtool.synth.pages import PageSource

    source = PageSource([], [], seed=seed)
    return [source.draw_crop(index, 640).image for index in range(count)]


def _lines(vocabulary: Vocabulary, count: int, seed: int) -> list[Sample]:
    from ocrtool.synth.lines import STYLES, LineSource

    if not NEEDED.issubset(vocabulary.entries):
        return []
    styles = {kind: STYLES[kind] for kind in KINDS}
    source = LineSource(
        alphabet="".join(vocabulary.entries), seed=seed, styles=styles, max_characters=LONGEST
    )
    return [Sample(line.image, line.text) for line in map(source.draw, range(count))]


def _formulas() -> list[Sample]:
    from ocrtool.synth.formulas import SHIPPED, FormulaSource

    source = FormulaSource([SHIPPED], looks={})
    return [Sample(drawn.image, drawn.text) for drawn in map(source.draw, range(len(source)))]
