"""Labelled lines beside drawn ones: augmentation, the proportion, and networks that grow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ocrtool.engines import find_model
from ocrtool.inputs.images import load_image
from ocrtool.models.ocr import OcrModel
from ocrtool.training import checkpoint
from ocrtool.training.augmentation import augment_line
from ocrtool.training.config import TrainOptions
from ocrtool.training.data import MixedSource, Sample
from ocrtool.training.rows import LabelledImage

LINE = Path(__file__).parents[2] / "docs" / "images" / "sample-line.png"


class Drawn:
    """A source whose samples are blank."""

    def draw(self, index: int) -> Sample:
        return Sample(np.full((32, 64), 255, np.uint8), f"drawn {index}")


@pytest.mark.parametrize("seed", range(12))
def test_an_augmented_line_is_an_image_that_the_seed_decides(seed: int) -> None:
    image = load_image(LINE)
    first, second = (augment_line(image, np.random.default_rng(seed)) for _ in range(2))
    assert first.dtype == np.uint8 and first.ndim == 2
    assert np.array_equal(first, second)
    assert first.std() > 5  # ink is still there
    assert 0.5 < first.shape[1] / first.shape[0] / (image.shape[1] / image.shape[0]) < 1.7


def test_drawn_and_labelled_lines_come_in_their_proportion() -> None:
    source = MixedSource(Drawn(), [LabelledImage(LINE, "real", "x:1")], 0.75, seed=3)
    texts = [source.draw(index).text for index in range(200)]
    assert 0.65 < sum(text != "real" for text in texts) / 200 < 0.85
    assert texts == [source.draw(index).text for index in range(200)]


def test_a_deeper_network_computes_what_the_trained_one_does() -> None:
    start = checkpoint.load(find_model("line"))
    options = TrainOptions(synth="lines", start_from="line", vision_layers=10)
    deeper = checkpoint.tuned_config(options, start, start.vocabulary)
    assert (start.config.vision.n_layer, deeper.vision.n_layer) == (8, 10)
    columns = []
    for config in (start.config, deeper):
        model = OcrModel(config).eval()
        checkpoint.transfer(start, model, start.vocabulary)
        with torch.no_grad():
            columns.append(model.vision(torch.randn(2, 1, 32, 200).fill_(0.3))[0])
    torch.testing.assert_close(columns[0], columns[1])
