"""Names of published models: those of the table, and any repository of the hub."""

from __future__ import annotations

import pytest

from ocrtool.errors import UsageError
from ocrtool.weights import is_bundled
from ocrtool.weights.registry import TABLE, refer


@pytest.mark.parametrize("spec", TABLE, ids=lambda spec: spec.name)
def test_each_model_of_the_table_is_found_by_name_and_by_repository(spec: object) -> None:
    named = refer(spec.name)
    assert named is not None and named.spec is spec and named.revision == spec.revision
    by_hub = refer(f"hf:{spec.repository}")
    assert by_hub is not None and by_hub.spec is spec
    assert not is_bundled(spec.name)
    assert spec.license and spec.paper


def test_names_in_the_table_are_unique() -> None:
    assert len({spec.name for spec in TABLE}) == len({spec.repository for spec in TABLE})
    assert len({spec.name for spec in TABLE}) == len(TABLE)


def test_any_repository_may_be_named_with_a_revision() -> None:
    reference = refer("hf:some-one/a_model.v2@refs/pr/1")
    assert reference is not None
    assert (reference.repository, reference.revision) == ("some-one/a_model.v2", "refs/pr/1")
    assert reference.spec is None
    assert refer("some-one/a_model") is None and refer("line") is None


@pytest.mark.parametrize("name", ["hf:", "hf:model", "hf:a/../b", "hf:a/b@..", "hf:a/b c"])
def test_malformed_repository_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="names no repository"):
        refer(name)
