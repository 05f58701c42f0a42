"""Protocols: what a kind of set asks of a program, and by which figures it is scored."""

from __future__ import annotations

from rapidfuzz.distance import Levenshtein

from ocrtool.evaluation import markdown_scores, metrics
from ocrtool.evaluation.benchmarks import formulas, olmocr, omnidocbench, pubtabnet
from ocrtool.evaluation.figures import Figure
from ocrtool.evaluation.items import Item, Reading, Task
from ocrtool.evaluation.normalise import Comparison
from ocrtool.evaluation.protocol import Protocol, Score


def score_text(item: Item, reading: Reading, how: Comparison) -> Score:
    """Score the text of a page, line or document."""
    truth, said = how.normal(item.truth), how.normal(reading.text)
    if not truth:  # nothing is left of it by this normalisation
        return {}
    score: Score = {
        "cer": metrics.character_errors(truth, said),
        "wer": metrics.word_errors(truth, said),
        "word_f1": metrics.word_overlap(truth, said),
        "exact": (float(truth == said), 1.0),
    }
    if reading.words:
        words = [(how.normal(word), confidence) for word, confidence in reading.words]
        score["calibration_error"] = metrics.calibration(truth.split(), words)
    return score


def score_word(item: Item, reading: Reading, how: Comparison) -> Score:
    """Score an image of a word by the protocols of scene text."""
    truth, said = how.word(item.truth), how.word(reading.text)
    if not truth:  # no character of it is compared
        return {}
    near = Levenshtein.normalized_similarity(truth, said)
    score = score_text(item, reading, how)
    score["accuracy"] = (float(truth == said), 1.0)
    score["one_less_ned"] = (near, 1.0)
    return score


ACCURACY = Figure("accuracy", "Word accuracy", note="Words whose compared characters are right.")
ONE_LESS_NED = Figure(
    "one_less_ned", "1 - NED", note="Mean of 1 less the edit distance as a share of the longer."
)

_ALL = (
    Protocol(
        "text",
        "pages or documents beside their plain text",
        Task.PAGE,
        (metrics.CER, metrics.WER, metrics.WORD_F1, metrics.CALIBRATION),
        score_text,
    ),
    Protocol(
        "lines",
        "images of single lines beside their text",
        Task.LINE,
        (metrics.CER, metrics.WER, metrics.EXACT, metrics.CALIBRATION),
        score_text,
    ),
    Protocol(
        "words",
        "images of single words beside their text",
        Task.LINE,
        (ACCURACY, ONE_LESS_NED, metrics.CER, metrics.CALIBRATION),
        score_word,
    ),
    Protocol(
        "markdown",
        "pages or documents beside their Markdown",
        Task.MARKDOWN,
        (
            markdown_scores.TEXT,
            metrics.WORD_F1,
            markdown_scores.ORDER,
            markdown_scores.HEADINGS,
            markdown_scores.LEVELS,
            markdown_scores.ITEMS,
            markdown_scores.TEDS,
            markdown_scores.TEDS_S,
            markdown_scores.FALSE_TABLES,
        ),
        markdown_scores.score_markdown,
    ),
    formulas.PROTOCOL,
    pubtabnet.PROTOCOL,
    omnidocbench.PROTOCOL,
    olmocr.PROTOCOL,
)

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in _ALL}
"""Protocols by their names."""
