"""``ocrtool export`` as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from cli.conftest import Done
from ocrtool.export.check import MAX_DIFFERENCE

Run = Callable[..., Done]


def test_a_model_is_exported_and_reads(run_cli: Run, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    done = run_cli("export", checkpoint, "-o", out, "--json", "--optimize")
    assert done.code == 0
    told = json.loads(done.out)
    assert told["parity"]["difference"] < MAX_DIFFERENCE and told["folder"] == str(out)
    assert "greatest difference from PyTorch" in done.err
    picture = tmp_path / "line.png"
    Image.new("L", (200, 32), 255).save(picture)
    done = run_cli("read", "--layout", "line", "--model", out, "-f", "jsonl", picture)
    assert done.code == 0 and json.loads(done.out)["source"] == str(picture)
    done = run_cli("export", checkpoint, "-o", out)
    assert done.code == 5 and "--overwrite replaces it" in done.err
    assert run_cli("export", checkpoint, "-o", out, "--overwrite", "-q", "--no-check").code == 0


def test_a_table_of_the_users_own(run_cli: Run, checkpoint: Path, tmp_path: Path) -> None:
    for index in range(3):
        Image.new("L", (120 + 40 * index, 30), 200).save(tmp_path / f"{index}.png")
    table = tmp_path / "held.csv"
    table.write_text("image,text\n0.png,abc\n1.png,bad\n2.png,ghi\n", "utf-8")
    done = run_cli("export", checkpoint, "-o", tmp_path / "model", "--check-on", table)
    assert done.code == 0 and "3 of 3 pictures read the same" in done.err
    table.write_text("image,text\n0.png,XYZ\n", "utf-8")
    done = run_cli("export", checkpoint, "-o", tmp_path / "other", "--check-on", table)
    assert done.code == 2 and "no row fits" in done.err
    assert not (tmp_path / "other").exists()


def test_what_cannot_be_exported(run_cli: Run, exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run_cli("export", tmp_path / "none", "-o", out).code == 6
    done = run_cli("export", exported, "-o", out)
    assert done.code == 6 and "has no model.safetensors" in done.err
    assert run_cli("export", "line", "-o", out, "--opset", "99").code == 2
    assert not out.exists()
