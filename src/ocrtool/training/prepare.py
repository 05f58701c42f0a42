"""Data sets, vocabulary and geometry of a run, prepared before its first step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ocrtool import console
from ocrtool.errors import InputError, UsageError
from ocrtool.models import ModelConfig
from ocrtool.training import checkpoint
from ocrtool.training.checkpoint import Checkpoint
from ocrtool.training.data import (
    HeldSource,
    MixedSource,
    Preparation,
    RowSource,
    Source,
    usable_rows,
)
from ocrtool.training.distributed import Group
from ocrtool.training.options import TrainOptions, model_config
from ocrtool.training.published import tokenizer_of, with_parts
from ocrtool.training.rows import LabelledImage, read_rows, split_rows
from ocrtool.weights import Vocabulary
from ocrtool.weights.bpe import BpeVocabulary

VALIDATION_SEED = 7_368_787
"""Difference between the seeds of drawn validation and training images."""
HELD_STEP = 50
"""One of this many files of typeset formulas is held out for validation."""
LONGEST_LINE = 100
"""Maximum characters of a drawn line where no limit is given."""
LISTED = 50
"""Maximum number of unusable rows reported one by one; ``skipped.txt`` lists all."""

Training = Callable[[int], tuple[Source, int]]
"""Returns a training set without texts longer than a limit (0: any length), and its size."""


@dataclass(frozen=True)
class DataSets:
    """The training set and the validation set; size 0 is endless.

    Attributes:
        upto: Returns the training set.
        validation: The validation set.
        validation_size: Number of its samples.
        preparation: Converts samples to the network's input.
    """

    upto: Training
    validation: Source
    validation_size: int
    preparation: Preparation


def prepare(
    options: TrainOptions, start: Checkpoint | None, group: Group
) -> tuple[DataSets, ModelConfig]:
    """Prepare the data, the vocabulary and the geometry of a network that may start from a model.

    Raises:
        InputError: No usable data, or any unusable row with ``strict``.
        UsageError: The geometry is impossible.
    """
    problems: list[str] = []
    rows = read_rows(options.data, problems)
    from_table = options.validation is not None and not options.validation.is_dir()
    held = read_rows([options.validation], problems) if options.validation and from_table else []
    if options.latex:
        rows, held = normal_rows(rows, problems), normal_rows(held, problems)
    vocabulary = choose_vocabulary(options, start, rows + held)
    if start is None:
        config = with_parts(options, model_config(options, len(vocabulary)))
        config = replace(config, prompt_ids=tuple(vocabulary.encode_prompt(config.prompt)))
    elif options.resume:
        config = start.config
    else:
        config = checkpoint.tuned_config(options, start, vocabulary)
    preparation = Preparation(config, vocabulary)
    rows = usable_rows(rows, preparation, problems)
    held = usable_rows(held, preparation, problems)
    if group.leads:
        _report_problems(options, problems)
    needs_held = from_table or (options.data and options.validation)
    if (options.data and not rows) or (needs_held and not held):
        raise InputError("no usable row", "see the reasons above" if problems else None)
    if not options.data:
        upto, others = (_lines if options.synth == "lines" else _formulas)(options, preparation)
        if held:
            return DataSets(upto, RowSource(held), len(held), preparation), config
        # Only the first process validates.
        drawn = HeldSource(others, options.validation_size if group.leads else 0, preparation)
        return DataSets(upto, drawn, len(drawn), preparation), config
    what = f"{options.validation}"
    if not options.validation:
        rows, held, what = split_rows(rows, options.validation_share, options.seed)
    if not rows:
        raise InputError("the validation share leaves nothing to train on")
    if group.leads:
        console.say(
            f"{len(rows)} rows to train on, {len(held)} to validate: {what};"
            f" {len(vocabulary.entries)} {vocabulary.unit}s"
        )
        if options.vocab_size not in (None, 0, len(vocabulary)):
            console.warn(f"vocab_size is {len(vocabulary)} in the data, not {options.vocab_size}")
    lines = _lines(options, preparation)[0] if options.synth is not None else None

    def labelled(longest: int) -> tuple[Source, int]:
        split = vocabulary.split
        kept = [row for row in rows if not longest or len(split(row.text)) <= longest]
        if not kept:
            raise InputError(f"no text has at most {longest} {vocabulary.unit}s")
        if lines is None:
            return RowSource(kept), len(kept)
        return MixedSource(lines(longest)[0], kept, options.mix, options.seed), 0

    return DataSets(labelled, RowSource(held), len(held), preparation), config


def normal_rows(rows: Sequence[LabelledImage], problems: list[str]) -> list[LabelledImage]:
    """Normalise the LaTeX of rows to tokens separated by spaces.

    `problems` receives a line for every row whose LaTeX does not parse, which is left out.
    """
    from ocrtool.latex_syntax import LatexError, normal

    kept = []
    for row in rows:
        try:
            kept.append(replace(row, text=" ".join(normal(row.text))))
        except LatexError as error:
            problems.append(f"{row.origin}: {error}")
    return kept


def choose_vocabulary(
    options: TrainOptions, start: Checkpoint | None, rows: Sequence[LabelledImage]
) -> Vocabulary:
    """Return the vocabulary of a run.

    It is that of the resumed run, a published decoder's tokenizer, the alphabet of the options, or
    the entries of `start`, the data engine and the data; entries of `start` keep their order in
    LaTeX.

    Raises:
        UsageError: `start` reads formulas and the data are not formulas, or the reverse.
    """
    if options.resume and start is not None:
        return start.vocabulary
    if options.decoder_from is not None:
        return tokenizer_of(options.decoder_from, " " if options.latex else "")
    if start is not None and options.latex != bool(start.vocabulary.separator):
        if options.latex:
            raise UsageError("the model to start from reads characters, not formulas")
        raise UsageError("the model to start from reads formulas", "use --set tokens=latex")
    if start is not None and isinstance(start.vocabulary, BpeVocabulary):
        return start.vocabulary
    known = list(start.vocabulary.entries) if start is not None else []
    texts = [row.text for row in rows]
    if options.latex:
        if start is None and options.synth is not None:
            from ocrtool.synth.formula_vocabulary import formula_tokens

            known += formula_tokens()
        found = Vocabulary.from_texts(texts, " ").entries
        return Vocabulary(tuple(dict.fromkeys((*known, *found))), " ")
    if options.alphabet is not None:
        return Vocabulary.from_texts([options.alphabet])
    if options.synth is not None:
        from ocrtool.synth import ALPHABET

        texts.append(ALPHABET)
    return Vocabulary.from_texts([*texts, "".join(known)])


def _lines(options: TrainOptions, preparation: Preparation) -> tuple[Training, Source]:
    """Return drawn lines to train on, and others to validate on."""
    from ocrtool.synth import LineSource, find_fonts

    fonts = find_fonts(options.fonts)
    alphabet = "".join(preparation.vocabulary.entries)

    def source(seed: int, longest: int) -> LineSource:
        most = longest or LONGEST_LINE
        return LineSource(fonts, options.text, alphabet, seed, max_characters=most)

    held = source(options.seed + VALIDATION_SEED, options.max_tokens or 0)
    return lambda longest: (source(options.seed, longest), 0), held


def _formulas(options: TrainOptions, preparation: Preparation) -> tuple[Training, Source]:
    """Return drawn formulas to train on, and others to validate on.

    The others come from files of their own where there are at least two files.
    """
    from ocrtool.synth.formulas import FormulaSource

    training = _shards(options.formulas)
    if options.validation is not None and options.validation.is_dir():
        held = _shards([options.validation])
    else:
        step = min(HELD_STEP, len(training))
        held = training[step // 2 :: step]
        training = [path for path in training if path not in held] or held
    most = preparation.config.decoder.max_length - 1

    def source(shards: Sequence[Path], seed: int, longest: int) -> FormulaSource:
        return FormulaSource(shards, seed, min(longest, most) if longest else most)

    others = source(held, options.seed + VALIDATION_SEED, options.max_tokens or 0)
    return lambda longest: (source(training, options.seed, longest), 0), others


def _shards(folders: Sequence[Path]) -> list[Path]:
    """Return the files of typeset formulas in folders."""
    found = []
    for folder in folders:
        inside = sorted(folder.glob("*.npz"))
        if not inside:
            raise InputError(
                f"{folder}: no typeset formulas", "python -m ocrtool.synth.formulas makes them"
            )
        found += inside
    return found


def _report_problems(options: TrainOptions, problems: Sequence[str]) -> None:
    """Report unusable rows on standard error and in ``skipped.txt``."""
    if not problems:
        return
    for line in problems[:LISTED]:
        console.warn(line)
    if len(problems) > LISTED:
        console.warn(f"and {len(problems) - LISTED} more; all are in {options.out}/skipped.txt")
    with console.atomic_write(options.out / "skipped.txt") as temporary:
        temporary.write_text("\n".join(problems) + "\n", "utf-8")
    if options.strict:
        raise InputError(f"{len(problems)} rows are unusable", "correct them or leave out --strict")
    console.warn(f"{len(problems)} rows are left out")
