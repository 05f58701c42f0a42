"""Files of the PP-OCR models, which the package ``rapidocr`` contains.

The models are those of PaddleOCR (Apache-2.0), converted to ONNX by the RapidOCR project. Only the
files of that package are used; it is never imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from ocrtool.errors import MissingDependencyError, ModelError, install_command

PPOCR = "ppocr"
"""Model name of the newest PP-OCR models that the package contains."""
PPOCR_NAMES = (PPOCR, "ppocr-v6-small")
"""Names of the PP-OCR models."""
RECOGNISER = "PP-OCRv6_rec_small.onnx"
"""File of the line recogniser."""
DETECTOR = "PP-OCRv6_det_small.onnx"
"""File of the text detector."""
HASHES = {
    RECOGNISER: "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
    DETECTOR: "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
}
"""SHA-256 of each file."""


def ppocr_file(name: str) -> Path:
    """Return the path of a file of the PP-OCR models.

    Args:
        name: Name of the file, a key of :data:`HASHES`.

    Raises:
        MissingDependencyError: The package is not installed.
        ModelError: Its file is missing or another one.
    """
    spec = importlib.util.find_spec("rapidocr")
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not folders:
        raise MissingDependencyError("PP-OCR needs rapidocr's files", install_command("ppocr"))
    path = Path(folders[0]) / "models" / name
    remedy = f"reinstall it: {install_command('ppocr')}"
    if not path.is_file():
        raise ModelError(f"the installed rapidocr has no {name}", remedy)
    if hashlib.sha256(path.read_bytes()).hexdigest() != HASHES[name]:
        raise ModelError(f"{path} is not the file that was published", remedy)
    return path
