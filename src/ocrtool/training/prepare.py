"""What a run needs before its first step: rows or drawn images, an alphabet, a geometry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ocrtool import console
from ocrtool.errors import InputError, UsageError
from ocrtool.models.config import ModelConfig
from ocrtool.training import checkpoint
from ocrtool.training.checkpoint import Checkpoint
from ocrtool.training.data import (
    HeldSource,
    LabelledImage,
    MixedSource,
    Preparation,
    RowSource,
    Source,
    read_rows,
    split_rows,
    usable_rows,
)
from ocrtool.training.distributed import Group
from ocrtool.training.options import TrainOptions, model_config
from ocrtool.training.published import tokenizer_of, with_parts
from ocrtool.weights.bpe import BpeVocabulary
from ocrtool.weights.vocabulary import Vocabulary

VALIDATION_SEED = 7_368_787
"""Added to the seed of drawn images for those held out."""
HELD_STEP = 50
"""Of so many files of typeset formulas one is held out for the validation."""
LONGEST_LINE = 100
"""Characters of the longest drawn line where no limit is given."""
LISTED = 50
"""Unusable rows told one by one; the rest is counted, and all are in ``skipped.txt``."""


@dataclass(frozen=True)
class DataSets:
    """The training set and the validation set; size 0 is endless.

    Attributes:
        upto: Gives the training set, and its size, without the texts that are longer than so many
            characters or tokens; 0 leaves out none.
        validation: The validation set.
        validation_size: Its samples.
        preparation: What the network takes.
    """

    upto: Callable[[int], tuple[Source, int]]
    validation: Source
    validation_size: int
    preparation: Preparation


def prepare(
    options: TrainOptions, start: Checkpoint | None, group: Group
) -> tuple[DataSets, ModelConfig]:
    """Read or set up the data, the alphabet and the geometry of the network.

    Args:
        options: What was asked for.
        start: Model to go on from, or None.
        group: The processes that train together; the first one talks.

    Raises:
        InputError: No usable data, or with ``strict`` any unusable row.
        UsageError: The geometry cannot be.
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
    if options.synth is not None and not rows:
        return _drawn(options, preparation, held, problems, group), config

    rows = usable_rows(rows, preparation, problems)
    held = usable_rows(held, preparation, problems)
    if group.leads:
        _tell_problems(options, problems)
    if not rows or (options.validation and not held):
        raise InputError("no usable row", "see the reasons above" if problems else None)
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
            console.warn(
                f"vocab_size is {len(vocabulary)}, as the data has it, not {options.vocab_size}"
            )
    upto: Callable[[int], tuple[Source, int]] = _Rows(rows, vocabulary)
    if options.synth is not None:
        upto = _Mixed(upto, _lines(options, preparation)[0], options.mix, options.seed)
    return DataSets(upto, RowSource(held), len(held), preparation), config


@dataclass(frozen=True)
class _Rows:
    """Rows of a training set, as `DataSets.upto` has them."""

    rows: Sequence[LabelledImage]
    vocabulary: Vocabulary

    def __call__(self, longest: int) -> tuple[Source, int]:
        """Leave out long texts."""
        split = self.vocabulary.split
        rows = [row for row in self.rows if not longest or len(split(row.text)) <= longest]
        if not rows:
            raise InputError(f"no text has at most {longest} {self.vocabulary.unit}s")
        return RowSource(rows), len(rows)


@dataclass(frozen=True)
class _Mixed:
    """Drawn lines and rows in a fixed proportion, as `DataSets.upto` has them."""

    rows: Callable[[int], tuple[Source, int]]
    drawn: Callable[[int], tuple[Source, int]]
    share: float
    seed: int

    def __call__(self, longest: int) -> tuple[Source, int]:
        """Leave out long texts."""
        rows = self.rows(longest)[0]
        assert isinstance(rows, RowSource)
        return MixedSource(self.drawn(longest)[0], rows.rows, self.share, self.seed), 0


def normal_rows(rows: Sequence[LabelledImage], problems: list[str]) -> list[LabelledImage]:
    """Bring the LaTeX of rows to its normal form, tokens with spaces between.

    Args:
        rows: Rows whose texts are LaTeX.
        problems: Gets a line for every row whose LaTeX does not parse, which is left out.
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
    """The resumed run's alphabet, or that asked for, or the start's and the data's.

    A decoder that has a published tokenizer keeps it as it is.
    """
    if options.resume and start is not None:
        return start.vocabulary
    if options.decoder_from is not None:
        return tokenizer_of(options.decoder_from, " " if options.latex else "")
    if options.latex:
        return _latex_vocabulary(options, start, rows)
    if start is not None and start.vocabulary.separator:
        raise UsageError("the model to start from reads formulas", "use --tokens latex")
    if start is not None and isinstance(start.vocabulary, BpeVocabulary):
        return start.vocabulary
    if options.alphabet is not None:
        return Vocabulary.from_texts([options.alphabet])
    texts = [row.text for row in rows]
    if options.synth is not None:
        from ocrtool.synth import ALPHABET

        texts.append(ALPHABET)
    if start is not None:
        texts.append("".join(start.vocabulary.entries))
    return Vocabulary.from_texts(texts)


def _latex_vocabulary(
    options: TrainOptions, start: Checkpoint | None, rows: Sequence[LabelledImage]
) -> Vocabulary:
    """The tokens of the start, or of the reader of formulas where formulas are drawn, and the data.

    Those that are known already keep their order.
    """
    known: list[str] = []
    if start is not None:
        if not start.vocabulary.separator:
            raise UsageError("the model to start from reads characters, not formulas")
        if isinstance(start.vocabulary, BpeVocabulary):
            return start.vocabulary
        known += start.vocabulary.entries
    elif options.synth is not None:
        from ocrtool.synth.formula_vocabulary import formula_tokens

        known += formula_tokens()
    found = Vocabulary.from_texts((row.text for row in rows), " ").entries
    return Vocabulary(tuple(dict.fromkeys((*known, *found))), " ")


def _drawn(
    options: TrainOptions,
    preparation: Preparation,
    held: list[LabelledImage],
    problems: list[str],
    group: Group,
) -> DataSets:
    """Drawn images to train on, and rows or other drawn images to validate on."""
    upto, others = (_lines if options.synth == "lines" else _formulas)(options, preparation)
    if held:
        held = usable_rows(held, preparation, problems)
        if group.leads:
            _tell_problems(options, problems)
        if not held:
            raise InputError(f"{options.validation}: no usable row")
        return DataSets(upto, RowSource(held), len(held), preparation)
    size = options.validation_size if group.leads else 0  # the others do not validate
    drawn = HeldSource(others, size, preparation)
    return DataSets(upto, drawn, len(drawn), preparation)


def _lines(
    options: TrainOptions, preparation: Preparation
) -> tuple[Callable[[int], tuple[Source, int]], Source]:
    """Lines to train on, and others to validate on."""
    from ocrtool.synth import LineSource, find_fonts

    fonts = find_fonts(options.fonts)
    alphabet = "".join(preparation.vocabulary.entries)

    def source(seed: int, longest: int) -> LineSource:
        most = longest or LONGEST_LINE
        return LineSource(fonts, options.text, alphabet, seed, max_characters=most)

    held = source(options.seed + VALIDATION_SEED, options.max_tokens or 0)
    return lambda longest: (source(options.seed, longest), 0), held


def _formulas(
    options: TrainOptions, preparation: Preparation
) -> tuple[Callable[[int], tuple[Source, int]], Source]:
    """Formulas to train on, and others, of files of their own where there are two, to validate."""
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
    """Find the files of typeset formulas in folders."""
    found = []
    for folder in folders:
        inside = sorted(folder.glob("*.npz"))
        if not inside:
            raise InputError(
                f"{folder}: no typeset formulas", "python -m ocrtool.synth.formulas makes them"
            )
        found += inside
    return found


def _tell_problems(options: TrainOptions, problems: Sequence[str]) -> None:
    if not problems:
        return
    for line in problems[:LISTED]:
        console.warn(line)
    if len(problems) > LISTED:
        console.warn(f"and {len(problems) - LISTED} more; all are in {options.out}/skipped.txt")
    with console.atomic_write(options.out / "skipped.txt") as temporary:
        temporary.write_text("\n".join(problems) + "\n", "utf-8")
    if options.strict:
        raise InputError(f"{len(problems)} rows are unusable", "mend them or leave out --strict")
    console.warn(f"{len(problems)} rows are left out")
