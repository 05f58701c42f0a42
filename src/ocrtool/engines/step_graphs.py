"""Steps of one token as CUDA graphs: on a GPU, most of a step is the launching of its kernels.

A graph replays kernels on fixed addresses, so a step for it has fixed shapes: the decoder sees the
whole room of the cache, of which it masks what is beyond each row's end, and writes the new entries
into it itself.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from ocrtool.models.cache import write_behind
from ocrtool.models.ocr import CrossCache, OcrModel

AFTER = 3
"""Steps over the same arrays after which they are worth a graph: recording takes about as long."""

logger = logging.getLogger(__name__)


def fixed_step(
    model: OcrModel,
    tokens: Tensor,
    cross: CrossCache,
    keys: Tensor,
    values: Tensor,
    lengths: Tensor,
) -> Tensor:
    """Read tokens behind a past of fixed room; what is new is written behind each row's end.

    Args:
        model: The network.
        tokens: (B, T) int64.
        cross: The image.
        keys: (n_layer, B, G, room, D).
        values: (n_layer, B, G, room, D).
        lengths: (B,) int64, entries of each row that count.

    Returns:
        (B, T, V) scores.
    """
    logits, new_keys, new_values = model.step(tokens, cross, keys, values, lengths)
    write_behind(keys, new_keys, lengths)
    write_behind(values, new_values, lengths)
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

    def step(
        self, tokens: Tensor, cross: CrossCache, keys: Tensor, values: Tensor, lengths: Tensor
    ) -> Tensor:
        """Take one step; arguments and result as of `fixed_step`."""
        arrays = (cross.keys, cross.values, keys, values)
        places = tuple((array.data_ptr(), array.shape) for array in arrays)
        if places != self._places:
            self._places, self._seen, self._graph = places, 0, None
        self._seen += 1
        if self._graph is None and self._seen > AFTER and self._usable:
            try:
                self._graph = _Graph(self.model, tokens, cross, keys, values, lengths)
            except RuntimeError as error:  # an operation that cannot be recorded
                logger.info("steps without CUDA graphs: %s", error)
                self._usable = False
        if self._graph is None:
            return fixed_step(self.model, tokens, cross, keys, values, lengths)
        return self._graph.replay(tokens, cross.lengths, lengths)


class _Graph:
    """A recorded step over certain arrays; what changes is copied to where it reads it."""

    def __init__(
        self,
        model: OcrModel,
        tokens: Tensor,
        cross: CrossCache,
        keys: Tensor,
        values: Tensor,
        lengths: Tensor,
    ) -> None:
        self.inputs = tuple(part.clone() for part in (tokens, cross.lengths, lengths))
        self.arrays = (cross.keys, cross.values, keys, values)  # kept alive
        given, image, behind = self.inputs
        fixed = (given, CrossCache(cross.keys, cross.values, image), keys, values, behind)
        # Libraries set themselves up at their first call, which cannot be recorded.
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            fixed_step(model, *fixed)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.logits = fixed_step(model, *fixed)

    def replay(self, *inputs: Tensor) -> Tensor:
        """Take the step for other tokens and lengths; the result is overwritten by the next one."""
        for place, value in zip(self.inputs, inputs, strict=True):
            place.copy_(value)
        self.graph.replay()
        return self.logits
