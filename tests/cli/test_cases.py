"""Small files whose text was lost, made up or out of order: the whole command, the whole text.

``cases/NAME.pdf`` or ``.png`` stands beside ``cases/NAME.md``, which ``ocrtool pdf`` or
``ocrtool read -f md`` has to write.
"""

from __future__ import annotations

from pathlib import Path

import pytest

CASES = Path(__file__).with_name("cases")
FILES = sorted(path for path in CASES.iterdir() if path.suffix != ".md")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_is_lost_or_made_up(path: Path, run_cli) -> None:
    command = ("pdf",) if path.suffix == ".pdf" else ("read", "-f", "md")
    done = run_cli(*command, path)
    assert done.code == 0
    assert done.out.strip() == path.with_suffix(".md").read_text("utf-8").strip()
