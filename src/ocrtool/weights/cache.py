"""Published models in the user's cache: fetched once, checked, and from then on just there.

A model is a folder ``hub/owner--name/COMMIT`` of the cache. Its record, written last, says that it
is whole, and of what file which hash was found; a file that was touched since is hashed again
before it is used. Nothing but a miss opens a connection, and none does offline.

The hub's own cache is not used: it has no hashes of what it holds, and begins interrupted files
anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ocrtool import console
from ocrtool.errors import ModelError, UsageError
from ocrtool.weights.records import Listing, StoredFile, StoredModel
from ocrtool.weights.registry import HUB, Reference, refer

RECORD = "ocrtool-record.json"
PARTIAL = ".partial"
"""What ends the name of a file that is not whole."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
LARGE = 1_000_000_000
"""Bytes from which a download is asked about."""
_BLOCK = 1 << 20
_OFFLINE = ("OCRTOOL_OFFLINE", "HF_HUB_OFFLINE")

logger = logging.getLogger(__name__)


Consent = Callable[[Reference, Listing], None]
"""Raises an error where a download is not wanted."""


def is_offline() -> bool:
    """Tell whether the environment forbids connections."""
    return any(os.environ.get(name, "").lower() in ("1", "true", "yes", "on") for name in _OFFLINE)


class ModelCache:
    """The models of one cache.

    Args:
        root: The cache; the user's where not given.
        offline: Never open a connection.
    """

    def __init__(self, root: Path | None = None, offline: bool = False) -> None:
        self.root = (console.cache_directory() if root is None else root) / "hub"
        self.offline = offline or is_offline()

    # ------------------------------------------------------------------ what is there

    def models(self) -> Iterator[StoredModel]:
        """List what is there, whole."""
        for path in sorted(self.root.glob(f"*/*/{RECORD}")):
            model = _read_record(path)
            if model is not None:
                yield model

    def find(self, reference: Reference) -> StoredModel | None:
        """Return a model that is there, whole and unchanged; None if it is not.

        Raises:
            ModelError: A file of it was changed.
        """
        model = self.recorded(reference)
        return None if model is None else self._checked(model)

    def recorded(self, reference: Reference) -> StoredModel | None:
        """Return a model that was whole when it was fetched, whatever became of it; or None."""
        for path in sorted(self._folder(reference).glob(f"*/{RECORD}")):
            model = _read_record(path)
            if model is not None and reference.revision in (model.revision, model.commit):
                return model
        return None

    def _checked(self, model: StoredModel) -> StoredModel:
        """Hash again what was touched since it was hashed."""
        for file in model.files:
            path = model.folder / file.path
            found = path.stat() if path.is_file() else None
            if found is not None and (found.st_size, found.st_mtime_ns) == (
                file.size,
                file.touched,
            ):
                continue
            if found is None or found.st_size != file.size or not _is_right(path, file):
                raise ModelError(
                    f"{model.repository}: {file.path} was changed or is missing",
                    f"ocrtool models remove {HUB}{model.repository}, then download it again",
                )
        return model

    def verify(self, model: StoredModel) -> list[str]:
        """Hash every file; return those that are not what they were."""
        return [
            file.path
            for file in model.files
            if not (model.folder / file.path).is_file()
            or not _is_right(model.folder / file.path, file)
        ]

    def remove(self, reference: Reference) -> int:
        """Remove a model, what is left of its downloads, too; return the bytes that it took.

        Raises:
            ModelError: It is not there.
        """
        folder = self._folder(reference)
        if not folder.is_dir():
            raise ModelError(f"{reference.name} is not in the cache")
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        shutil.rmtree(folder)
        return size

    def _folder(self, reference: Reference) -> Path:
        return self.root / reference.repository.replace("/", "--")

    # ------------------------------------------------------------------ what is fetched

    def get(self, reference: Reference, consent: Consent | None = None) -> StoredModel:
        """Return a model, fetching it if need be.

        Args:
            reference: Which.
            consent: Asked before anything large is fetched.

        Raises:
            ModelError: It is not there and cannot be had: offline, no such repository, one that
                asks for permission, no room, a file that is not what the hub says it is.
        """
        model = self.find(reference)
        if model is not None:
            logger.info("%s: commit %s from the cache", reference.repository, model.commit)
            return model
        if self.offline:
            raise ModelError(
                f"{reference.name} is not in the cache, and this is offline",
                f"ocrtool models download {reference.name}, once, online",
            )
        from ocrtool.weights.hub import Hub

        hub = Hub()
        listing = hub.listing(reference)
        self._check(reference, listing)
        if consent is not None:
            consent(reference, listing)
        folder = self._folder(reference)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with hub.lock(folder / ".lock"):
                model = self.find(reference)  # another process may have fetched it meanwhile
                return model or self._fetch(hub, reference, listing, folder / listing.commit)
        except OSError as error:
            raise ModelError(
                f"{reference.name} cannot be stored: {error.strerror or error}",
                f"make room in {self.root}, or name another cache with OCRTOOL_CACHE",
            ) from None

    def _check(self, reference: Reference, listing: Listing) -> None:
        """Refuse what cannot be read, before it is fetched."""
        if not any(file.path.endswith(".safetensors") for file in listing.files):
            pickled = [path for path in listing.left_out if path.endswith(PICKLES)]
            reason = "only pickled weights, which can run any code" if pickled else "no weights"
            raise ModelError(
                f"{reference.repository} has {reason}", "name one with safetensors files"
            )
        missing = listing.size - self._partly(reference, listing)
        existing = next(path for path in (self.root, *self.root.parents) if path.exists())
        free = shutil.disk_usage(existing).free
        if missing > free:
            raise ModelError(
                f"{reference.name} needs {missing / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
                f"make room in {self.root}, or name another cache with OCRTOOL_CACHE",
            )

    def _partly(self, reference: Reference, listing: Listing) -> int:
        """Bytes that earlier tries left."""
        folder = self._folder(reference) / listing.commit
        files = (folder / file.path for file in listing.files)
        ways = (way for path in files for way in (path, path.with_name(path.name + PARTIAL)))
        return sum(way.stat().st_size for way in ways if way.is_file())

    def _fetch(self, hub: Any, reference: Reference, listing: Listing, folder: Path) -> StoredModel:
        told = f"{reference.name}, {listing.size / 1e6:,.0f} MB"
        stored: list[StoredFile] = []
        with console.transfer(told, listing.size) as step:
            for file in listing.files:
                path = folder / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                known = reference.spec.hashes.get(file.path) if reference.spec else None
                file = (
                    file if known is None else StoredFile(file.path, file.size, f"sha256:{known}")
                )
                if path.is_file() and _is_right(path, file):
                    step(file.size)
                else:
                    _fetch_file(hub, reference, listing.commit, file, path, step)
                stored.append(replace(file, touched=path.stat().st_mtime_ns))
        model = StoredModel(
            reference.repository, reference.revision, folder, listing.license, tuple(stored)
        )
        _write_record(model)
        return model


def _fetch_file(
    hub: Any,
    reference: Reference,
    commit: str,
    file: StoredFile,
    path: Path,
    step: Callable[[int], None],
) -> None:
    """Fetch one file, from where an earlier try ended; it takes its name when its hash is right."""
    partial = path.with_name(path.name + PARTIAL)
    with partial.open("ab") as stream:
        start = stream.tell()
        step(min(start, file.size))
        if start < file.size:
            hub.fetch(reference, commit, file, stream, step)
    if partial.stat().st_size != file.size or not _is_right(partial, file):
        partial.unlink()
        raise ModelError(
            f"{reference.name}: {file.path} did not arrive as the hub says it is",
            "it was thrown away: try again",
        )
    partial.replace(path)


# --------------------------------------------------------------------------- hashes and records


def _is_right(path: Path, file: StoredFile) -> bool:
    kind, _, wanted = file.digest.partition(":")
    digest = hashlib.sha256() if kind == "sha256" else hashlib.sha1(usedforsecurity=False)
    if kind == "git":
        digest.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest() == wanted


def _write_record(model: StoredModel) -> None:
    raw = {
        "repository": model.repository,
        "revision": model.revision,
        "license": model.license,
        "files": [vars(file) for file in model.files],
    }
    with console.atomic_write(model.folder / RECORD) as temporary:
        temporary.write_text(json.dumps(raw, indent=1) + "\n", "utf-8")


def _read_record(path: Path) -> StoredModel | None:
    try:
        raw = json.loads(path.read_text("utf-8"))
        files = tuple(StoredFile(**file) for file in raw["files"])
        return StoredModel(raw["repository"], raw["revision"], path.parent, raw["license"], files)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # as if it had not been fetched


# --------------------------------------------------------------------------- consent


@dataclass(frozen=True)
class Consenting:
    """What asks a user before a download; called with the model and what the hub says of it.

    Attributes:
        ask: Puts a question to the user; answers None where there is nobody to ask.
        yes: Whether large downloads are wanted anyhow.
        accept: Whether the licence is accepted herewith, whatever it forbids.
        root: Folder that remembers which licences were accepted.
    """

    ask: Callable[[str], bool | None]
    yes: bool
    accept: bool
    root: Path

    def __call__(self, reference: Reference, listing: Listing) -> None:
        """Ask what is to be asked.

        Raises:
            UsageError: The user does not want it, or cannot be asked for what must be asked.
        """
        spec = reference.spec
        license_ = spec.license if spec else listing.license or "licence unknown"
        console.say(f"{reference.repository}: {license_}{f', {spec.paper}' if spec else ''}")
        accepted = self._accepted()
        if spec is not None and not spec.commercial and reference.repository not in accepted:
            if not (self.accept or self.ask(f"{license_} forbids commercial use. Accept it?")):
                raise UsageError(
                    f"{reference.name} is under {license_}, which forbids commercial use",
                    f"ocrtool models download {reference.name} --accept-license, if that suits you",
                )
            self._remember(sorted({*accepted, reference.repository}))
        question = f"{reference.name} is {listing.size / 1e9:.1f} GB. Download it?"
        if listing.size > LARGE and not self.yes and self.ask(question) is False:
            raise UsageError(f"{reference.name} was not downloaded")

    @property
    def _path(self) -> Path:
        return self.root / "accepted-licenses.json"

    def _accepted(self) -> list[str]:
        try:
            return list(json.loads(self._path.read_text("utf-8")))
        except (OSError, ValueError):
            return []

    def _remember(self, repositories: Sequence[str]) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        with console.atomic_write(self._path) as temporary:
            temporary.write_text(json.dumps(repositories, indent=1) + "\n", "utf-8")


def consenting(yes: bool = False, accept: bool = False) -> Consenting:
    """Return what asks the user at the terminal, if there is one."""
    return Consenting(console.ask, yes, accept, console.cache_directory())


def fetched(name: str, offline: bool = False) -> Path | None:
    """Return the folder of a model of the hub, fetching it if need be; None for any other name.

    Raises:
        UsageError: The name is none, or the user does not want the download.
        ModelError: It cannot be had.
    """
    reference = refer(name)
    return (
        None
        if reference is None
        else ModelCache(offline=offline).get(reference, consenting()).folder
    )
