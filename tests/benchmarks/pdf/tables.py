"""Tables as reports, invoices and time-tables have them, drawn by chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Random = np.random.Generator
Row = Sequence[str]

_GOODS = [
    "Copper pipe 15 mm",
    "Ball valve",
    "Pipe clip, double",
    "Flexible hose 500 mm",
    "Joint sealant",
    "Pressure gauge",
    "Expansion vessel",
    "Circulation pump",
    "Thermostat head",
    "Radiator bracket",
    "Drain cock",
    "Insulation sleeve 13 mm",
    "Compression elbow",
    "Brass tee",
    "Filling loop",
    "Isolation valve",
]
_LINES = [
    "Revenue",
    "Cost of sales",
    "Staff costs",
    "Rent and rates",
    "Depreciation",
    "Other income",
    "Interest paid",
    "Interest received",
    "Legal and audit fees",
    "Travel",
    "Repairs",
    "Insurance",
    "Energy",
    "Bad debts",
    "Research",
]
_PLACES = [
    "Ashford",
    "Belton",
    "Carrick",
    "Dunmore",
    "Eastleigh",
    "Fairview",
    "Glenties",
    "Harwich",
    "Innsworth",
    "Jarrow",
    "Kelso",
    "Langholm",
    "Marlow",
    "Norton",
    "Oakham",
    "Penrith",
    "Quorn",
    "Redcar",
    "Selby",
    "Tiverton",
]
_PEOPLE = [
    "A. Becker",
    "J. Osei",
    "M. Lindqvist",
    "R. Tanaka",
    "S. Novak",
    "T. Hughes",
    "L. Moreau",
    "P. Silva",
    "K. Adeyemi",
    "D. Rossi",
    "E. Walsh",
    "N. Kaya",
]
_TALKS = [
    "Opening remarks",
    "Budget for the coming year",
    "Report of the treasurer",
    "Maintenance of the lifts",
    "Election of two board members",
    "New rules for the bicycle store",
    "Insurance after the flood",
    "Questions from the floor",
    "Garden and playground",
    "Any other business",
    "Closing",
]
_TRAITS = [
    "Weight, kg",
    "Length, mm",
    "Power, kW",
    "Noise, dB(A)",
    "Voltage, V",
    "Range, km",
    "Flow, l/min",
    "Life, h",
]
_MODELS = [
    "Model A",
    "Model B",
    "Model C",
    "Model D",
    "Prototype",
    "Baseline",
    "Ours (small)",
    "Ours (large)",
]
_SETS = ["Notes", "Letters", "Forms", "Receipts", "Maps", "Books"]


def draw_table(rng: Random, *, spans: bool = True) -> tuple[str, str]:
    """A title and a table as HTML.

    Args:
        rng: Of everything drawn.
        spans: Whether cells may be merged.
    """
    kinds: list[Callable[[Random], tuple[str, str]]] = [_prices, _agenda, _survey, _measures]
    if spans:
        kinds += [_accounts, _results, _regions, _accounts]
    return kinds[int(rng.integers(len(kinds)))](rng)


def _pick(rng: Random, words: Sequence[str], count: int) -> list[str]:
    return [words[int(i)] for i in rng.permutation(len(words))[:count]]


def _money(rng: Random, most: float = 5e5) -> str:
    value = round(float(np.exp(rng.uniform(3, np.log(most)))))
    return f"({value:,})" if rng.random() < 0.2 else f"{value:,}"


def _html(head: Sequence[str], body: Sequence[str]) -> str:
    above, below = ("".join(f"<tr>{row}</tr>" for row in rows) for rows in (head, body))
    return f"<table><thead>{above}</thead><tbody>{below}</tbody></table>"


def _th(cells: Row) -> str:
    return "".join(f"<th>{c}</th>" for c in cells)


def _td(cells: Row) -> str:
    return "".join(f"<td>{c}</td>" for c in cells)


def _prices(rng: Random) -> tuple[str, str]:
    body, total = [], 0.0
    for i, name in enumerate(_pick(rng, _GOODS, int(rng.integers(4, 12))), 1):
        count, price = int(rng.integers(1, 40)), float(rng.integers(90, 9000)) / 100
        total += count * price
        body.append(_td([str(i), name, str(count), f"{price:.2f}", f"{count * price:,.2f}"]))
    body.append(_td(["", "Total", "", "", f"{total:,.2f}"]))
    return "Parts delivered", _html([_th(["No.", "Item", "Qty", "Unit price", "Amount"])], body)


def _agenda(rng: Random) -> tuple[str, str]:
    minutes, body = 9 * 60, []
    for name in _pick(rng, _TALKS, int(rng.integers(4, 9))):
        who = _PEOPLE[int(rng.integers(len(_PEOPLE)))]
        room = f"Room {rng.integers(1, 30)}"
        body.append(_td([f"{minutes // 60:02}:{minutes % 60:02}", name, who, room]))
        minutes += 5 * int(rng.integers(2, 9))
    return "Order of the day", _html([_th(["Time", "Subject", "Speaker", "Where"])], body)


def _survey(rng: Random) -> tuple[str, str]:
    body = []
    for place in _pick(rng, _PLACES, int(rng.integers(5, 14))):
        shares = rng.dirichlet([2, 2, 1]) * 100
        cells = [f"{share:.1f} %" for share in shares]
        if rng.random() < 0.2:
            cells[2] = ""
        body.append(_td([place, str(rng.integers(40, 2000)), *cells]))
    return "Answers by town", _html([_th(["Town", "Asked", "Yes", "No", "No answer"])], body)


def _measures(rng: Random) -> tuple[str, str]:
    models = _pick(rng, _MODELS, int(rng.integers(2, 5)))
    body = []
    for trait in _pick(rng, _TRAITS, int(rng.integers(3, 8))):
        body.append(_td([trait, *(f"{rng.uniform(0.5, 400):.1f}" for _ in models)]))
    return "Technical data", _html([_th(["Property", *models])], body)


def _accounts(rng: Random) -> tuple[str, str]:
    """Years under one heading, as companies report."""
    years = list(range(2025, 2025 - int(rng.integers(2, 5)), -1))
    head = [
        f'<th></th><th colspan="{len(years)}">Year ended 31 December</th>',
        _th(["In thousands", *map(str, years)]),
    ]
    body = []
    for name in _pick(rng, _LINES, int(rng.integers(5, 12))):
        body.append(_td([name, *(_money(rng) for _ in years)]))
    body.append(_td(["Profit for the year", *(_money(rng) for _ in years)]))
    return "Income and expenditure", _html(head, body)


def _results(rng: Random) -> tuple[str, str]:
    """Two rows of headings, as papers have."""
    sets = _pick(rng, _SETS, int(rng.integers(2, 4)))
    head = [
        '<th rowspan="2">Model</th>' + "".join(f'<th colspan="2">{s}</th>' for s in sets),
        _th(["Error", "Time"] * len(sets)),
    ]
    body = []
    for model in _pick(rng, _MODELS, int(rng.integers(3, 7))):
        cells = []
        for _ in sets:
            cells += [f"{rng.uniform(0.3, 30):.2f}", f"{rng.uniform(1, 400):.0f} ms"]
        body.append(_td([model, *cells]))
    return "Errors and times on each set", _html(head, body)


def _regions(rng: Random) -> tuple[str, str]:
    """Rows that share their first cell."""
    body = []
    for region in _pick(rng, ["North", "East", "South", "West"], int(rng.integers(2, 4))):
        places = _pick(rng, _PLACES, int(rng.integers(2, 4)))
        for i, place in enumerate(places):
            first = f'<td rowspan="{len(places)}">{region}</td>' if i == 0 else ""
            numbers = [str(rng.integers(10, 900)), f"{rng.uniform(1, 60):.1f}"]
            body.append(first + _td([place, *numbers]))
    return "Branches by region", _html([_th(["Region", "Town", "Staff", "Share"])], body)
