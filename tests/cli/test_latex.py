from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from cli.conftest import Done
from drawn_formulas import draw, formula
from ocrtool.document.lines import DetectedLayout
from ocrtool.export import export_model
from ocrtool.latex_syntax import normal
from ocrtool.layout.detector import Detector
from ocrtool.options import ReadOptions
from ocrtool.readers.formulas import FormulaReader
from small_models import save, small_formula_engine
from writers.drawing import FONTS, Drawing

Run = Callable[..., Done]
PROSE = [
    "The harbour was built when the town",
    "still lived by fishing, and the boats",
    "that lie there now are those of people",
    "who come for the summer and leave again.",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A formula reader that has learnt nothing; what it says is known all the same."""
    folder = save(small_formula_engine(3), tmp_path_factory.mktemp("formula") / "model")
    return export_model(folder, folder.with_name("exported")).folder


@pytest.fixture
def formulas(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "formulas"
    folder.mkdir()
    paths = []
    for seed in range(3):
        path = folder / f"{seed}.png"
        Image.fromarray(draw(formula(np.random.default_rng(seed)))).save(path)
        paths.append(path)
    return paths


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A grid of three rows and two columns."""
    image = Image.new("L", (560, 260), 255)
    pen, face = ImageDraw.Draw(image), ImageFont.truetype(FONTS / "Sans.ttf", 30)
    for y in (20, 90, 160, 230):
        pen.line((20, y, 520, y), 0, 2)
    for x in (20, 300, 520):
        pen.line((x, 20, x, 230), 0, 2)
    for i, row in enumerate([("Harbour", "Boats"), ("Newport", "417"), ("Kingston", "28")]):
        for x, text in zip((40, 320), row, strict=True):
            pen.text((x, 36 + 70 * i), text, 0, face)
    path = tmp_path / "table.png"
    image.save(path)
    return path


@pytest.fixture
def page(tmp_path: Path) -> Path:
    drawing = Drawing()
    drawing.line("A harbour of old", 100, 80, size=44, font="Sans-Bold.ttf")
    for i, text in enumerate(PROSE):
        drawing.line(text, 100, 180 + 40 * i)
    path = tmp_path / "page.png"
    drawing.image.save(path)
    return path


def test_a_formula_goes_to_stdout(run_cli: Run, model: Path, formulas: list[Path]) -> None:
    done = run_cli("latex", formulas[0], "-m", model)
    said = FormulaReader(ReadOptions(model=str(model))).read(formulas[0])
    assert (done.code, done.out) == (0, said.latex + "\n")
    assert ("no valid LaTeX" in done.err) is not said.valid


def test_several_are_a_line_each_and_a_record_each(
    run_cli: Run, model: Path, formulas: list[Path]
) -> None:
    done = run_cli("latex", *formulas, "-k", "formula", "-m", model)
    lines = done.out.splitlines()
    records = run_cli("latex", formulas[0].parent, "-k", "formula", "-m", model, "-f", "jsonl")
    found = [json.loads(line) for line in records.out.splitlines()]
    assert [record["source"] for record in found] == [str(path) for path in formulas]
    assert [record["latex"] for record in found] == lines
    assert all(0 <= record["confidence"] <= 1 for record in found)
    array = run_cli("latex", *formulas, "-k", "formula", "-m", model, "-f", "json")
    assert json.loads(array.out) == found


@pytest.mark.parametrize(
    ("wrap", "start", "end"),
    [
        ("inline", r"\(", r"\)"),
        ("display", "\\[\n", "\n\\]"),
        ("equation", "\\begin{equation}\n", "\n\\end{equation}"),
    ],
)
def test_what_is_put_round_a_formula(
    run_cli: Run, model: Path, formulas: list[Path], wrap: str, start: str, end: str
) -> None:
    bare = run_cli("latex", formulas[1], "-m", model).out.strip("\n")
    assert run_cli("latex", formulas[1], "-m", model, "-w", wrap).out == f"{start}{bare}{end}\n"


def test_other_languages(run_cli: Run, model: Path, formulas: list[Path], tmp_path: Path) -> None:
    bare = run_cli("latex", formulas[1], "-m", model).out.strip("\n")
    assert run_cli("latex", formulas[1], "-m", model, "-f", "md").out == f"$$\n{bare}\n$$\n"
    for name, start in (("x.typ", ""), ("x.mml", "<math")):
        done = run_cli("latex", formulas[1], "-m", model, "-o", tmp_path / name)
        assert done.code == 0
        assert (tmp_path / name).read_text("utf-8").startswith(start)


def test_a_beam_tells_what_else_it_may_be(run_cli: Run, model: Path, formulas: list[Path]) -> None:
    done = run_cli("latex", formulas[1], "-m", model, "--beam", "4", "-f", "jsonl")
    record = json.loads(done.out)
    others = record.get("others", [])
    assert record["latex"] not in others and len(set(others)) == len(others) <= 3
    for latex in (record["latex"], *others):
        normal(latex)


def test_a_table_is_a_tabular(run_cli: Run, table: Path) -> None:
    done = run_cli("latex", table, "--kind", "table")
    assert done.code == 0
    assert done.out.splitlines() == [
        r"\begin{tabular}{|l|l|}", r"\hline", r"Harbour & Boats \\", r"\hline",
        r"Newport & 417 \\", r"\hline", r"Kingston & 28 \\", r"\hline", r"\end{tabular}",
    ]  # fmt: skip
    assert run_cli("latex", table, "-k", "table", "-f", "md").out.startswith("| Harbour | Boats |")
    record = json.loads(run_cli("latex", table, "-k", "table", "-f", "jsonl").out)
    assert record["kind"] == "table" and record["latex"] + "\n" == done.out


def test_a_page_is_a_document(run_cli: Run, page: Path, tmp_path: Path) -> None:
    done = run_cli("latex", page, "-o", tmp_path / "page.tex")
    text = (tmp_path / "page.tex").read_text("utf-8")
    assert done.code == 0 and done.out == ""
    assert text.startswith(r"\documentclass") and text.endswith("\\end{document}\n")
    assert " ".join(PROSE) in text.replace("\n", " ")
    assert re.search(r"\\(sub)*section\{A harbour of old\}", text)
    assert_compiles(tmp_path / "page.tex")


def test_displayed_formulas_of_a_page_are_found(run_cli: Run, tmp_path: Path) -> None:
    paper = Path(__file__).parents[2] / "docs/images/sample-paper.png"
    done = run_cli("latex", paper, "-o", tmp_path / "paper.tex")
    text = (tmp_path / "paper.tex").read_text("utf-8")
    assert done.code == 0
    assert r"\frac{\partial u}{\partial t}=k\frac{\partial^{2}u}{\partial x^{2}}, \tag{1}" in text
    assert r"u(x,t)=\sum_{n=1}^{\infty}b_{n}\sin\left(\frac{n\pi x}{\ell}\right)" in text
    assert r"b_{n}=\frac{2}{\ell}\int_{0}^{\ell}u(x,0)" in text
    assert "Those that are left grow smaller as their numbers grow." in " ".join(text.split())
    assert_compiles(tmp_path / "paper.tex")
    markdown = run_cli("read", paper, "-f", "md").out
    assert "# The heat of a thin rod" in markdown and markdown.count("$$") == 6


def assert_compiles(path: Path) -> None:
    """Where there is TeX."""
    if shutil.which("pdflatex"):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", path.name]
        made = subprocess.run(command, cwd=path.parent, capture_output=True, text=True)
        assert made.returncode == 0, made.stdout[-2000:]


def test_what_a_picture_holds_is_told(
    run_cli: Run, model: Path, formulas: list[Path], table: Path, page: Path
) -> None:
    done = run_cli("latex", formulas[0], page, "-m", model, "-f", "jsonl")
    kinds = [json.loads(line)["kind"] for line in done.out.splitlines()]
    assert kinds == ["formula", "page"]


def test_a_folder_gets_a_file_each(
    run_cli: Run, model: Path, formulas: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run_cli("latex", *formulas, "-k", "formula", "-m", model, "-o", f"{out}/").code == 0
    assert sorted(path.name for path in out.iterdir()) == ["0.tex", "1.tex", "2.tex"]
    again = run_cli("latex", *formulas, "-k", "formula", "-m", model, "-o", out)
    assert again.code == 5 and "--overwrite" in again.err


def test_what_cannot_be_read_stops_nothing(
    run_cli: Run, model: Path, formulas: list[Path], table: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.png"
    empty.write_bytes(b"")
    done = run_cli("latex", formulas[0], empty, formulas[1], "-k", "formula", "-m", model)
    assert done.code == 1 and len(done.out.splitlines()) == 2
    assert "empty.png: is empty" in done.err and "2 read, 1 failed" in done.err
    alone = run_cli("latex", empty, "-o", tmp_path / "out.tex")
    assert alone.code == 4 and not (tmp_path / "out.tex").exists()
    done = run_cli("latex", table, "-k", "table", "-f", "mathml")
    assert done.code == 4 and "is a table" in done.err
    assert run_cli("latex", tmp_path / "none.png").code == 4
    assert run_cli("latex").code == 2
    assert run_cli("latex", formulas[0], "-m", "line", "-k", "formula").code == 6


def test_blank_paper_says_nothing(run_cli: Run, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "blank.png"
    Image.new("L", (300, 80), 250).save(path)
    done = run_cli("latex", path, "-m", model)
    assert (done.code, done.out) == (0, "\n")
    done = run_cli("latex", path, "-k", "table")
    assert (done.code, done.out.strip()) == (0, "")


def test_pages_of_one_input_are_one_document(run_cli: Run, page: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.tiff"
    image = Image.open(page)
    image.save(path, save_all=True, append_images=[image])
    done = run_cli("latex", path)
    assert done.out.count(r"\documentclass") == 1
    assert len(re.findall("A harbour of old", done.out)) == 2
    records = run_cli("latex", path, "-f", "jsonl", "--pages", "2").out.splitlines()
    assert [json.loads(record)["page"] for record in records] == [2]


def test_an_input_fails_once_however_many_pages_do(
    run_cli: Run, table: Path, tmp_path: Path
) -> None:
    path = tmp_path / "two.tiff"
    image = Image.open(table)
    image.save(path, save_all=True, append_images=[image])
    alone = run_cli("latex", path, "-k", "table", "-f", "mathml")
    assert (alone.code, alone.out) == (4, "") and "is a table" in alone.err
    both = run_cli("latex", path, table, "-k", "table", "-f", "mathml")
    assert both.code == 1 and "0 read, 2 failed" in both.err


def test_lines_of_a_page_are_found_once(
    run_cli: Run, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []
    find = Detector.find

    def counted(detector: Detector, image: np.ndarray, *looks: int) -> DetectedLayout:
        found.append(1)
        return find(detector, image, *looks)

    monkeypatch.setattr(Detector, "find", counted)
    assert "boats" in run_cli("latex", page).out
    assert len(found) == 1
