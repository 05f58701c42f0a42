"""Training: ``ocrtool train`` and the same from Python.

Example:
    >>> from ocrtool.training import make_options, run
    >>> result = run(make_options({"data": (Path("words.csv"),), "epochs": 10}))

Importing this package does not import torch; calling :func:`run` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocrtool.errors import MissingDependencyError
from ocrtool.training.config import TrainOptions, make_options

if TYPE_CHECKING:
    from ocrtool.training.trainer import TrainResult

__all__ = ["TrainOptions", "make_options", "run"]


def run(options: TrainOptions) -> TrainResult:
    """Train a model; see :func:`ocrtool.training.trainer.run`.

    Raises:
        MissingDependencyError: PyTorch is not installed.
    """
    try:
        from ocrtool.training import trainer
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("ocrtool"):
            raise
        raise MissingDependencyError(
            f"training needs {error.name}", "pip install 'ocrtool[torch]'"
        ) from None
    return trainer.run(options)
