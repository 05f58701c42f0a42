r"""Heads for training only: what teaches an encoder before the decoder has found where to look.

A decoder that reads a picture in two dimensions finds its places late, as long as what it looks at
tells nothing. A head beside it tells the encoder directly, which takes a fraction of the time:

- in pictures of one line, what the columns show from left to right must be the text: CTC (Graves et
  al., 2006) beside attention, as in speech (Kim et al., 2017);
- in formulas, what the cells show in all must be how often each sign stands in the text, whatever
  its place: aggregation cross-entropy (Xie et al., 2019; counting beside a decoder: Li et al., CAN,
  2022).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ocrtool.models.config import ModelConfig
from ocrtool.vocabulary import PAD, SPECIALS, Vocabulary

UNSEEN = frozenset({"{", "}", "^", "_", "&", "\\\\", "\\left", "\\right", ".", "~", "\\limits"})
"""Tokens that say how others stand."""
BLANK = PAD
"""What image tokens say that see no sign of their own."""
FRAMES = 2
"""Characters that a column of patches may show, at most."""


def hint_head(config: ModelConfig, vocabulary: Vocabulary) -> nn.Module | None:
    """Return the head for a network; none where it has CTC of its own."""
    if config.ctc:
        return None
    if config.vision.kind == "formula":
        return CountingHead(config.decoder.d_model, vocabulary)
    columns = config.vision.width // config.vision.patch
    return ColumnHead(config.decoder.d_model, columns, len(vocabulary))


def is_sign(token: str) -> bool:
    """Tell whether something is to be seen of a token by itself."""
    font = token.startswith(("\\math", "\\text", "\\boldsymbol", "\\operatorname"))
    return token not in UNSEEN and not font and not token.startswith(("\\begin", "\\end"))


class ColumnHead(nn.Module):
    """Reads a grid of patches column by column.

    Args:
        d_model: Width of the image tokens.
        columns: Of the grid, whose rows follow each other.
        vocab_size: Ids.
    """

    def __init__(self, d_model: int, columns: int, vocab_size: int) -> None:
        super().__init__()
        self.columns = columns
        self.vocab_size = vocab_size
        self.scores = nn.Linear(d_model, FRAMES * vocab_size)

    def forward(self, memory: Tensor, lengths: Tensor, targets: Tensor, sizes: Tensor) -> Tensor:
        """Return the CTC loss, summed over the rows.

        Args:
            memory: (B, N, d_model) image tokens.
            lengths: (B,) valid ones of each row.
            targets: (B, T) ids; what follows each text does not matter.
            sizes: (B,) characters of each text.
        """
        rows, _, width = memory.shape
        columns = memory.view(rows, -1, self.columns, width).mean(1)
        logits = self.scores(columns).float().view(rows, -1, self.vocab_size)
        return F.ctc_loss(
            logits.log_softmax(-1).transpose(0, 1),
            targets,
            torch.full_like(lengths, logits.shape[1]),
            sizes,
            blank=BLANK,
            reduction="sum",
            zero_infinity=True,
        )


class CountingHead(nn.Module):
    """Scores signs at each image token.

    Args:
        d_model: Width of the image tokens.
        vocabulary: Of the targets.
    """

    def __init__(self, d_model: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.scores = nn.Linear(d_model, len(vocabulary))
        signs = [False] * SPECIALS + [is_sign(entry) for entry in vocabulary.entries]
        self.register_buffer("signs", torch.tensor(signs), persistent=False)

    def forward(self, memory: Tensor, lengths: Tensor, targets: Tensor, sizes: Tensor) -> Tensor:
        """Return the cross-entropy of what is seen and what is said, summed over the rows.

        Args:
            memory: (B, N, d_model) image tokens.
            lengths: (B,) valid ones of each row.
            targets: (B, T) ids, PAD behind each text.
            sizes: (B,) tokens of each text.
        """
        signs: Tensor = self.signs  # type: ignore[assignment]
        logits = self.scores(memory).float()
        valid = torch.arange(memory.shape[1], device=memory.device) < lengths[:, None]
        seen = (logits.softmax(-1) * valid[..., None]).sum(1) / lengths[:, None]  # (B, V)
        counts = torch.zeros_like(seen).scatter_add_(1, targets, signs[targets].to(seen.dtype))
        said = counts.sum(1)
        # More signs than image tokens: then each counts for less.
        counts = counts * (lengths / said.clamp(min=1)).clamp(max=1)[:, None]
        counts[:, BLANK] = (lengths - said).clamp(min=0)
        loss: Tensor = -(counts * seen.clamp(min=1e-8).log()).sum()
        return loss
