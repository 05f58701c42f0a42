"""Trainings that are cut short."""

from __future__ import annotations

import torch

from ocrtool.training import trainer
from ocrtool.training.config import TrainOptions
from ocrtool.training.distributed import Group
from ocrtool.training.prepare import prepare


def cut_short(options: TrainOptions, stop: int) -> None:
    """Train as Ctrl-C at a step would leave it."""

    class Interrupted(trainer.Trainer):
        def _step(self, *given: object) -> None:
            super()._step(*given)  # type: ignore[arg-type]
            if self.position.step == stop:
                interrupt.asked = True

    with trainer.Interrupt() as interrupt:
        trainer.claim_folder(options, Group())
        data, config = prepare(options, None, Group())
        Interrupted(options, config, data, Group(), torch.device("cpu"), None).run(interrupt)
