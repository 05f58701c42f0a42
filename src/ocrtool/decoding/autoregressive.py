"""From encoded images to token ids: CTC, greedy, beam, and draft-and-verify. NumPy only.

The CTC head reads a line in one pass but knows no spelling; the autoregressive decoder knows
spelling but takes a step a character. Draft-and-verify takes CTC's text as a draft: where CTC is
sure, the draft stands. Else the decoder reads the whole draft in one parallel step (causal, so
position t sees what it would see in plain decoding), keeps the prefix that it would have written
itself, writes its own next token, and proposes what is left of the draft again. Every kept token
is the decoder's own best one, so the result equals plain greedy decoding (speculative decoding;
Leviathan et al., 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from ocrtool.decoding.ctc import Decoded, carry_columns, forward_log_probs, greedy_path
from ocrtool.engines.base import Encoded, Engine, EngineCache, FloatArray, IntArray
from ocrtool.errors import UsageError
from ocrtool.weights.vocabulary import BOS, EOS, PAD

Strategy = Literal["ctc", "greedy", "beam", "verify"]

SPARE_TOKENS = 4
"""Tokens that a line may have beyond one a column."""
LONGEST_PERIOD = 8
"""Longest repeated pattern that counts as running away, in tokens."""
LEAST_REPEATS = 4
COLUMNS_A_REPEAT = 1.5
"""Columns that a character has at least on average, where characters repeat: 6 of 32 pixels."""
AHEAD = 32
"""Most tokens of the rest of a draft that are proposed after a disagreement."""
CELL_TOKENS = 4
"""Most LaTeX tokens that a formula has for each cell of its picture, braces included, ..."""
SPARE_LATEX = 24
"""... and beyond that: a matrix takes some to begin and to end."""
HOPELESS = 10.0
"""Natural logarithms by which a beam's text may fall behind one that has ended."""
NEVER = -1e9


@dataclass(frozen=True)
class DecodeOptions:
    """How tokens are found.

    Args:
        strategy: ``ctc`` reads the CTC head alone, ``greedy`` and ``beam`` the decoder,
            ``verify`` lets the decoder check CTC's drafts. A model without a CTC head reads
            ``ctc`` and ``verify`` as ``greedy``.
        verify: ``unsure`` checks only the drafts that CTC itself doubts, and where the decoder
            disagrees takes the text with the higher score; ``all`` checks every draft, and the
            decoder has the last word: the same tokens as ``greedy``.
        sure: Least probability of every character, and of every gap, of a draft that stands
            unchecked.
        rounds: Times that ``unsure`` lets the decoder go on with a draft that it disagreed with;
            then the draft stands: what is that hard to read is no better for its spelling. 0 for
            no limit.
        beam: Texts that a beam keeps.
        ctc_weight: Share of CTC's log-probability in the score of a text, the rest being the
            decoder's. Both are those of the whole text, its end included, so that texts of
            different lengths compare.
        spelling: What a word's log-probability counts beside that of the letters that are seen;
            see :mod:`ocrtool.decoding.lexicon`. 0 reads letter by letter, words or not.

    Raises:
        UsageError: A value is out of its range.
    """

    strategy: Strategy = "verify"
    verify: Literal["unsure", "all"] = "unsure"
    sure: float = 0.9
    rounds: int = 8
    beam: int = 5
    ctc_weight: float = 0.5
    spelling: float = 0.4

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.beam < 1:
            raise UsageError(f"a beam keeps at least 1 text, not {self.beam}")
        if self.rounds < 0:
            raise UsageError(f"rounds must be 0 or more, not {self.rounds}")
        for name in ("sure", "ctc_weight", "spelling"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UsageError(f"{name} must lie in 0 to 1, not {getattr(self, name)}")


def decode(engine: Engine, encoded: Encoded, options: DecodeOptions) -> list[Decoded]:
    """Read every row of a batch.

    Args:
        engine: The network.
        encoded: The images, from ``engine.encode``.
        options: How.

    Returns:
        A reading a row. What a row reads does not depend on the other rows.
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
        # What is longer than the decoder's longest text cannot be checked by it.
        if draft.certainty() < options.sure and len(draft.ids) <= limits[i]
    ]
    if not unsure:
        return drafts
    chosen = np.array(unsure, np.int64)
    images = encoded.select(chosen)
    proposals = [drafts[i].ids for i in unsure]
    rows = generate(engine, images, [limits[i] for i in unsure], proposals, options.rounds)
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
        ctc = np.maximum(ctc, NEVER)
        for k, place in enumerate(contested):
            draft, row = drafts[unsure[place]], rows[place]
            weight = options.ctc_weight
            for_draft = weight * ctc[k] + (1 - weight) * row.draft_log_prob
            for_row = weight * ctc[k + len(contested)] + (1 - weight) * row.log_prob
            if for_row > for_draft:
                readings[unsure[place]] = row.reading(draft)
    return readings


def width_limits(engine: Engine, encoded: Encoded) -> list[int]:
    """Return the most tokens of each row: what its width or area allows and the decoder takes."""
    longest = engine.metadata.config.decoder.max_length - 1
    kind = engine.metadata.config.vision.kind
    if kind == "line":
        return [min(longest, frames + SPARE_TOKENS) for frames in encoded.frames.tolist()]
    if kind == "formula":
        cells = encoded.lengths.tolist()
        return [min(longest, CELL_TOKENS * count + SPARE_LATEX) for count in cells]
    return [longest] * len(encoded.lengths)


# ------------------------------------------------------------------- greedy, with or without draft


@dataclass
class Hypothesis:
    """One text as it is written, token by token.

    Attributes:
        limit: Most tokens.
        draft: What may be proposed; empty for plain greedy decoding.
        ids: Tokens so far, without BOS and EOS.
        log_probs: Their log-probabilities.
        end_log_prob: That of EOS behind them, once it is written.
        draft_log_prob: That of the whole draft and EOS behind it, by the decoder.
        done: Whether the end is reached.
        runaway: Whether it was cut because it repeats itself or outgrows its width.
        place: Where in the draft the text stands.
        ahead: How many tokens of the draft are worth proposing.
        distances: (n + 1,) edits from the text to each beginning of the draft of n tokens, kept
            once it has left it.
    """

    limit: int
    draft: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()
    log_probs: list[float] = field(default_factory=list)
    end_log_prob: float = 0.0
    draft_log_prob: float = 0.0
    done: bool = False
    runaway: bool = False
    place: int = 0
    ahead: int = 0
    distances: IntArray | None = None

    def __post_init__(self) -> None:
        """Propose the whole draft first."""
        self.ahead = len(self.draft)

    @property
    def log_prob(self) -> float:
        """Log-probability of the whole text, its end included."""
        return sum(self.log_probs) + self.end_log_prob

    @property
    def last(self) -> int:
        """The token that is read next."""
        return self.ids[-1] if self.ids else BOS

    def proposal(self, room: int) -> tuple[int, ...]:
        """Return the next tokens of the draft, no more than ``room``."""
        most = min(self.ahead, self.limit - len(self.ids), room)
        return self.draft[self.place : self.place + most]

    def follow(self, proposal: Sequence[int], best: IntArray, log_probs: FloatArray) -> int:
        """Write the decoder's own tokens as long as the proposal led to them, and one more.

        Args:
            proposal: n proposed tokens.
            best: The decoder's best token behind ``last`` and behind each proposed token.
            log_probs: Their log-probabilities.

        Returns:
            How many of the n + 1 tokens that were read stay in the cache.
        """
        for t, (token, log_prob) in enumerate(zip(best.tolist(), log_probs.tolist(), strict=True)):
            self.write(token, log_prob)
            if self.done or t == len(proposal) or token != proposal[t]:
                # Where the draft fails it often goes on failing: try a token, then 3, 7 and so on.
                self.ahead = min(AHEAD, 2 * t + 1)
                return t + 1
        raise AssertionError("the loop ends at the last token")

    def write(self, token: int, log_prob: float) -> None:
        """Add the decoder's own next token, or end the text."""
        if token == EOS:
            self.end_log_prob = log_prob
            self.done = True
            return
        if len(self.ids) == self.limit:
            self.runaway = self.done = True
            return
        self.ids = (*self.ids, token)
        self.log_probs.append(log_prob)
        self.place = self._next_place(token)
        kept = without_repeats(self.ids, self.limit)
        if kept < len(self.ids):
            self.ids = self.ids[:kept]
            del self.log_probs[kept:]
            self.runaway = self.done = True

    def _next_place(self, token: int) -> int:
        """Return where the draft goes on behind ``token``.

        Once the text has left the draft, that is behind the beginning of the draft that is most
        like the whole text, by edit distance; of several the one nearest to where it was.
        """
        if not self.draft:
            return 0
        if self.distances is None:
            if self.place < len(self.draft) and self.draft[self.place] == token:
                return self.place + 1
            self.distances = np.abs(np.arange(len(self.draft) + 1) - self.place)
        before = self.distances
        other = np.array(self.draft, np.int64) != token
        best = before + 1
        best[1:] = np.minimum(best[1:], before[:-1] + other)
        steps = np.arange(len(best))
        self.distances = np.minimum.accumulate(best - steps) + steps
        ends = np.flatnonzero(self.distances == self.distances.min())
        return int(ends[np.abs(ends - self.place - 1).argmin()])

    def reading(self, draft: Decoded | None = None) -> Decoded:
        """Return the finished text; where it equals the CTC draft, both vouch for it."""
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
        encoded: The images.
        limits: Most tokens of each row.
        drafts: A proposal for each row; None for none.
        rounds: Steps after which rows are left unfinished; 0 for no limit.
        views: Images in succession that show the same; each of their rows is one text, whose
            tokens have the mean of the probabilities that they have in all views.

    Returns:
        The rows, in order; all finished where there is no limit.
    """
    drafts = drafts if drafts is not None else [()] * len(limits)
    rows = [
        Hypothesis(limit, tuple(draft)[:limit]) for limit, draft in zip(limits, drafts, strict=True)
    ]
    active = list(rows)
    cache = EngineCache.allocate(engine.metadata.config.decoder, len(rows) * views, engine.store)
    left = rounds or max(limits, default=0) + 1  # each round writes a token or an end
    while active and left:
        left -= 1
        room = engine.metadata.config.decoder.max_length - cache.longest - 1
        proposals = [() if row.done else row.proposal(room) for row in active]
        tokens = np.full((len(active), 1 + max(map(len, proposals))), PAD, np.int64)
        for line, row, proposal in zip(tokens, active, proposals, strict=True):
            line[: 1 + len(proposal)] = (row.last, *proposal)
        lengths = cache.lengths[::views]
        seen = engine.step(np.repeat(tokens, views, axis=0), encoded, cache)
        best, best_log_probs, log_norms, logits = _best(_agreed(seen, views))
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
                chosen = _with_views(going, views)
                encoded = encoded.select(chosen)
                cache.reorder(chosen)
    return rows


def _with_views(rows: Sequence[int], views: int) -> IntArray:
    """Return the images of some texts: all views of each."""
    return (np.array(rows, np.int64)[:, None] * views + np.arange(views)).ravel()


def _agreed(logits: FloatArray, views: int) -> FloatArray:
    """Return scores (B, T, V) of texts from those (B * views, T, V) of all views of each."""
    if views == 1:
        return logits
    shifted = logits - logits.max(-1, keepdims=True)
    odds = np.exp(shifted)
    odds /= odds.sum(-1, keepdims=True)
    mean: FloatArray = odds.reshape(-1, views, *odds.shape[1:]).mean(1)
    return np.log(np.maximum(mean, np.float32(1e-30)))


def without_repeats(ids: Sequence[int], limit: int) -> int:
    """Return how many tokens stay once a pattern that repeats without end is cut to one period.

    A number like 999449 or a row of leader dots is no such thing: a pattern of up to
    ``LONGEST_PERIOD`` tokens has to come ``LEAST_REPEATS`` times and, closely set, to be wider
    than the whole image.

    Args:
        ids: A text so far, of which only the end is looked at.
        limit: Most tokens that the width allows.
    """
    longest = limit / COLUMNS_A_REPEAT
    if len(ids) <= longest:
        return len(ids)
    for period in range(1, LONGEST_PERIOD + 1):
        end = len(ids)
        while end > period and ids[end - 1] == ids[end - 1 - period]:
            end -= 1
        repeated = len(ids) - end + period
        if repeated > longest and repeated >= LEAST_REPEATS * period:
            return end
    return len(ids)


def _best(logits: FloatArray) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """Return the best tokens (B, T), their log-probabilities, the log-norms, and the scores.

    PAD and BOS are never written; their scores are struck out in place.
    """
    logits[..., [PAD, BOS]] = NEVER
    best = logits.argmax(-1)
    top = np.take_along_axis(logits, best[..., None], -1)
    log_norms = np.log(np.exp(logits - top).sum(-1)) + top[..., 0]
    return best, top[..., 0] - log_norms, log_norms, logits


# ------------------------------------------------------------------- beam


def beam_search(
    engine: Engine, encoded: Encoded, limits: Sequence[int], options: DecodeOptions
) -> list[Decoded]:
    """Go on from the ``options.beam`` most probable texts of each row; return the best one.

    With a CTC head, texts are compared by the score of :class:`DecodeOptions`, else by the
    decoder's log-probability. One text is greedy decoding.
    """
    ended = beam_rows(engine, encoded, limits, options)
    return [_pick(encoded, i, texts, options) for i, texts in enumerate(ended)]


def beam_rows(
    engine: Engine,
    encoded: Encoded,
    limits: Sequence[int],
    options: DecodeOptions,
    views: int = 1,
) -> list[list[Hypothesis]]:
    """Return the texts of each row that ended: ``options.beam`` of them, those that ran away last.

    They are sorted by the decoder's log-probability, the best first. ``views`` as of ``generate``.
    """
    count = len(limits)
    ended: list[list[Hypothesis]] = [[] for _ in range(count)]
    beams = [(i, Hypothesis(limit)) for i, limit in enumerate(limits)]
    images = encoded
    cache = EngineCache.allocate(engine.metadata.config.decoder, count * views, engine.store)
    while beams:
        tokens = np.array([[text.last] for _, text in beams for _ in range(views)], np.int64)
        _, _, log_norms, logits = _best(_agreed(engine.step(tokens, images, cache), views))
        log_probs = (logits - log_norms[..., None])[:, 0]
        parents: list[int] = []
        grown: list[tuple[int, Hypothesis]] = []
        for i in range(count):
            members = [place for place, (row, _) in enumerate(beams) if row == i]
            if not members:
                continue
            going: list[tuple[int, Hypothesis]] = []
            texts = [beams[place][1] for place in members]
            for member, token, log_prob in _grow(texts, log_probs[members], options.beam):
                text = replace(texts[member], log_probs=list(texts[member].log_probs))
                text.write(token, log_prob)
                if text.done:
                    ended[i].append(text)
                else:
                    going.append((members[member], text))
            if len(ended[i]) >= options.beam:
                continue
            bar = max((text.log_prob for text in ended[i]), default=NEVER) - HOPELESS
            for place, text in going:
                if text.log_prob > bar:
                    parents.append(place)
                    grown.append((i, text))
        beams = grown
        if beams:
            chosen = _with_views(parents, views)
            images = images.select(chosen)
            cache.reorder(chosen)
    return [sorted(rows, key=lambda row: (row.runaway, -row.log_prob)) for rows in ended]


def _grow(
    texts: Sequence[Hypothesis], log_probs: FloatArray, most: int
) -> list[tuple[int, int, float]]:
    """Return the best (text, token, log-probability) that go on from the texts of one row."""
    totals = log_probs + np.array([text.log_prob for text in texts], np.float32)[:, None]
    best = np.argsort(-totals, axis=None, kind="stable")[:most]
    places, tokens = np.unravel_index(best, totals.shape)
    return [(int(p), int(t), float(log_probs[p, t])) for p, t in zip(places, tokens, strict=True)]


def _pick(encoded: Encoded, i: int, texts: list[Hypothesis], options: DecodeOptions) -> Decoded:
    """Return the best of the texts that ended, those that ran away last."""
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
            ctc = np.maximum(ctc, NEVER)
            scores = options.ctc_weight * ctc + (1 - options.ctc_weight) * scores
    return texts[int(np.argmax(scores))].reading(draft)
