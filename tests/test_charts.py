"""Charts: what is drawn is what was given, whoever gave the names."""

import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from corpusmill.report.charts import COLOURS, bars, histogram, lines

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text></svg><script>alert(1)</script>\" onload='x' {{7*7}} \u202egnp.exe \x00 \udcff"


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def words(svg: str) -> list[str]:
    return [text.text or "" for text in parsed(svg).iter(f"{SVG}text")]


def rectangles(svg: str) -> list[tuple[str, list[float]]]:
    """(colour, [left, top, width, height]) of every bar."""
    found = []
    for path in parsed(svg).iter(f"{SVG}path"):
        shape = re.fullmatch(r"M(.+),(.+)h(.+)v(.+)h-.*Z", path.get("d") or "")
        if shape and (path.get("fill") or "").startswith("var(--run"):
            found.append((path.get("fill") or "", [float(n) for n in shape.groups()]))
    return found


def rule(svg: str, dashed: str = "5,3") -> float:
    """Where the threshold stands, in pixels."""
    (line,) = (
        line for line in parsed(svg).iter(f"{SVG}line") if line.get("stroke-dasharray") == dashed
    )
    place = re.match(r"translate\(([\d.]+),", line.get("transform") or "")
    assert place is not None
    return float(place[1])


def test_a_histogram_stacks_its_groups_and_marks_the_threshold() -> None:
    svg = histogram([0, 1, 2, 3, 4], {"kept": [4, 0, 2, 0], "dropped": [0, 0, 2, 1]}, 2.5, "t", 400)
    bars_drawn = rectangles(svg)
    assert [colour for colour, _ in bars_drawn].count(COLOURS[0]) == 2 + 1  # and in the legend
    heights = {(c, left): h for c, (left, _, _, h) in bars_drawn if left >= 0}
    assert heights[COLOURS[0], 0] == pytest.approx(2 * heights[COLOURS[0], 200])
    assert heights[COLOURS[0], 200] == pytest.approx(heights[COLOURS[1], 200])
    assert heights[COLOURS[1], 300] == pytest.approx(heights[COLOURS[1], 200] / 2)
    assert rule(svg) == pytest.approx(250)
    assert {"kept", "dropped"} <= set(words(svg))


def test_uneven_bins_are_drawn_equally_wide_and_say_where_they_end() -> None:
    svg = histogram([0, 1, 10, 100, 1000], {"documents": [1, 1, 1, 1]}, 55, "t", 400)
    assert [left for _, (left, *_) in rectangles(svg)] == [0, 100, 200, 300]
    assert rule(svg) == pytest.approx(250)
    assert {"0", "1", "10", "100", "1k"} <= set(words(svg))


@pytest.mark.parametrize("threshold", [None, -1.0, 5.0])
def test_a_threshold_outside_the_bins_is_not_drawn(threshold: float | None) -> None:
    assert "stroke-dasharray" not in histogram([0, 1, 2], {"kept": [1, 2]}, threshold, "t")


def test_bars_stand_in_the_order_given_also_under_one_name() -> None:
    svg = bars(["b", "a", "a"], {"n": [1, 2, 4]}, "t", unit="documents")
    widths = [width for _, (_, _, width, _) in rectangles(svg)]
    assert widths[2] == pytest.approx(2 * widths[1]) == pytest.approx(4 * widths[0])
    assert [word for word in words(svg) if word in "ab"] == ["b", "a", "a"]
    assert "documents" in words(svg)


def test_long_names_of_bars_lose_their_middle() -> None:
    names = [f"creativecommons.org/licenses/{kind}/4.0" for kind in ("by", "by-sa", "by-nc-nd")]
    shown = [word for word in words(bars(names, {"n": [1, 2, 4]}, "t")) if "…" in word]
    assert len(set(shown)) == 3
    assert all(word.startswith("creativecommon") and word.endswith("/4.0") for word in shown)


def test_bars_stack_or_stand_side_by_side() -> None:
    groups = {"asked": [2.0], "delivered": [1.0]}
    stacked = [r for _, r in rectangles(bars(["a"], groups, "t"))][:2]
    assert stacked[1][0] == pytest.approx(stacked[0][2])
    aside = [r for _, r in rectangles(bars(["a"], groups, "t", stacked=False))][:2]
    assert (aside[0][0], aside[1][0]) == (0, 0)
    assert aside[1][1] > aside[0][1]


def test_lines_go_through_their_points_and_leave_out_what_is_no_number() -> None:
    points = [(1.0, 9.0), (2.0, 5.0), (2.5, float("nan")), (float("inf"), 1.0), (3.0, 1.0)]
    svg = lines({"a": points}, "t", dots={"a": [(2.0, 6.0)]}, x="step", y="nats", width=200)
    (path,) = (p for p in parsed(svg).iter(f"{SVG}path") if p.get("stroke") == COLOURS[0])
    corners = [float(x) for x in re.findall(r"[ML]([\d.]+),", path.get("d") or "")]
    assert corners == [0, 100, 200]
    assert svg.count(COLOURS[0]) == 2
    assert {"step", "nats"} <= set(words(svg))


def test_many_lines_differ_in_colour_or_dashes() -> None:
    svg = lines({f"run {n}": [(1, n), (2, n)] for n in range(8)}, "t")
    drawn = [p for p in parsed(svg).iter(f"{SVG}path") if p.get("stroke-width") == "1.5"]
    styles = {(p.get("stroke"), p.get("stroke-dasharray")) for p in drawn if p.get("stroke")}
    assert len(styles) == 8
    assert {f"run {n}" for n in range(8)} <= set(words(svg))


@pytest.mark.parametrize(
    "draw",
    [
        lambda: histogram([0, 1, 2], {HOSTILE: [1, 2], "kept": [1, 1]}, 1, HOSTILE),
        lambda: bars([HOSTILE, "b"], {HOSTILE: [1, 2], "other": [1, 2]}, HOSTILE, unit=HOSTILE),
        lambda: lines({HOSTILE: [(1, 2), (2, 3)], "b": [(1, 1)]}, HOSTILE, x=HOSTILE, y=HOSTILE),
    ],
    ids=["histogram", "bars", "lines"],
)
def test_hostile_names_are_text(draw: Callable[[], str]) -> None:
    svg = draw()
    root = parsed(svg)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "g", "path", "line", "text"}
    names = {name for element in root.iter() for name in element.attrib}
    assert not [name for name in names if name.startswith("on") or "href" in name]
    assert "⟨U+202E⟩" in (root.get("aria-label") or "")
    assert any("</text></svg>" in word for word in words(svg))
    assert not re.search(r"[\x00-\x08\u202e]", svg)


def test_every_colour_follows_the_theme_of_the_page() -> None:
    svg = histogram([0, 1, 2], {"kept": [1, 2], "dropped": [1, 1]}, 1, "t") + bars(
        ["a"], {"n": [1]}, "t"
    )
    colours = re.findall(r'(?:fill|stroke)="([^"]*)"', svg)
    assert {colour for colour in colours if not colour.startswith("var(--")} <= {"none"}


def test_a_drawing_of_nothing_is_still_one() -> None:
    for svg in (
        histogram([0, 1], {"kept": [0]}, None, "nothing"),
        bars([], {"n": []}, "nothing"),
        lines({}, "nothing"),
    ):
        assert parsed(svg).get("role") == "img"
        assert parsed(svg).get("aria-label") == "nothing"
