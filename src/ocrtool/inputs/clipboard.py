"""Clipboard access on request: read an image, write text."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ocrtool.errors import InputError, OutputError

_SECONDS = 10.0
_TOOLS = "install wl-clipboard (Wayland) or xclip (X11)"


def grab() -> bytes:
    """Return the image on the clipboard as the content of a file.

    A file that was copied in a file manager counts, too.

    Raises:
        InputError: There is no image, or no way to get at it.
    """
    from PIL import Image, ImageGrab

    try:
        found = ImageGrab.grabclipboard()
    except NotImplementedError:
        raise InputError("the clipboard cannot be read", _TOOLS) from None
    except (OSError, subprocess.SubprocessError) as error:
        # ChildProcessError, an OSError, where there is no display.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"the clipboard cannot be read ({reason})") from None
    if isinstance(found, list) and found:
        try:
            return Path(found[0]).read_bytes()
        except OSError as error:
            raise InputError(f"{found[0]}: cannot be opened ({error.strerror or error})") from None
    if not isinstance(found, Image.Image):
        raise InputError("there is no image on the clipboard", "copy one first")
    content = io.BytesIO()
    found.save(content, "PNG")
    return content.getvalue()


def put(text: str) -> None:
    """Leave text on the clipboard.

    Raises:
        OutputError: There is no way to do so.
    """
    for command in _commands():
        if shutil.which(command[0]) is None:
            continue
        encoding = "utf-16" if command[0].startswith("clip") else "utf-8"
        try:
            # The tools for X11 and Wayland stay behind to serve the text: they must not inherit
            # the pipes of the caller, who would wait for their end.
            subprocess.run(
                command,
                input=text.encode(encoding),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            continue
        return
    remedy = _TOOLS if sys.platform.startswith("linux") else None
    raise OutputError("the text cannot be copied to the clipboard", remedy)


def _commands() -> list[list[str]]:
    if sys.platform == "darwin":
        return [["pbcopy"]]
    if sys.platform == "win32":
        return [["clip"]]
    wayland, x11 = ["wl-copy"], ["xclip", "-selection", "clipboard", "-in"]
    tools = [wayland, x11] if os.environ.get("WAYLAND_DISPLAY") else [x11, wayland]
    return [*tools, ["clip.exe"]]  # the last is that of Windows, seen from its Linux
