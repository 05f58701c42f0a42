"""An image of a page to its blocks: detection, orientation, recognition, assembly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ocrtool.errors import UsageError
from ocrtool.options import EngineName, ReadOptions
from ocrtool.readers import ReadsFormulas, ReadsPages
from ocrtool.structure import AssembleOptions


def open_pages(
    options: ReadOptions,
    assembling: AssembleOptions | None = None,
    lone_lines: bool = False,
    formulas: Callable[[], ReadsFormulas] | None = None,
) -> ReadsPages:
    """Open the page reader that the options name; the other arguments are those of `PageReader`.

    Raises:
        ModelError: There is no such model, it is damaged, or it reads no pages.
        MissingDependencyError: What runs it is not installed.
        DeviceError: The device that is asked for cannot be used.
    """
    if options.model is not None and options.engine != EngineName.TESSERACT:
        from ocrtool.readers.model_lookup import published_folder

        folder = published_folder(options)
        if folder is not None:
            whole = _open_whole(folder, options)
            if whole is not None:
                return whole
    from ocrtool.pages.reader import PageReader

    _refuse_special(options)
    return PageReader(options, assembling, lone_lines=lone_lines, formulas=formulas)


def _refuse_special(options: ReadOptions) -> None:
    """Refuse options that only DeepSeek-OCR and DeepOCR have.

    Raises:
        UsageError: One of them was given for another model.
    """
    given = {"--mode": options.mode, "--prompt": options.prompt, "--int8": options.int8 or None}
    for flag, value in given.items():
        if value is not None:
            raise UsageError(
                f"{flag} is for DeepSeek-OCR and DeepOCR", "give --model deepseek-ocr, too"
            )


def _open_whole(folder: Path, options: ReadOptions) -> ReadsPages | None:
    """Open a published reader of whole pages; None where the model reads lines."""
    from ocrtool.readers.model_lookup import own_architecture
    from ocrtool.readers.transformers import kind_of, needing_torch, open_published

    own = own_architecture(folder)
    if not own and kind_of(folder).reads != "pages":
        return None
    if options.escalate is not None:
        raise UsageError(
            f"{options.model} reads whole pages: no line of it can be escalated",
            "leave out --escalate",
        )
    if own:
        with needing_torch():
            from ocrtool.readers.deepocr import DeepocrPages
            from ocrtool.readers.deepseek import DeepseekPages

            return (DeepocrPages if own == "deepocr" else DeepseekPages)(folder, options)
    from ocrtool.readers.page_models import PublishedPages

    _refuse_special(options)
    return PublishedPages(open_published(folder, options))
