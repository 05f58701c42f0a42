"""The commands with published models, with Tesseract, and with one reader behind the other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pymupdf
import pytest
from PIL import Image

from deepocr_parts import save_deepocr, save_deepseek
from ocrtool.batch.fingerprints import options_fingerprint
from ocrtool.options import PageOptions, ReadOptions

PAGE = Path(__file__).parents[2] / "docs/images/sample-page.jpg"


def noise() -> np.ndarray:
    """A picture that no model has seen."""
    return np.random.default_rng(0).integers(0, 256, (40, 90)).astype(np.uint8)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_the_command_reads_with_them(
    published: dict[str, Path], tmp_path: Path, run_cli: Callable
) -> None:
    path = tmp_path / "line.png"
    Image.fromarray(noise()).save(path)

    done = run_cli("read", path, "--layout", "line", "--model", published["trocr"], "-f", "json")
    assert done.code == 0
    assert json.loads(done.out)[0]["text"]
    done = run_cli("read", path, "--model", published["nougat"], "-f", "json", "--offline")
    assert done.code == 0 and json.loads(done.out)["pages"][0]["blocks"]
    done = run_cli("latex", path, "--kind", "formula", "--model", published["nougat"])
    assert done.code == 6 and "reads pages, not formulas" in done.err
    done = run_cli("read", path, "--model", "hf:nobody/nothing", "--offline")
    assert done.code == 6 and "offline" in done.err


@pytest.fixture
def deepocr(tmp_path: Path) -> Path:
    """A small DeepOCR with random weights."""
    folder = save_deepocr(tmp_path / "deepocr")
    save_deepseek(folder / "vision_tower")
    return folder


def test_read_with_deepocr(deepocr: Path, tmp_path: Path, run_cli: Callable) -> None:
    Image.fromarray(noise()).save(tmp_path / "page.png")
    chosen = ("--model", deepocr, "--device", "cpu", "--mode", "base")
    done = run_cli("read", tmp_path / "page.png", *chosen, "-f", "json")
    assert done.code == 0 and json.loads(done.out)["pages"][0]["blocks"]
    done = run_cli("read", tmp_path / "page.png", *chosen, "--layout", "line")
    assert done.code == 6
    shown = json.loads(run_cli("models", "show", deepocr, "--json").out)
    assert shown["kind"] == "folder" and shown["config"]["decoder"]["width"] == 48
    # A conversion that goes on knows by its fingerprint whether the model is the same.
    pages = PageOptions(reading=ReadOptions(model=str(deepocr)))
    before = options_fingerprint(pages)
    assert before == options_fingerprint(pages)
    (deepocr / "llm" / "config.json").write_text("{}")
    assert before != options_fingerprint(pages)


@pytest.mark.slow
def test_pdf_with_deepocr(deepocr: Path, tmp_path: Path, run_cli: Callable) -> None:
    Image.fromarray(noise()).save(tmp_path / "page.pdf")
    chosen = ("--model", deepocr, "--device", "cpu", "--mode", "base", "--jobs", "1")
    done = run_cli("pdf", tmp_path / "page.pdf", *chosen)
    assert done.code == 0 and done.out.strip()


def test_the_command_says_who_read_what(run_cli: Callable, model_that_reads_a: Path) -> None:
    source = PAGE
    reader = str(model_that_reads_a)
    done = run_cli(
        "read", source, "--escalate", reader, "--below", "1", "--budget", "2", "-f", "json"
    )
    assert done.code == 0
    lines = [
        line for block in json.loads(done.out)["pages"][0]["blocks"] for line in block["lines"]
    ]
    assert [line["text"] for line in lines if line.get("reader") == reader] == ["a", "a"]
    usual = run_cli("read", source, "--escalate", reader, "--below", "0")
    assert usual.out == run_cli("read", source).out
    assert run_cli("read", source, "--budget", "3").code == 2


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")
def test_tesseract_reads_lines(run_cli: Callable) -> None:
    source = PAGE
    own = run_cli("read", source).out
    done = run_cli("read", source, "--engine", "tesseract", "-f", "json")
    assert done.code == 0
    page = json.loads(done.out)["pages"][0]
    text = " ".join(block["text"] for block in page["blocks"])
    shared = set(own.split()) & set(text.split())
    assert len(shared) > 0.6 * len(set(own.split()))
    done = run_cli("read", source, "--engine", "tesseract", "--model", "xyz")
    assert done.code == 6 and "no language 'xyz'" in done.err
    escalated = run_cli("read", source, "--escalate", "tesseract", "--below", "0.9")
    assert escalated.code == 0 and len(set(escalated.out.split()) & set(own.split())) > 10


def test_a_pdf_is_open_while_its_pages_wait_for_the_larger_reader(
    tmp_path: Path, run_cli: Callable
) -> None:
    scan, out = tmp_path / "scan.pdf", tmp_path / "read.pdf"
    with pymupdf.open() as made:
        for _ in range(2):
            page = made.new_page(width=400, height=120)
            page.insert_text((30, 60), "Lamp oil, forty barrels", fontsize=20)
        made.save(scan)
    arguments = ("--ocr", "always", "--escalate", "line", "--below", "1")
    done = run_cli("read", scan, "-o", out, *arguments)
    assert done.code == 0, done.err
    with pymupdf.open(out) as found:
        assert [page.get_text().split() for page in found] == [
            ["Lamp", "oil,", "forty", "barrels"]
        ] * 2
