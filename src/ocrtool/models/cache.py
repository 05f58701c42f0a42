"""The decoder's key-value cache: preallocated, with a length for every row."""

from __future__ import annotations

import torch
from torch import Tensor

from ocrtool.models.config import DecoderConfig


class KVCache:
    """Keys and values of the tokens that the decoder has read, rows of different lengths.

    Entries of row b beyond ``lengths[b]`` are stale: the decoder masks them and ``append``
    overwrites them. So to take a draft back is to shorten a length.

    Attributes:
        keys: (n_layer, B, G, max_length, D).
        values: (n_layer, B, G, max_length, D).
        lengths: (B,) int64, tokens held of each row.
        longest: the greatest of ``lengths``, as a plain number.
    """

    def __init__(self, keys: Tensor, values: Tensor, lengths: Tensor, longest: int) -> None:
        """Wrap existing tensors; ``allocate`` makes an empty cache."""
        self.keys = keys
        self.values = values
        self.lengths = lengths
        self.longest = longest

    @classmethod
    def allocate(
        cls,
        config: DecoderConfig,
        batch: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> KVCache:
        """Return an empty cache for ``batch`` rows of up to ``config.max_length`` tokens."""
        shape = (config.n_layer, batch, config.n_kv_head, config.max_length, config.d_head)
        keys = torch.zeros(shape, device=device, dtype=dtype)
        lengths = torch.zeros(batch, device=device, dtype=torch.int64)
        return cls(keys, torch.zeros_like(keys), lengths, 0)

    def past(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return keys and values as views cut to the longest row, and the lengths."""
        return (
            self.keys[:, :, :, : self.longest],
            self.values[:, :, :, : self.longest],
            self.lengths,
        )

    def append(self, new_keys: Tensor, new_values: Tensor, counts: Tensor | None = None) -> None:
        """Write new entries behind each row's own end.

        Args:
            new_keys: (n_layer, B, G, T, D).
            new_values: (n_layer, B, G, T, D).
            counts: (B,) int64, how many of the T each row keeps, from the first on; None for all.

        Raises:
            ValueError: when a row would outgrow the cache.
        """
        steps = new_keys.shape[3]
        if counts is None:
            ends, longest = self.lengths + steps, self.longest + steps
        else:
            ends = self.lengths + counts
            longest = int(ends.max())
        if longest > self.keys.shape[3]:
            raise ValueError(f"{longest} tokens do not fit a cache of {self.keys.shape[3]}")
        if counts is None:
            write_behind(self.keys, new_keys, self.lengths)
            write_behind(self.values, new_values, self.lengths)
        else:
            step = torch.arange(steps, device=self.lengths.device)
            rows, sources = torch.nonzero(step < counts[:, None], as_tuple=True)
            targets = (self.lengths[:, None] + step)[rows, sources]
            # Advanced indices around a slice put the indexed axis first: (kept, n_layer, G, D).
            self.keys[:, rows, :, targets] = new_keys[:, rows, :, sources].to(self.keys.dtype)
            self.values[:, rows, :, targets] = new_values[:, rows, :, sources].to(self.values.dtype)
        self.lengths, self.longest = ends, longest

    def truncate(self, lengths: Tensor) -> None:
        """Forget what lies beyond ``lengths`` (B,); a row shorter than that stays as it is."""
        self.lengths = torch.minimum(self.lengths, lengths)
        self.longest = int(self.lengths.max())

    def reorder(self, rows: Tensor) -> None:
        """Make row i a copy of the present row ``rows[i]``; fewer or more rows may result."""
        self.keys = self.keys[:, rows]
        self.values = self.values[:, rows]
        self.lengths = self.lengths[rows]
        self.longest = int(self.lengths.max())


def write_behind(entries: Tensor, new: Tensor, lengths: Tensor) -> None:
    """Write new entries behind the ends of rows, in place and without waiting for a GPU.

    Args:
        entries: (n_layer, B, G, P, D), with room for them.
        new: (n_layer, B, G, T, D).
        lengths: (B,) int64, the ends.
    """
    places = lengths[:, None] + torch.arange(new.shape[3], device=lengths.device)
    entries.scatter_(3, places[None, :, None, :, None].expand_as(new), new.to(entries.dtype))
