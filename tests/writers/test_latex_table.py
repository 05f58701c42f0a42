from __future__ import annotations

from ocrtool.document.tree import Block, Box, Cell, Line
from ocrtool.writers.latex_table import tabular

WIDE, HIGH = 100, 40


def line(text: str, x: float, y: float) -> Line:
    x1, y1 = x + 10 * len(text), y + 20
    return Line(text, 1.0, ((x, y), (x1, y), (x1, y1), (x, y1)))


def table(rows: list[list[str]], *rules: Box, side: str = "l", **cells: Cell) -> Block:
    """Cells of 100 x 40 pixels, the text to the left or right, 10 pixels from the sides."""
    made = []
    for i, row in enumerate(rows):
        for k, text in enumerate(row):
            x = WIDE * k + (10 if side == "l" else WIDE - 10 - 10 * len(text))
            made.append(Cell(i, k, lines=(line(text, x, HIGH * i + 10),) if text else ()))
    box = Box(0, 0, WIDE * len(rows[0]), HIGH * len(rows))
    return Block("table", box, cells=tuple(made), rules=rules)


def level(y: float, x0: float = 0, x1: float = 2 * WIDE) -> Box:
    return Box(x0, y - 1, x1, y + 1)


def upright(x: float, y0: float = 0, y1: float = 2 * HIGH) -> Box:
    return Box(x - 1, y0, x + 1, y1)


def test_a_table_without_rules_has_none() -> None:
    found = tabular(table([["a", "b"], ["c", "dd"]]))
    assert found == "\\begin{tabular}{ll}\na & b \\\\\nc & dd \\\\\n\\end{tabular}"


def test_rules_are_drawn_where_they_were_seen() -> None:
    rules = [level(0), level(HIGH), level(2 * HIGH), upright(0), upright(WIDE), upright(2 * WIDE)]
    found = tabular(table([["a", "b"], ["c", "d"]], *rules)).splitlines()
    assert found == [
        r"\begin{tabular}{|l|l|}", r"\hline", r"a & b \\", r"\hline", r"c & d \\", r"\hline",
        r"\end{tabular}",
    ]  # fmt: skip


def test_a_rule_under_some_columns_is_a_cline() -> None:
    found = tabular(table([["a", "b"], ["c", "d"]], level(HIGH, WIDE, 2 * WIDE)))
    assert found.splitlines()[2] == r"\cline{2-2}"


def test_a_short_stroke_between_columns_is_no_rule() -> None:
    found = tabular(table([["a", "b"], ["c", "d"]], upright(WIDE, 0, 20)))
    assert found.startswith(r"\begin{tabular}{ll}")


def test_columns_lean_to_the_side_where_their_cells_are_even() -> None:
    assert "{rr}" in tabular(table([["1", "22"], ["333", "4"]], side="r"))


def test_merged_cells() -> None:
    cells = (
        Cell(0, 0, row_span=2, lines=(line("both", 10, 30),), header=True),
        Cell(0, 1, column_span=2, lines=(line("wide", 150, 10),)),
        Cell(1, 1, lines=(line("x", 110, 50),)),
        Cell(1, 2, lines=(line("y", 210, 50),)),
    )
    rules = (upright(WIDE), upright(3 * WIDE))
    block = Block("table", Box(0, 0, 300, 80), cells=cells, rules=rules)
    assert tabular(block).splitlines() == [
        r"\begin{tabular}{l|ll|}",
        r"\multirow{2}{*}{both} & \multicolumn{2}{c|}{wide} \\",
        r" & x & y \\",
        r"\end{tabular}",
    ]


def test_signs_are_escaped_and_a_bracket_is_no_option() -> None:
    found = tabular(table([["50%", "a&b"], ["[x]", "*"]])).splitlines()
    assert found[1:3] == [r"50\% & a\&b \\", r"{}[x] & {}* \\"]


def test_a_column_without_text_lies_between_the_others() -> None:
    found = tabular(table([["a", "", "c"], ["d", "", "f"]], upright(100), upright(200)))
    assert found.startswith(r"\begin{tabular}{l|l|l}")
