"""The decoder's key-value cache: preallocated, with a length per row."""

from __future__ import annotations

import torch
from torch import Tensor

from ocrtool.models import DecoderConfig


class KVCache:
    """Keys and values of the decoded tokens, for rows of different lengths.

    Entries of row b beyond ``lengths[b]`` are stale: the decoder masks them and ``append``
    overwrites them. Rejecting a draft therefore only shortens a length.

    Attributes:
        keys: (n_layer, B, G, max_length, D).
        values: (n_layer, B, G, max_length, D).
        lengths: (B,) int64, valid tokens of each row.
        longest: maximum of ``lengths`` as a Python integer.
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
        """Write new entries after the end of each row.

        Args:
            new_keys: (n_layer, B, G, T, D).
            new_values: (n_layer, B, G, T, D).
            counts: (B,) int64, how many of the T entries each row keeps, from the first on; None
                for all.

        Raises:
            ValueError: A row would exceed the cache.
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
            append_entries(self.keys, new_keys, self.lengths)
            append_entries(self.values, new_values, self.lengths)
        else:
            step = torch.arange(steps, device=self.lengths.device)
            rows, sources = torch.nonzero(step < counts[:, None], as_tuple=True)
            targets = (self.lengths[:, None] + step)[rows, sources]
            # Advanced indices around a slice put the indexed axis first: (kept, n_layer, G, D).
            self.keys[:, rows, :, targets] = new_keys[:, rows, :, sources].to(self.keys.dtype)
            self.values[:, rows, :, targets] = new_values[:, rows, :, sources].to(self.values.dtype)
        self.lengths, self.longest = ends, longest

    def truncate(self, lengths: Tensor) -> None:
        """Shorten each row to at most ``lengths`` (B,) entries."""
        self.lengths = torch.minimum(self.lengths, lengths)
        self.longest = int(self.lengths.max())

    def reorder(self, rows: Tensor) -> None:
        """Replace row i by a copy of the present row ``rows[i]``; the number of rows may change."""
        self.keys = self.keys[:, rows]
        self.values = self.values[:, rows]
        self.lengths = self.lengths[rows]
        self.longest = int(self.lengths.max())


def append_entries(entries: Tensor, new: Tensor, lengths: Tensor) -> None:
    """Write new entries after the ends of rows, in place and without synchronising with a GPU.

    Args:
        entries: (n_layer, B, G, P, D), with room for the new entries.
        new: (n_layer, B, G, T, D).
        lengths: (B,) int64, the ends.
    """
    places = lengths[:, None] + torch.arange(new.shape[3], device=lengths.device)
    entries.scatter_(3, places[None, :, None, :, None].expand_as(new), new.to(entries.dtype))
