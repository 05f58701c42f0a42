"""The connection to the Hugging Face hub, with a server on this machine."""

from __future__ import annotations

import io

import pytest

from hub_server import COMMIT, FakeHub
from ocrtool.errors import ModelError
from ocrtool.weights.hub import TRIES, Hub
from ocrtool.weights.records import StoredFile
from ocrtool.weights.registry import Reference

MODEL = Reference("hf:owner/name", "owner/name")


def weights(listing: tuple[StoredFile, ...]) -> StoredFile:
    (file,) = (file for file in listing if file.path == "model.safetensors")
    return file


def test_a_listing_has_sizes_digests_and_what_is_left_out(hub: FakeHub) -> None:
    listing = Hub().listing(MODEL)
    file = weights(listing.files)
    assert (listing.commit, listing.license) == (COMMIT, "apache-2.0")
    assert file.size == len(hub.files[file.path]) and file.digest.startswith("sha256:")
    assert "pytorch_model.bin" in listing.left_out


def test_a_path_outside_the_folder_is_left_out(hub: FakeHub) -> None:
    hub.files["../config.json"] = b"{}"
    listing = Hub().listing(MODEL)
    assert "../config.json" in listing.left_out
    assert all(".." not in file.path for file in listing.files)


def test_a_file_goes_on_where_the_connection_broke(hub: FakeHub) -> None:
    hub.cut = [1000]
    file, stream, steps = weights(Hub().listing(MODEL).files), io.BytesIO(), list[int]()
    Hub().fetch(MODEL, COMMIT, file, stream, steps.append)
    assert stream.getvalue() == hub.files[file.path] and sum(steps) == file.size
    asked = [given for _, path, given in hub.requests if path.endswith(file.path)]
    assert asked == ["bytes=0-", "bytes=1000-"]


def test_a_connection_that_keeps_breaking_is_given_up(hub: FakeHub) -> None:
    hub.cut = [10] * TRIES
    file = weights(Hub().listing(MODEL).files)
    with pytest.raises(ModelError, match="the hub cannot be reached"):
        Hub().fetch(MODEL, COMMIT, file, io.BytesIO(), lambda _: None)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (Reference("x", "owner/other"), "there is no repository owner/other"),
        (Reference("x", "owner/name", "v9"), "owner/name has no revision 'v9'"),
    ],
)
def test_what_the_hub_does_not_hold_is_named(
    hub: FakeHub, reference: Reference, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        Hub().listing(reference)


def test_a_gated_file_asks_for_a_token(hub: FakeHub) -> None:
    hub.gated = True
    file = weights(Hub().listing(MODEL).files)
    with pytest.raises(ModelError, match="asks for permission"):
        Hub().fetch(MODEL, COMMIT, file, io.BytesIO(), lambda _: None)
