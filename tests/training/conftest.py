from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from ocrtool.training import TrainOptions, make_options

WORDS = [
    *("stone", "river", "Apple", "1905", "black", "sugar", "winter", "Total:", "42.50", "house"),
    *("Paris", "north", "bread", "light", "glass", "seven", "queen", "paper", "amber", "crown"),
    *("delta", "eagle", "flint", "grove"),
]


def draw_word(text: str, size: int = 20) -> Image.Image:
    font = ImageFont.load_default(size)
    width = int(font.getlength(text)) + 8
    image = Image.new("L", (width, 32), 245)
    ImageDraw.Draw(image).text((4, 4), text, fill=10, font=font)
    return image


def write_csv(folder: Path, texts: Sequence[str], name: str = "words.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "text"])
        for number, text in enumerate(texts):
            draw_word(text).save(folder / f"{path.stem}-{number}.png")
            writer.writerow([f"{path.stem}-{number}.png", text])
    return path


SMALL: dict[str, dict[str, Any]] = {
    "line": {
        "vision_d_model": 32,
        "vision_layers": 1,
        "vision_heads": 2,
        "vision_d_ff": 64,
        "vision_stem": (4, 8, 16),
        "decoder_d_model": 32,
        "decoder_layers": 1,
        "decoder_heads": 2,
        "decoder_d_ff": 64,
    },
    "formula": {
        "vision_d_model": 32,
        "vision_layers": 1,
        "vision_heads": 2,
        "vision_d_ff": 64,
        "vision_stem": (8, 16, 16, 32),
        "decoder_d_model": 48,
        "decoder_layers": 1,
        "decoder_heads": 2,
        "decoder_d_ff": 96,
        "max_length": 64,
    },
    "equation-vlm-small": {},
    "tiny": {
        "img_size": 32,
        "patch": 8,
        "vision_d_model": 32,
        "vision_layers": 1,
        "vision_heads": 2,
        "vision_d_ff": 64,
        "decoder_d_model": 32,
        "decoder_layers": 1,
        "decoder_heads": 2,
        "decoder_d_ff": 64,
    },
}


def small_options(preset: str, **changes: Any) -> TrainOptions:
    values = {
        "preset": preset,
        **SMALL[preset],
        "batch_size": 4,
        "workers": 0,
        "warmup": 2,
        "steps": 4,
        "log_every": 2,
        "validate_every": 1000,
        "validation_share": 0.2,
        "device": "cpu",
        "precision": "fp32",
        "threads": 1,
        **changes,
    }
    return make_options(values)


@pytest.fixture(scope="session")
def words_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("words"), WORDS)


@pytest.fixture(name="small_options")
def small_options_fixture() -> Callable[..., TrainOptions]:
    return small_options


@pytest.fixture(name="write_csv")
def write_csv_fixture() -> Callable[..., Path]:
    return write_csv
