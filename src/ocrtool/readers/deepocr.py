"""DeepOCR as a reader of pages: what differs from DeepSeek-OCR, whose way of reading it shares."""

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

MOST_TILES = 6
TOWERS_FROM = "deepseek-ocr"
"""Whose vision towers a checkpoint has that comes without."""


def deepseek_folder(offline: bool = False) -> Path:
    """Return the folder of DeepSeek-OCR, fetching it if need be.

    Raises:
        ModelError: It cannot be had.
        UsageError: The user does not want the download.
    """
    folder = fetched(TOWERS_FROM, offline)
    if folder is None:
        raise ModelError(f"{TOWERS_FROM} is not to be had")
    return folder


def shown(config: DeepocrConfig, mode: str) -> Mode:
    """Return how a page is shown to a network in a mode."""
    return replace(MODES[mode], side=config.base, tile=config.tile, most=MOST_TILES)


class DeepocrPages(DeepseekPages):
    """Reads pages; see `ocrtool.readers.ReadsPages`.

    It was trained in two modes only, and on one prompt.
    """

    second_modes: ClassVar[Mapping[str, str]] = {"gundam": "base", "base": "gundam"}
    default_prompt = "ocr"
    tokenizer = f"{LLM}/tokenizer.json"
    network: Deepocr

    def _load(self, folder: Path, options: ReadOptions) -> Network:
        parts = parts_of(folder, lambda: deepseek_folder(options.offline))
        return load_network(parts, DEEPOCR, self.device, self.dtype, options.int8)

    def _tokens(self) -> Tokens:
        # Qwen2 writes tags in several tokens; those that end in one are let through.
        tags = (self.words.token_to_id(name) for name in REPEATING)
        return Tokens(
            IMAGE, frozenset(end_ids(self.words)), frozenset(i for i in tags if i is not None)
        )

    def _mode(self, name: str) -> Mode:
        return shown(self.network.config, name)

    def prompt_ids(self, views: Views) -> list[int]:
        """Return the tokens before the text: a chat with the places of the image."""
        tile = self.network.config.tile
        places = image_positions(views.whole.shape[-1], views.grid, tile)
        return prompt_ids(self.words, self.prompt, places)
