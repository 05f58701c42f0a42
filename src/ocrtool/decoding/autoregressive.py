"""Decoding of encoded images to token ids: CTC, greedy, beam, and draft-and-verify. NumPy only.

The CTC head reads a line in one pass but has no language model; the autoregressive decoder has one
but takes one step per token. Draft-and-verify takes the CTC text as a draft, which is accepted
where CTC is confident. Otherwise the decoder reads the whole draft in one parallel step (causal, so
that position t sees the same context as in plain decoding), keeps the prefix that it would have
generated itself, appends its own next token, and continues with the rest of the draft. Each kept
token is the decoder's own best one, so the result equals plain greedy decoding (speculative
decoding; Leviathan et al., 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from ocrtool.decoding.ctc import Decoded, carry_columns, forward_log_probs, greedy_path
from ocrtool.engines import Encoded, Engine, EngineCache, FloatArray, IntArray
from ocrtool.errors import UsageError
from ocrtool.weights import BOS, EOS, PAD

Strategy = Literal["ctc", "greedy", "beam", "verify"]

EXTRA_LINE_TOKENS = 4
"""Number of tokens that a line may have in addition to one per CTC frame."""
MAX_PERIOD = 8
"""Maximum length in tokens of a pattern whose repetition counts as runaway text."""
MIN_REPEATS = 4
"""Minimum number of repetitions of such a pattern."""
MIN_FRAMES_PER_REPEAT = 1.5
"""Minimum mean width of a repeated character in CTC frames: 6 pixels in a line 32 pixels high."""
MAX_LOOKAHEAD = 32
"""Maximum number of draft tokens that are proposed in one step after a disagreement."""
TOKENS_PER_CELL = 4
"""Maximum number of LaTeX tokens, braces included, per cell of a formula's encoder grid."""
EXTRA_FORMULA_TOKENS = 24
"""Number of LaTeX tokens that a formula may have in addition, such as a matrix environment."""
BEAM_MARGIN = 10.0
"""Maximum difference in log-probability (nats) of a beam hypothesis to the best finished one."""
NEG_INF = -1e9
"""Log-probability of an impossible token or text."""


@dataclass(frozen=True)
class DecodeOptions:
    """Decoding strategy and its parameters.

    Args:
        strategy: ``ctc`` uses the CTC head alone, ``greedy`` and ``beam`` the decoder, ``verify``
            lets the decoder check the CTC drafts. Without a CTC head, ``ctc`` and ``verify`` mean
            ``greedy``.
        verify: ``unsure`` checks only drafts below ``min_draft_confidence``, and where the decoder
            disagrees takes the text with the higher score; ``all`` checks every draft and takes
            the decoder's text, which is that of ``greedy``.
        min_draft_confidence: Minimum probability of each character and gap of a draft that is
            accepted unchecked, 0 to 1.
        max_rounds: Maximum number of decoder steps with ``unsure``, after which the draft is
            accepted: the language model does not help where an image is that hard to read. 0 for
            no limit.
        beam: Beam width: number of hypotheses that are kept.
        ctc_weight: Weight of the CTC log-probability in the score of a text, 0 to 1; that of the
            decoder has the rest. Both are of the whole text with its end, so that texts of
            different lengths are comparable.
        lexicon_weight: Weight of a word's log-probability relative to that of its characters, 0 to
            1; see :mod:`ocrtool.decoding.lexicon`. 0 switches the lexicon off.

    Raises:
        UsageError: A value is out of its range.
    """

    strategy: Strategy = "verify"
    verify: Literal["unsure", "all"] = "unsure"
    min_draft_confidence: float = 0.9
    max_rounds: int = 8
    beam: int = 5
    ctc_weight: float = 0.5
    lexicon_weight: float = 0.4

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.beam < 1:
            raise UsageError(f"beam must be 1 or more, not {self.beam}")
        if self.max_rounds < 0:
            raise UsageError(f"max_rounds must be 0 or more, not {self.max_rounds}")
        for name in ("min_draft_confidence", "ctc_weight", "lexicon_weight"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UsageError(f"{name} must lie in 0 to 1, not {getattr(self, name)}")


def decode(engine: Engine, encoded: Encoded, options: DecodeOptions) -> list[Decoded]:
    """Decode each row of a batch.

    Args:
        engine: The network.
        encoded: Encoded images, from ``engine.encode``.
        options: Decoding strategy and its parameters.

    Returns:
        One text per row, which does not depend on the other rows.
    """
    limits = width_limits(engine, encoded)
    if options.strategy == "beam":
        return beam_search(engine, encoded, limits, options)
    if options.strategy == "greedy" or encoded.ctc_log_probs is None:
        return [row.reading() for row in generate(engine, encoded, limits)]
    drafts = [
        greedy_path(log_probs[:length])
        for log_probs, length in zip(encoded.ctc_log_probs, encoded.frames.tolist(), strict=True)
    ]
    if options.strategy == "ctc":
        return drafts
    if options.verify == "all":
        rows = generate(engine, encoded, limits, [draft.ids for draft in drafts])
        return [row.reading(draft) for row, draft in zip(rows, drafts, strict=True)]
    return _verify_unsure(engine, encoded, limits, drafts, options)


def _verify_unsure(
    engine: Engine,
    encoded: Encoded,
    limits: Sequence[int],
    drafts: list[Decoded],
    options: DecodeOptions,
) -> list[Decoded]:
    unsure = [
        i
        for i, draft in enumerate(drafts)
        # The decoder cannot check a draft longer than its own maximum length.
        if draft.min_probability() < options.min_draft_confidence and len(draft.ids) <= limits[i]
    ]
    if not unsure:
        return drafts
    chosen = np.array(unsure, np.int64)
    images = encoded.select(chosen)
    proposals = [drafts[i].ids for i in unsure]
    rows = generate(engine, images, [limits[i] for i in unsure], proposals, options.max_rounds)
    readings = list(drafts)
    contested: list[int] = []
    for place, (i, row) in enumerate(zip(unsure, rows, strict=True)):
        if not row.done:
            continue
        if row.ids == drafts[i].ids:
            readings[i] = row.reading(drafts[i])
        elif not row.runaway:
            contested.append(place)
    if contested and images.ctc_log_probs is not None:
        texts = [drafts[unsure[place]].ids for place in contested]
        texts += [rows[place].ids for place in contested]
        where = np.array(contested * 2, np.int64)
        ctc = forward_log_probs(images.ctc_log_probs[where], images.frames[where], texts)
        ctc = np.maximum(ctc, NEG_INF)
        for k, place in enumerate(contested):
            draft, row = drafts[unsure[place]], rows[place]
            weight = options.ctc_weight
            for_draft = weight * ctc[k] + (1 - weight) * row.draft_log_prob
            for_row = weight * ctc[k + len(contested)] + (1 - weight) * row.log_prob
            if for_row > for_draft:
                readings[unsure[place]] = row.reading(draft)
    return readings


def width_limits(engine: Engine, encoded: Encoded) -> list[int]:
    """Return the maximum number of tokens of each row, by its width or area and the decoder."""
    longest = engine.metadata.config.decoder.max_length - 1
    kind = engine.metadata.config.vision.kind
    if kind == "line":
        return [min(longest, frames + EXTRA_LINE_TOKENS) for frames in encoded.frames.tolist()]
    if kind == "formula":
        cells = encoded.lengths.tolist()
        return [min(longest, TOKENS_PER_CELL * count + EXTRA_FORMULA_TOKENS) for count in cells]
    return [longest] * len(encoded.lengths)


# ------------------------------------------------------------------- greedy, with or without draft


@dataclass
class Hypothesis:
    """One text while it is generated, token by token.

    Attributes:
        limit: Maximum number of tokens.
        draft: Draft tokens that may be proposed; empty for plain greedy decoding.
        ids: Tokens so far, without BOS and EOS.
        log_probs: Log-probability of each token.
        end_log_prob: Log-probability of EOS after them, once it has been generated.
        draft_log_prob: Decoder's log-probability of the whole draft, EOS included.
        done: Whether the text has ended.
        runaway: Whether it was cut because it repeats itself or exceeds its limit.
        draft_position: Index of the next draft token to propose.
        lookahead: Maximum number of draft tokens to propose in the next step.
        distances: (n + 1,) edit distance of the text to each prefix of the draft of n tokens;
            None as long as the text follows the draft.
    """

    limit: int
    draft: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()
    log_probs: list[float] = field(default_factory=list)
    end_log_prob: float = 0.0
    draft_log_prob: float = 0.0
    done: bool = False
    runaway: bool = False
    draft_position: int = 0
    lookahead: int = 0
    distances: IntArray | None = None

    def __post_init__(self) -> None:
        """Propose the whole draft first."""
        self.lookahead = len(self.draft)

    @property
    def log_prob(self) -> float:
        """Log-probability of the whole text, EOS included."""
        return sum(self.log_probs) + self.end_log_prob

    @property
    def last(self) -> int:
        """Latest token, the input of the next step."""
        return self.ids[-1] if self.ids else BOS

    def proposal(self, room: int) -> tuple[int, ...]:
        """Return the draft tokens to propose next, at most ``room``."""
        most = min(self.lookahead, self.limit - len(self.ids), room)
        return self.draft[self.draft_position : self.draft_position + most]

    def follow(self, proposal: Sequence[int], best: IntArray, log_probs: FloatArray) -> int:
        """Append the decoder's best tokens up to the first that differs from the proposal.

        Args:
            proposal: n proposed tokens.
            best: (n + 1,) the decoder's best token after ``last`` and after each proposed token.
            log_probs: (n + 1,) their log-probabilities.

        Returns:
            Number of the n + 1 input tokens that stay in the cache.
        """
        for t, (token, log_prob) in enumerate(zip(best.tolist(), log_probs.tolist(), strict=True)):
            self.write(token, log_prob)
            if self.done or t == len(proposal) or token != proposal[t]:
                # Disagreements cluster: propose 1 token after one, then 3, 7 and so on.
                self.lookahead = min(MAX_LOOKAHEAD, 2 * t + 1)
                return t + 1
        raise AssertionError("the loop ends at the last token")

    def write(self, token: int, log_prob: float) -> None:
        """Append the decoder's next token, or end the text at EOS, at the limit, or in a loop."""
        if token == EOS:
            self.end_log_prob = log_prob
            self.done = True
            return
        if len(self.ids) == self.limit:
            self.runaway = self.done = True
            return
        self.ids = (*self.ids, token)
        self.log_probs.append(log_prob)
        self.draft_position = self._next_draft_position(token)
        kept = without_repeats(self.ids, self.limit)
        if kept < len(self.ids):
            self.ids = self.ids[:kept]
            del self.log_probs[kept:]
            self.runaway = self.done = True

    def _next_draft_position(self, token: int) -> int:
        """Return the index of the draft token to propose after ``token``.

        Once the text has left the draft, the draft is continued after the prefix with the least
        edit distance to the whole text; of several, the one nearest to the present position.
        """
        if not self.draft:
            return 0
        if self.distances is None:
            if self.draft_position < len(self.draft) and self.draft[self.draft_position] == token:
                return self.draft_position + 1
            self.distances = np.abs(np.arange(len(self.draft) + 1) - self.draft_position)
        before = self.distances
        other = np.array(self.draft, np.int64) != token
        best = before + 1
        best[1:] = np.minimum(best[1:], before[:-1] + other)
        steps = np.arange(len(best))
        self.distances = np.minimum.accumulate(best - steps) + steps
        ends = np.flatnonzero(self.distances == self.distances.min())
        return int(ends[np.abs(ends - self.draft_position - 1).argmin()])

    def reading(self, draft: Decoded | None = None) -> Decoded:
        """Return the finished text, with mean probabilities if it equals the CTC draft."""
        probabilities = np.exp(np.array(self.log_probs, np.float64))
        columns: tuple[tuple[int, int], ...] | None = None
        complete = float(np.exp(self.end_log_prob))
        if draft is not None and draft.ids == self.ids:
            probabilities = np.sqrt(probabilities * np.array(draft.probabilities))
            columns = draft.columns
            complete = float(np.sqrt(complete * draft.complete))
        elif draft is not None:
            columns = carry_columns(draft, self.ids)
        return Decoded(self.ids, tuple(probabilities.tolist()), complete, columns, self.runaway)


def generate(
    engine: Engine,
    encoded: Encoded,
    limits: Sequence[int],
    drafts: Sequence[Sequence[int]] | None = None,
    rounds: int = 0,
    views: int = 1,
) -> list[Hypothesis]:
    """Decode greedily; drafts save steps and never change a token.

    Args:
        engine: The network.
        encoded: Encoded images, ``views`` successive ones for each text.
        limits: Maximum number of tokens of each text.
        drafts: Draft of each text; None without drafts.
        rounds: Number of steps after which texts are left unfinished; 0 for no limit.
        views: Number of views of the same image per text; token probabilities are averaged over
            the views.

    Returns:
        One hypothesis per text, in order; all of them finished if there is no limit.
    """
    drafts = drafts if drafts is not None else [()] * len(limits)
    rows = [
        Hypothesis(limit, tuple(draft)[:limit]) for limit, draft in zip(limits, drafts, strict=True)
    ]
    active = list(rows)
    cache = EngineCache.allocate(engine.metadata.config.decoder, len(rows) * views, engine.store)
    left = rounds or max(limits, default=0) + 1  # each round appends a token or ends the text
    while active and left:
        left -= 1
        room = engine.metadata.config.decoder.max_length - cache.longest - 1
        proposals = [() if row.done else row.proposal(room) for row in active]
        tokens = np.full((len(active), 1 + max(map(len, proposals))), PAD, np.int64)
        for line, row, proposal in zip(tokens, active, proposals, strict=True):
            line[: 1 + len(proposal)] = (row.last, *proposal)
        lengths = cache.lengths[::views]
        seen = engine.step(np.repeat(tokens, views, axis=0), encoded, cache)
        best, best_log_probs, log_norms, logits = _top_tokens(_view_mean(seen, views))
        kept = np.zeros(len(active), np.int64)
        for i, (row, proposal) in enumerate(zip(active, proposals, strict=True)):
            if row.done:
                continue
            if not row.ids and len(proposal) == len(row.draft):
                steps = np.arange(len(proposal) + 1)
                wanted = logits[i, steps, (*proposal, EOS)] - log_norms[i, : len(proposal) + 1]
                row.draft_log_prob = float(wanted.sum())
            read = 1 + len(proposal)
            kept[i] = row.follow(proposal, best[i, :read], best_log_probs[i, :read])
        # A finished row keeps nothing: it must not fill the cache while others go on.
        done = np.array([row.done for row in active])
        cache.truncate(np.repeat(np.where(done, 0, lengths + kept), views))
        going = [i for i, row in enumerate(active) if not row.done]
        if 2 * len(going) <= len(active):  # copying the rest costs less than carrying the done
            active = [active[i] for i in going]
            if active:
                chosen = _view_rows(going, views)
                encoded = encoded.select(chosen)
                cache.reorder(chosen)
    return rows


def _view_rows(rows: Sequence[int], views: int) -> IntArray:
    """Return the row indices of all views of the given texts."""
    return (np.array(rows, np.int64)[:, None] * views + np.arange(views)).ravel()


def _view_mean(logits: FloatArray, views: int) -> FloatArray:
    """Average token probabilities over views: (B * views, T, V) logits to (B, T, V) log-probs."""
    if views == 1:
        return logits
    shifted = logits - logits.max(-1, keepdims=True)
    odds = np.exp(shifted)
    odds /= odds.sum(-1, keepdims=True)
    mean: FloatArray = odds.reshape(-1, views, *odds.shape[1:]).mean(1)
    return np.log(np.maximum(mean, np.float32(1e-30)))


def without_repeats(ids: Sequence[int], limit: int) -> int:
    """Return the number of tokens that remain when a runaway repetition is cut to one period.

    A pattern of up to ``MAX_PERIOD`` tokens counts as runaway if it occurs ``MIN_REPEATS`` times
    and would be wider than the whole image even if closely set. Numbers such as 999449 and dot
    leaders are therefore kept.

    Args:
        ids: Tokens so far; only the end is examined.
        limit: Maximum number of tokens that the width of the image allows.
    """
    longest = limit / MIN_FRAMES_PER_REPEAT
    if len(ids) <= longest:
        return len(ids)
    for period in range(1, MAX_PERIOD + 1):
        end = len(ids)
        while end > period and ids[end - 1] == ids[end - 1 - period]:
            end -= 1
        repeated = len(ids) - end + period
        if repeated > longest and repeated >= MIN_REPEATS * period:
            return end
    return len(ids)


def _top_tokens(logits: FloatArray) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """Return the best tokens (B, T), their log-probabilities, the log-norms, and the logits.

    PAD and BOS are excluded; their logits are overwritten in place.
    """
    logits[..., [PAD, BOS]] = NEG_INF
    best = logits.argmax(-1)
    top = np.take_along_axis(logits, best[..., None], -1)
    log_norms = np.log(np.exp(logits - top).sum(-1)) + top[..., 0]
    return best, top[..., 0] - log_norms, log_norms, logits


# ------------------------------------------------------------------- beam


def beam_search(
    engine: Engine, encoded: Encoded, limits: Sequence[int], options: DecodeOptions
) -> list[Decoded]:
    """Decode with a beam of ``options.beam`` hypotheses per row and return the best text of each.

    With a CTC head, texts are ranked by the combined score of :class:`DecodeOptions`, otherwise by
    the decoder's log-probability. A beam of 1 is greedy decoding.
    """
    ended = beam_rows(engine, encoded, limits, options)
    return [_best_finished(encoded, i, texts, options) for i, texts in enumerate(ended)]


def beam_rows(
    engine: Engine,
    encoded: Encoded,
    limits: Sequence[int],
    options: DecodeOptions,
    views: int = 1,
) -> list[list[Hypothesis]]:
    """Return up to ``options.beam`` finished hypotheses of each row, the best first.

    They are sorted by the decoder's log-probability, runaway ones after all others; ``views`` is
    that of :func:`generate`.
    """
    count = len(limits)
    ended: list[list[Hypothesis]] = [[] for _ in range(count)]
    beams = [(i, Hypothesis(limit)) for i, limit in enumerate(limits)]
    images = encoded
    cache = EngineCache.allocate(engine.metadata.config.decoder, count * views, engine.store)
    while beams:
        tokens = np.array([[text.last] for _, text in beams for _ in range(views)], np.int64)
        _, _, log_norms, logits = _top_tokens(_view_mean(engine.step(tokens, images, cache), views))
        log_probs = (logits - log_norms[..., None])[:, 0]
        parents: list[int] = []
        grown: list[tuple[int, Hypothesis]] = []
        for i in range(count):
            members = [place for place, (row, _) in enumerate(beams) if row == i]
            if not members:
                continue
            going: list[tuple[int, Hypothesis]] = []
            texts = [beams[place][1] for place in members]
            for member, token, log_prob in _expand(texts, log_probs[members], options.beam):
                text = replace(texts[member], log_probs=list(texts[member].log_probs))
                text.write(token, log_prob)
                if text.done:
                    ended[i].append(text)
                else:
                    going.append((members[member], text))
            if len(ended[i]) >= options.beam:
                continue
            bar = max((text.log_prob for text in ended[i]), default=NEG_INF) - BEAM_MARGIN
            for place, text in going:
                if text.log_prob > bar:
                    parents.append(place)
                    grown.append((i, text))
        beams = grown
        if beams:
            chosen = _view_rows(parents, views)
            images = images.select(chosen)
            cache.reorder(chosen)
    return [sorted(rows, key=lambda row: (row.runaway, -row.log_prob)) for rows in ended]


def _expand(
    texts: Sequence[Hypothesis], log_probs: FloatArray, most: int
) -> list[tuple[int, int, float]]:
    """Return the best continuations of a row's hypotheses: (hypothesis, token, log-probability)."""
    totals = log_probs + np.array([text.log_prob for text in texts], np.float32)[:, None]
    best = np.argsort(-totals, axis=None, kind="stable")[:most]
    places, tokens = np.unravel_index(best, totals.shape)
    return [(int(p), int(t), float(log_probs[p, t])) for p, t in zip(places, tokens, strict=True)]


def _best_finished(
    encoded: Encoded, i: int, texts: list[Hypothesis], options: DecodeOptions
) -> Decoded:
    """Return the best finished text; a runaway one only if there is no other."""
    texts = [text for text in texts if not text.runaway] or texts
    scores = np.array([text.log_prob for text in texts])
    draft: Decoded | None = None
    if encoded.ctc_log_probs is not None:
        length = int(encoded.frames[i])
        draft = greedy_path(encoded.ctc_log_probs[i, :length])
        if options.ctc_weight and len(texts) > 1:
            log_probs = np.repeat(encoded.ctc_log_probs[i : i + 1], len(texts), axis=0)
            lengths = np.full(len(texts), length, np.int64)
            ctc = forward_log_probs(log_probs, lengths, [text.ids for text in texts])
            ctc = np.maximum(ctc, NEG_INF)
            scores = options.ctc_weight * ctc + (1 - options.ctc_weight) * scores
    return texts[int(np.argmax(scores))].reading(draft)
