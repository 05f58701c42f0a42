"""Index of font files: which characters each can draw, probed once and cached on disk.

A font that claims a letter may draw something else (symbol fonts), or capitals for small letters
(titling fonts). Both would make labels wrong, so every font's letters are compared with those of
plain reference fonts before it is used.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import re
import string
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ocrtool.console import atomic_write, cache_directory
from ocrtool.errors import InputError, MissingDependencyError, OutputError, install_command

FONT_SUFFIXES = {".ttf", ".otf", ".ttc"}
"""File name extensions of fonts."""
_INDEX_VERSION = 5
_TYPEWRITER = re.compile(r"courier|cursor|typewriter|nimbus mono|freemono|ocrtool mono", re.I)
_PROBE_SIZE = 40  # pixels of an em; letters are compared on a 24 x 24 grid


@dataclass(frozen=True)
class Font:
    """A usable font file.

    Attributes:
        path: The file.
        family: Name that it shares with other weights of the family.
        characters: Its characters, sorted by code point.
        mono: Whether every letter has the same advance.
        caps: Whether small letters look like capitals: only upper-case text may be drawn.
        likeness: Mean correlation of its letters with reference fonts, 0-1; low for script fonts.
    """

    path: str
    family: str
    characters: str
    mono: bool
    caps: bool
    likeness: float

    @property
    def typewriter(self) -> bool:
        """Whether it is a monospaced slab serif, judged by its name."""
        return self.mono and _TYPEWRITER.search(self.family) is not None


def bundled_fonts() -> list[Path]:
    """Return the openly licensed fonts that ship with the package."""
    folder = Path(str(files("ocrtool.synth"))) / "fonts"
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in FONT_SUFFIXES)


def find_fonts(folders: Iterable[Path]) -> list[Path]:
    """Return the font files in the folders (or the files themselves), sorted, each once."""
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.exists():
            raise InputError(f"{folder}: no such font file or folder")
        paths = [folder] if folder.is_file() else sorted(folder.rglob("*"))
        for path in paths:
            if path.suffix.lower() in FONT_SUFFIXES and path.is_file():
                found.setdefault(path.name.lower(), path)
    return sorted(found.values())


def index_fonts(
    paths: Sequence[Path], alphabet: str, min_likeness: float = 0.35, workers: int = 2
) -> list[Font]:
    """Probe every file once and return the fonts that draw readable Latin letters.

    Args:
        paths: Font files.
        alphabet: Characters of interest; others are ignored.
        min_likeness: Minimum similarity of a font's letters to reference fonts.
        workers: Number of processes that probe files not yet in the cache.

    Returns:
        Usable fonts in the order of their paths.

    Raises:
        InputError: No file is usable.
    """
    cache_file = _cache_file(alphabet)
    try:
        cache: dict[str, dict[str, object] | None] = json.loads(cache_file.read_text("utf-8"))
    except (OSError, ValueError):
        cache = {}
    keys = {path: f"{path}:{path.stat().st_mtime_ns}" for path in paths}
    missing = [path for path in paths if keys[path] not in cache]
    if missing:
        daemon = multiprocessing.current_process().daemon  # a daemon may not start processes
        if len(missing) > 64 and workers > 1 and not daemon:
            with ProcessPoolExecutor(workers) as pool:
                probed = list(pool.map(_probe, missing, [alphabet] * len(missing), chunksize=16))
        else:
            probed = [_probe(path, alphabet) for path in missing]
        for path, font in zip(missing, probed, strict=True):
            cache[keys[path]] = None if font is None else asdict(font)
        try:
            cache_file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(cache_file) as temporary:
                temporary.write_text(json.dumps(cache), "utf-8")
        except (OSError, OutputError):
            pass  # a read-only cache only costs the next start a few seconds
    fonts = [
        Font(**entry)  # type: ignore[arg-type]
        for path in paths
        if (entry := cache[keys[path]]) is not None
    ]
    fonts = [font for font in fonts if font.likeness >= min_likeness]
    if not fonts:
        raise InputError("no usable font among the given files", "give a folder with --fonts")
    return fonts


def _cache_file(alphabet: str) -> Path:
    digest = hashlib.sha256(f"{_INDEX_VERSION}{alphabet}".encode()).hexdigest()[:12]
    return cache_directory() / f"fonts-{digest}.json"


@lru_cache(maxsize=512)
def load_font(path: str, size: int) -> ImageFont.FreeTypeFont:
    """Open a font at ``size`` pixels per em (basic layout: no shaping library needed)."""
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def _probe(path: Path, alphabet: str) -> Font | None:
    try:
        from fontTools.ttLib import TTFont
    except ImportError:
        raise MissingDependencyError(
            "reading font files needs fontTools", install_command("torch")
        ) from None
    try:
        with path.open("rb") as stream, TTFont(stream, fontNumber=0, lazy=True) as file:
            mapped = file.getBestCmap() or {}
            name = file["name"].getDebugName(16) or file["name"].getDebugName(1) or path.stem
        characters = "".join(c for c in alphabet if ord(c) in mapped)
        if not all(ord(c) in mapped for c in string.ascii_uppercase + string.digits + " "):
            return None
        font = load_font(str(path), _PROBE_SIZE)
        if font.getmask(" ").getbbox() is not None:
            return None  # some math fonts have a ligature at this code
        blank = {c for c in characters if c != " " and font.getbbox(c)[2] <= font.getbbox(c)[0]}
        characters = "".join(c for c in characters if c not in blank)
        advances = {round(font.getlength(c)) for c in "iMW0."}
        lower = all(ord(c) in mapped for c in string.ascii_lowercase)
        caps = not lower or _small_look_capital(font)
        letters = string.ascii_uppercase if caps else string.ascii_letters
        likeness = max(_likeness(font, reference, letters) for reference in bundled_fonts())
    except Exception:  # broken font files fail in many ways, none of them of interest
        return None
    return Font(str(path), str(name), characters, len(advances) == 1, caps, round(likeness, 3))


def _glyph(font: ImageFont.FreeTypeFont, character: str) -> np.ndarray:
    """Return a character's glyph image, cropped, resized to (24, 24), zero mean, unit norm."""
    x0, y0, x1, y1 = font.getbbox(character)
    image = Image.new("L", (max(1, int(x1 - x0)), max(1, int(y1 - y0))))
    ImageDraw.Draw(image).text((-x0, -y0), character, fill=255, font=font)
    glyph = cv2.resize(np.asarray(image, np.float32), (24, 24), interpolation=cv2.INTER_AREA)
    glyph = cv2.GaussianBlur(glyph, (5, 5), 0)  # reduces the effect of weight and serifs
    glyph -= glyph.mean()
    norm = float(np.linalg.norm(glyph))
    return glyph / norm if norm > 0 else glyph


def _small_look_capital(font: ImageFont.FreeTypeFont) -> bool:
    alike = [float((_glyph(font, c) * _glyph(font, c.upper())).sum()) for c in "abdeghnqrt"]
    return float(np.mean(alike)) > 0.85


@lru_cache(maxsize=64)
def _reference(path: Path, letters: str) -> list[np.ndarray]:
    font = load_font(str(path), _PROBE_SIZE)
    return [_glyph(font, c) for c in letters]


def _likeness(font: ImageFont.FreeTypeFont, reference: Path, letters: str) -> float:
    pairs = zip(letters, _reference(reference, letters), strict=True)
    return float(np.mean([float((_glyph(font, c) * other).sum()) for c, other in pairs]))
