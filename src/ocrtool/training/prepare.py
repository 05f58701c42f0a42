"""What a run needs before its first step: rows or drawn lines, an alphabet, a geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ocrtool import console
from ocrtool.errors import InputError
from ocrtool.models.config import ModelConfig
from ocrtool.training import checkpoint
from ocrtool.training.checkpoint import Checkpoint
from ocrtool.training.config import TrainOptions, model_config
from ocrtool.training.data import (
    HeldSource,
    Preparation,
    Row,
    RowSource,
    Source,
    read_rows,
    split_rows,
    usable_rows,
)
from ocrtool.training.distributed import Group
from ocrtool.vocabulary import Vocabulary

VALIDATION_SEED = 7_368_787
"""Added to the seed of drawn lines for those held out."""
LISTED = 50
"""Unusable rows told one by one; the rest is counted, and all are in ``skipped.txt``."""


@dataclass(frozen=True)
class Data:
    """The training set and the validation set; size 0 is endless."""

    source: Source
    size: int
    validation: Source
    validation_size: int
    preparation: Preparation


def prepare(
    options: TrainOptions, start: Checkpoint | None, group: Group
) -> tuple[Data, ModelConfig]:
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
    held = read_rows([options.validation], problems) if options.validation else []
    vocabulary = choose_vocabulary(options, start, rows + held)
    if start is None:
        config = model_config(options, len(vocabulary))
    elif options.resume:
        config = start.config
    else:
        config = checkpoint.tuned_config(options, start, vocabulary)
    preparation = Preparation(config, vocabulary)
    if options.synth is not None:
        return _drawn_lines(options, preparation, held, problems, group), config

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
            f" {len(vocabulary.characters)} characters"
        )
        if options.vocab_size not in (None, 0, len(vocabulary)):
            console.warn(
                f"vocab_size is {len(vocabulary)}, as the data has it, not {options.vocab_size}"
            )
    return Data(RowSource(rows), len(rows), RowSource(held), len(held), preparation), config


def choose_vocabulary(
    options: TrainOptions, start: Checkpoint | None, rows: Sequence[Row]
) -> Vocabulary:
    """The resumed run's characters, or those asked for, or the start's and the data's."""
    if options.resume and start is not None:
        return start.vocabulary
    if options.alphabet is not None:
        return Vocabulary.from_texts([options.alphabet])
    texts = [row.text for row in rows]
    if options.synth is not None:
        from ocrtool.synth import ALPHABET

        texts.append(ALPHABET)
    if start is not None:
        texts.append("".join(start.vocabulary.characters))
    return Vocabulary.from_texts(texts)


def _drawn_lines(
    options: TrainOptions,
    preparation: Preparation,
    held: list[Row],
    problems: list[str],
    group: Group,
) -> Data:
    """Drawn lines to train on, and rows or other drawn lines to validate on."""
    from ocrtool.synth import LineSource, find_fonts

    fonts = find_fonts(options.fonts)
    alphabet = "".join(preparation.vocabulary.characters)

    def source(seed: int) -> LineSource:
        return LineSource(fonts, options.text, alphabet=alphabet, seed=seed)

    training = source(options.seed)
    if held:
        held = usable_rows(held, preparation, problems)
        if group.leads:
            _tell_problems(options, problems)
        if not held:
            raise InputError(f"{options.validation}: no usable row")
        return Data(training, 0, RowSource(held), len(held), preparation)
    size = options.validation_size if group.leads else 0  # the others do not validate
    drawn = HeldSource(source(options.seed + VALIDATION_SEED), size, preparation)
    return Data(training, 0, drawn, len(drawn), preparation)


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
