"""DeepOCR as a page reader: its differences from DeepSeek-OCR, whose decoding it shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from ocrtool.errors import ModelError
from ocrtool.models.deepencoder import image_positions
from ocrtool.models.deepocr import DEEPOCR, IMAGE, Deepocr, DeepocrConfig
from ocrtool.options import ReadOptions
from ocrtool.readers.deepocr_files import LLM, end_ids, load_network, parts_of, prompt_ids
from ocrtool.readers.deepseek import REPEATING, DeepseekPages, Network, Tokens
from ocrtool.readers.views import MODES, Mode, Views
from ocrtool.weights.cache import fetched

MAX_TILES = 6
"""Maximum number of tiles of a page."""
TOWER_SOURCE = "deepseek-ocr"
"""Model whose vision towers are used by a checkpoint without its own."""


def deepseek_folder(offline: bool = False) -> Path:
    """Return the folder of DeepSeek-OCR, which is downloaded if necessary.

    Raises:
        ModelError: The model cannot be obtained.
        UsageError: The user declined the download.
    """
    folder = fetched(TOWER_SOURCE, offline)
    if folder is None:
        raise ModelError(f"{TOWER_SOURCE} cannot be obtained")
    return folder


def mode_for(config: DeepocrConfig, mode: str) -> Mode:
    """Return a resolution mode with the image sizes of a network."""
    return replace(MODES[mode], side=config.base, tile=config.tile, most=MAX_TILES)


class DeepocrPages(DeepseekPages):
    """Page reader that runs DeepOCR; see `ocrtool.readers.ReadsPages`.

    The model was trained in two modes only, and on one prompt.
    """

    second_modes: ClassVar[Mapping[str, str]] = {"gundam": "base", "base": "gundam"}
    default_prompt = "ocr"
    tokenizer = f"{LLM}/tokenizer.json"
    network: Deepocr

    def _load(self, folder: Path, options: ReadOptions) -> Network:
        parts = parts_of(folder, lambda: deepseek_folder(options.offline))
        return load_network(parts, DEEPOCR, self.device, self.dtype, options.int8)

    def _tokens(self) -> Tokens:
        # Qwen2 splits most tags into several tokens; only tags that are one token are exempted.
        tags = (self.words.token_to_id(name) for name in REPEATING)
        return Tokens(
            IMAGE, frozenset(end_ids(self.words)), frozenset(i for i in tags if i is not None)
        )

    def _mode(self, name: str) -> Mode:
        return mode_for(self.network.config, name)

    def prompt_ids(self, views: Views) -> list[int]:
        """Return the prompt tokens: a chat message with the image placeholders."""
        tile = self.network.config.tile
        places = image_positions(views.whole.shape[-1], views.grid, tile)
        return prompt_ids(self.words, self.prompt, places)
