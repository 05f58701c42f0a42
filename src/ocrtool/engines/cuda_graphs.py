"""Steps of one token as CUDA graphs: on a GPU, most of a step is the launching of its kernels.

A graph replays kernels on fixed addresses, so a step for it has fixed shapes: the decoder sees the
whole room of the cache, of which it masks what is beyond each row's end, and writes the new entries
into it itself.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import torch
from torch import Tensor

from ocrtool.models.cache import append_entries
from ocrtool.models.ocr import CrossCache, OcrModel

AFTER = 3
"""Steps over the same arrays after which they are worth a graph: recording takes about as long."""

logger = logging.getLogger(__name__)


class FixedStep(NamedTuple):
    """A step behind a past of fixed room.

    Attributes:
        tokens: (B, T) int64, which are read.
        cross: The image.
        keys: (n_layer, B, G, room, D).
        values: (n_layer, B, G, room, D).
        lengths: (B,) int64, entries of each row that count.
    """

    tokens: Tensor
    cross: CrossCache
    keys: Tensor
    values: Tensor
    lengths: Tensor

    def take(self, model: OcrModel) -> Tensor:
        """Return (B, T, V) scores; what is new is written behind each row's end."""
        logits, new_keys, new_values = model.step(*self)
        append_entries(self.keys, new_keys, self.lengths)
        append_entries(self.values, new_values, self.lengths)
        return logits


class StepGraphs:
    """Takes single steps, from a CUDA graph where the same arrays have come often enough.

    Args:
        model: The network, on a GPU.
    """

    def __init__(self, model: OcrModel) -> None:
        self.model = model
        self._places: tuple[object, ...] = ()
        self._seen = 0
        self._graph: _Graph | None = None
        self._usable = True

    def step(self, step: FixedStep) -> Tensor:
        """Take one step and return its scores."""
        arrays = (step.cross.keys, step.cross.values, step.keys, step.values)
        places = tuple((array.data_ptr(), array.shape) for array in arrays)
        if places != self._places:
            self._places, self._seen, self._graph = places, 0, None
        self._seen += 1
        if self._graph is None and self._seen > AFTER and self._usable:
            try:
                self._graph = _Graph(self.model, step)
            except RuntimeError as error:  # an operation that cannot be recorded
                logger.info("steps without CUDA graphs: %s", error)
                self._usable = False
        return step.take(self.model) if self._graph is None else self._graph.replay(step)


class _Graph:
    """A recorded step over certain arrays; what changes is copied to where it reads it."""

    def __init__(self, model: OcrModel, step: FixedStep) -> None:
        cross = step.cross._replace(lengths=step.cross.lengths.clone())
        self.step = step._replace(
            tokens=step.tokens.clone(), cross=cross, lengths=step.lengths.clone()
        )
        # Libraries set themselves up at their first call, which cannot be recorded.
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self.step.take(model)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.logits = self.step.take(model)

    def replay(self, step: FixedStep) -> Tensor:
        """Take the step for other tokens and lengths; the result is overwritten by the next one."""
        self.step.tokens.copy_(step.tokens)
        self.step.cross.lengths.copy_(step.cross.lengths)
        self.step.lengths.copy_(step.lengths)
        self.graph.replay()
        return self.logits
