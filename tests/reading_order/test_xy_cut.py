from __future__ import annotations

import random
import time

import numpy as np
import pytest

from drawn_pages import HEIGHT, KINDS, WIDTH, Drawn, draw, successions
from ocrtool.document.lines import Region
from ocrtool.document.tree import Box
from ocrtool.reading_order.xy_cut import reading_order, rows

PAGES = 5


def order_of(page: Drawn, seed: int, said: bool = True) -> list[int]:
    """Return the true places of the lines in the order found, from lines that were shuffled."""
    mixed = list(range(len(page.boxes)))
    random.Random(seed).shuffle(mixed)
    texts = [page.texts[i] for i in mixed] if said else ()
    groups = reading_order(page.arrays()[mixed], (), (WIDTH, HEIGHT), texts)
    found = [mixed[i] for group in groups for i in group]
    assert sorted(found) == sorted(mixed)
    return found


@pytest.mark.parametrize("broken", [0.0, 0.2])
def test_nearly_all_steps_from_line_to_line_are_right(broken: float) -> None:
    right = steps = 0
    worst: dict[str, float] = {}
    for kind in KINDS:
        counts = [successions(order_of(draw(kind, seed, broken), seed)) for seed in range(PAGES)]
        right += sum(count[0] for count in counts)
        steps += sum(count[1] for count in counts)
        worst[kind] = sum(count[0] for count in counts) / sum(count[1] for count in counts)
    assert len(KINDS) >= 12
    assert right >= 0.98 * steps, worst
    assert min(worst.values()) > 0.75, worst


def test_boxes_alone_tell_the_order_of_prose() -> None:
    for kind in ("book", "paper", "newsletter", "newspaper", "bands", "figures", "verse"):
        right, steps = successions(order_of(draw(kind, 1), 1, said=False))
        assert right >= 0.95 * steps, kind


@pytest.mark.parametrize("kind", ["receipt", "form", "table", "contents", "career"])
def test_rows_stay_rows(kind: str) -> None:
    page = draw(kind, 2)
    boxes = page.arrays()
    found = order_of(page, 2)
    for i in range(len(boxes) - 1):
        same = abs(boxes[i, 3] - boxes[i + 1, 3]) < 8 and boxes[i, 2] < boxes[i + 1, 0]
        if same:
            assert found.index(i + 1) == found.index(i) + 1, page.texts[i : i + 2]


def test_a_table_is_kept_together_in_a_column() -> None:
    page = draw("paper", 3)
    boxes = page.arrays()
    inside = [i for i, b in enumerate(boxes) if b[0] < 620 and 700 < b[1] < 900 and b[2] < 620]
    low, high = boxes[inside][:, :2].min(axis=0), boxes[inside][:, 2:].max(axis=0)
    table = Region("table", Box(*low.tolist(), *high.tolist()), 1.0)
    groups = reading_order(boxes, [table], (WIDTH, HEIGHT), page.texts)
    assert inside in [sorted(group) for group in groups]
    assert sorted(i for group in groups for i in group) == list(range(len(boxes)))


def test_text_in_a_picture_has_columns_too() -> None:
    page = draw("newsletter", 0)
    whole = Region("figure", Box(0, 0, WIDTH, HEIGHT), 1.0)
    (group,) = reading_order(page.arrays(), [whole], (WIDTH, HEIGHT), page.texts)
    assert group == list(range(len(page.boxes)))


def test_an_upright_rule_parts_columns() -> None:
    rng = random.Random(0)
    page = Drawn(rng)
    for x in (100, 400):
        for k in range(6):
            page.put(x, 100 + 40 * k, page.title(2))
    rule = Region("rule", Box(370, 70, 373, 340), 1.0)
    boxes = page.arrays()
    assert len(reading_order(boxes)) == 1
    assert [sorted(group) for group in reading_order(boxes, [rule])] == [
        [*range(6)], [*range(6, 12)]
    ]  # fmt: skip


def test_a_line_up_the_margin_does_not_part_the_text() -> None:
    page = draw("book", 0)
    count = len(page.boxes)
    boxes = np.vstack((page.arrays(), [[1180, 300, 1205, 1200]])).astype(np.float32)
    groups = reading_order(boxes, (), (WIDTH, HEIGHT), [*page.texts, "up the margin"])
    assert [i for group in groups for i in group] == list(range(count + 1))


def test_a_drop_capital_belongs_to_the_first_line() -> None:
    boxes = np.array(
        [[100, 100, 160, 170], [170, 100, 900, 122], [170, 130, 900, 152], [100, 180, 900, 202]]
    )
    assert reading_order(boxes) == [[0, 1, 2, 3]]
    assert rows(boxes, np.arange(4), 22.0) == [[0, 1], [2], [3]]


def test_nothing_and_little() -> None:
    assert reading_order(np.zeros((0, 4), np.float32)) == []
    assert reading_order(np.array([[5, 5, 50, 20]])) == [[0]]
    same = np.array([[5, 5, 50, 20]] * 3 + [[7, 7, 7, 7]] * 3)
    assert sorted(i for group in reading_order(same) for i in group) == [*range(6)]
    with pytest.raises(ValueError, match="boxes"):
        reading_order(np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="texts"):
        reading_order(np.zeros((2, 4), np.float32), texts=["one"])


def test_odd_boxes_are_ordered_quickly_and_none_is_lost() -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 2000, (400, 2))
    boxes = np.hstack((low, low + rng.uniform(0, 200, (400, 2)))).astype(np.float32)
    began = time.perf_counter()
    groups = reading_order(boxes)
    assert time.perf_counter() - began < 5
    assert sorted(i for group in groups for i in group) == list(range(400))


def test_prose_that_was_found_word_by_word_reads_in_order() -> None:
    page = draw("newsletter", 1)
    words = Drawn(page.rng)
    for (x0, y0, x1, y1), text in zip(page.boxes, page.texts, strict=True):
        step, place = (x1 - x0) / len(text), 0
        for word in text.split(" "):
            start, place = x0 + step * place, place + len(word) + 1
            words.boxes.append((start, y0, start + step * len(word), y1))
            words.texts.append(word)
    right, steps = successions(order_of(words, 1))
    assert right >= 0.98 * steps


def test_a_picture_set_into_two_columns_does_not_part_them() -> None:
    page = Drawn(random.Random(2))
    for side in (0, 1):
        for k in range(30):
            inset = 140 if 10 <= k < 20 else 0
            x0, x1 = (100, 600 - inset) if side == 0 else (640 + inset, 1140)
            page.boxes.append((x0, 100 + 32 * k, x1, 122 + 32 * k))
            page.texts.append("the line runs on and on")
    page.boxes.append((480, 440, 760, 720))
    page.texts.append("PICTURE")
    assert order_of(page, 3) == [*range(61)]
