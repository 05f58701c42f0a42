"""Training runs that are interrupted."""

from __future__ import annotations

from typing import Any

from ocrtool.training.distributed import Compute, Group
from ocrtool.training.options import TrainOptions
from ocrtool.training.prepare import prepare
from ocrtool.training.recognition import RecognitionTask
from ocrtool.training.trainer import Interrupt, Trainer, claim_folder


def cut_short(options: TrainOptions, stop: int) -> None:
    """Train until a step as if Ctrl-C were pressed there."""
    with Interrupt() as interrupt:
        claim_folder(options, Group())
        data, config = prepare(options, None, Group())
        trainer = Trainer(RecognitionTask(options, config, data, Compute(), None))
        step = trainer._step

        def interrupted(*given: Any) -> None:
            step(*given)
            if trainer.position.step == stop:
                interrupt.asked = True

        trainer._step = interrupted  # type: ignore[method-assign]
        trainer.run(interrupt)
