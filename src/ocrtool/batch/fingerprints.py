"""Fingerprints of everything that determines a page's result: input, options, models, version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ocrtool.errors import InputError
from ocrtool.options import EngineName, PageOptions, ReadOptions
from ocrtool.version import __version__
from ocrtool.weights import BUNDLED, METADATA
from ocrtool.weights.ppocr import PPOCR_NAMES

FINGERPRINT_DIGITS = 16
"""Number of hexadecimal digits of a fingerprint (64 bits)."""
RESULT_FORMAT = 1
"""Version of the stored page format; raising it makes pages of earlier runs unusable."""


@dataclass(frozen=True)
class Header:
    """Everything that determines the page results of a document.

    Attributes:
        sha256: SHA-256 of the input's content, hexadecimal.
        size: Size of the input in bytes.
        options: Fingerprint of the page options and of the models.
        program: Version of ocrtool.
    """

    sha256: str
    size: int
    options: str
    program: str

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Header:
        """Return the header that :func:`dataclasses.asdict` converted to plain values.

        Raises:
            KeyError: A value is missing.
            ValueError: A value has the wrong type.
        """
        sha256, size, options, program = (
            record[name] for name in ("sha256", "size", "options", "program")
        )
        if not isinstance(size, int) or not all(
            isinstance(text, str) for text in (sha256, options, program)
        ):
            raise ValueError("a header value has the wrong type")
        return cls(sha256, size, options, program)

    def difference_from(self, earlier: Header) -> str:
        """Return why results made under an earlier header cannot be used; empty if they can."""
        if (self.sha256, self.size) != (earlier.sha256, earlier.size):
            return "the input has changed"
        if self.program != earlier.program:
            return f"it was begun by ocrtool {earlier.program}"
        return "the options or models have changed" if self != earlier else ""


def fingerprint(value: object) -> str:
    """Return a short hash of a JSON-serialisable value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:FINGERPRINT_DIGITS]


def header_of(source: str, path: Path, options: str) -> Header:
    """Return the header of an input file.

    Args:
        source: Name of the input in error messages.
        path: The file.
        options: Result of :func:`options_fingerprint`.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except FileNotFoundError:
        raise InputError(f"{source}: no such file") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be opened ({error.strerror or error})") from None
    return Header(digest, size, options, __version__)


def options_fingerprint(pages: PageOptions) -> str:
    """Return a fingerprint of the page options and the models, which determine page results.

    The number of threads and the confidence threshold of the writers are left out: they do not
    change what is stored.

    Raises:
        ModelError: The model does not exist.
    """
    relevant = replace(pages, reading=replace(pages.reading, threads=0, min_confidence=0.0))
    return fingerprint([RESULT_FORMAT, asdict(relevant), _model_hash(pages.reading)])


def _model_hash(options: ReadOptions) -> str:
    """Return a hash of the weights that pages are read with.

    Published models have gigabytes of weights, so the names, sizes and modification times of
    their files are hashed instead of the contents.

    Raises:
        ModelError: The model does not exist.
    """
    hashed = hashlib.sha256((BUNDLED / "SHA256SUMS").read_bytes())
    model = options.model
    if model is None or options.engine == EngineName.TESSERACT:  # a Tesseract model is a language
        return hashed.hexdigest()
    if (BUNDLED / model / METADATA).is_file() or model in PPOCR_NAMES:
        return hashed.hexdigest()
    from ocrtool.engines import find_model
    from ocrtool.readers.model_lookup import published_folder

    published = published_folder(options)
    if published is not None:
        for path in sorted(path for path in published.rglob("*") if path.is_file()):
            status = path.stat()
            line = f"{path.relative_to(published)} {status.st_size} {status.st_mtime_ns}\n"
            hashed.update(line.encode())
        return hashed.hexdigest()
    for path in sorted(find_model(model).iterdir()):
        if path.is_file():
            with path.open("rb") as file:
                hashed.update(hashlib.file_digest(file, "sha256").digest())
    return hashed.hexdigest()
