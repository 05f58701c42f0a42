"""The Hugging Face hub, as the store needs it: what a repository holds, and its files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from ocrtool.errors import ModelError
from ocrtool.version import __version__
from ocrtool.weights.records import Listing, StoredFile, is_wanted
from ocrtool.weights.registry import Reference

TRIES = 3
"""Of a connection that breaks within a file."""

logger = logging.getLogger(__name__)


class Hub:
    """A connection to the hub that ``HF_ENDPOINT`` names, or the public one.

    A token is taken from where the hub's own tools keep it, and never logged.
    """

    def __init__(self) -> None:
        # Late, for it takes a quarter of a second.
        from huggingface_hub import HfApi

        self._api = HfApi(library_name="ocrtool", library_version=__version__)

    def listing(self, reference: Reference) -> Listing:
        """Ask what a repository holds.

        Raises:
            ModelError: There is no such repository or revision, or the hub cannot be reached.
        """
        try:
            with _told(reference):
                info = self._api.model_info(
                    reference.repository, revision=reference.revision, files_metadata=True
                )
        except _Broken as broken:
            raise broken.error from None
        if info.sha is None:
            raise ModelError(f"{reference.name}: the hub tells no commit of {reference.revision}")
        files, left_out = [], []
        for sibling in info.siblings or []:
            path, lfs = sibling.rfilename, sibling.lfs
            inside = not Path(path).is_absolute() and ".." not in Path(path).parts
            if not (inside and is_wanted(path)):
                left_out.append(path)
                continue
            digest = f"sha256:{lfs.sha256}" if lfs is not None else f"git:{sibling.blob_id}"
            size = lfs.size if lfs is not None else sibling.size
            files.append(StoredFile(path, int(size or 0), digest))
        card = info.card_data
        license_ = str(card.get("license") or "") if card is not None else ""
        return Listing(info.sha, license_, tuple(files), tuple(left_out))

    def fetch(
        self,
        reference: Reference,
        commit: str,
        file: StoredFile,
        stream: IO[bytes],
        step: Callable[[int], None],
    ) -> None:
        """Write the rest of a file behind what the stream holds already.

        Args:
            reference: Of the repository.
            commit: Which state of it.
            file: Which file.
            stream: Open for appending.
            step: Told of bytes as they come.

        Raises:
            ModelError: It cannot be had.
        """
        from huggingface_hub import utils

        tools: Any = utils  # whose exports have no types
        url = f"{self._api.endpoint}/{reference.repository}/resolve/{commit}/{quote(file.path)}"
        headers = tools.build_hf_headers(library_name="ocrtool", library_version=__version__)
        headers["Accept-Encoding"] = "identity"  # sizes and ranges are those of the file itself
        for left in reversed(range(TRIES)):
            start = stream.tell()
            headers["Range"] = f"bytes={start}-"
            try:
                asked = tools.get_session().stream(
                    "GET", url, headers=headers, follow_redirects=True
                )
                with _told(reference), asked as answer:
                    tools.hf_raise_for_status(answer)
                    if answer.status_code != 206 and start:  # the server gives all or nothing
                        stream.truncate(0)
                        step(-start)
                    for block in answer.iter_bytes():
                        stream.write(block)
                        step(len(block))
            except _Broken as broken:
                if not left:
                    raise broken.error from None
            stream.flush()
            if stream.tell() >= file.size:
                return
            logger.info("%s: the connection broke at byte %d", file.path, stream.tell())

    @contextmanager
    def lock(self, path: Path) -> Iterator[None]:
        """Hold a file that one process at a time can hold; wait for it if need be."""
        from huggingface_hub import utils

        tools: Any = utils
        with tools.WeakFileLock(path):
            yield


class _Broken(Exception):
    """A connection broke; the error to raise if it does so again."""

    def __init__(self, error: ModelError) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def _told(reference: Reference) -> Iterator[None]:
    """Turn the hub's errors into one line with the remedy."""
    from huggingface_hub import errors

    name = reference.repository
    try:
        yield
    except errors.GatedRepoError:
        raise ModelError(
            f"{name} asks for permission",
            "ask for it on its page, then: hf auth login, or HF_TOKEN",
        ) from None
    except errors.RevisionNotFoundError:
        raise ModelError(f"{name} has no revision {reference.revision!r}") from None
    except errors.RepositoryNotFoundError:
        raise ModelError(
            f"there is no repository {name}, or it is private", "HF_TOKEN opens private ones"
        ) from None
    except errors.EntryNotFoundError:
        raise ModelError(f"{name} lacks a file that it lists", "try again later") from None
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "?")
        raise ModelError(f"{name}: the hub answers {status}", "try again later") from None
    except OSError as error:
        raise _broken(name, error) from None
    except Exception as error:
        if _is_transport(error):
            raise _broken(name, error) from None
        raise


def _broken(name: str, error: Exception) -> _Broken:
    reason = str(error) or type(error).__name__
    return _Broken(ModelError(f"{name}: the hub cannot be reached ({reason})", "try again later"))


def _is_transport(error: Exception) -> bool:
    """Tell an error of the connection: the hub's library has changed its HTTP client before."""
    kinds: Any = type(error).__mro__
    return any(kind.__name__ in ("TransportError", "RequestError", "StreamError") for kind in kinds)
