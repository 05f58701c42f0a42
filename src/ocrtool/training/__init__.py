"""Training from Python, as ``ocrtool train`` does it.

Example:
    >>> from ocrtool.training import make_options, run
    >>> result = run(make_options({"data": (Path("words.csv"),), "epochs": 10}))

Importing this package does not import torch; calling `run` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocrtool.errors import MissingDependencyError, install_command
from ocrtool.training.config import make_options
from ocrtool.training.options import TrainOptions
from ocrtool.training.stage_options import StageOptions

if TYPE_CHECKING:
    from ocrtool.training.trainer import TrainResult

__all__ = [
    "StageOptions",
    "TrainOptions",
    "make_options",
    "run",
]


def run(options: TrainOptions | StageOptions) -> TrainResult:
    """Train a model; see `ocrtool.training.recognition.run` and `ocrtool.training.stages.run`.

    Raises:
        MissingDependencyError: PyTorch is not installed.
    """
    try:
        from ocrtool.training import recognition, stages
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("ocrtool"):
            raise
        raise MissingDependencyError(
            f"training needs {error.name}", install_command("torch")
        ) from None
    if isinstance(options, StageOptions):
        return stages.run(options)
    return recognition.run(options)
