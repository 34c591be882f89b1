"""Charts as SVG text: histograms, bars and lines, drawn by Vega-Lite without a script or a browser.

Every colour is a variable of CSS with a fallback, so that a drawing follows the theme of the page
it stands in and needs no page. Strings may be a stranger's: they come in as values of data, never
as part of an expression or a field's name, and every control character is made visible.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

from corpusmill.report.showing import visible

COLOURS = (
    "var(--run0, #0072b2)",
    "var(--run1, #d55e00)",
    "var(--run2, #009e73)",
    "var(--run3, #b5568f)",
    "var(--run4, #56b4e9)",
    "var(--run5, #c78500)",
)
"""Okabe and Ito 2008, told apart by colour-blind people; their yellow is left out."""
DASHES = ([1, 0], [6, 3], [2, 3])
"""From the seventh line on lines are dashed as well."""
TEXT = "var(--soft, currentColor)"
LINE = "var(--line, #a0a8b0)"
STRONG = "var(--text, currentColor)"

TICKS = 6
NAME_PIXELS = 220
"""Room for the names of bars; what is longer is cut."""
NAME_CHARACTERS = 28
"""Of a bar's name: the middle of a longer one is left out, since addresses differ at their ends."""
BAR_PIXELS = 20

Group = Mapping[str, Sequence[float]]
"""Name -> one number for each bin or bar."""
Points = Sequence[tuple[float, float]]


def histogram(
    edges: Sequence[float],
    groups: Mapping[str, Sequence[int]],
    threshold: float | None,
    title: str,
    width: int = 560,
    height: int = 160,
    *,
    legend: bool = True,
) -> str:
    """Stacked bars, and a rule at the threshold.

    `edges` are n + 1 rising numbers, each of `groups` has n counts. Where the edges do not stand at
    equal distances, the bins are drawn equally wide all the same and the axis says where they end.
    Without a `legend` the first group has the first of COLOURS, and so on.
    """
    bins = len(edges) - 1
    steps = [high - low for low, high in pairwise(edges)]
    even = max(steps) - min(steps) <= 1e-6 * max(steps)
    places = list(edges) if even else list(range(bins + 1))
    values, tops = [], [0] * bins
    for name, counts in groups.items():
        for number, count in enumerate(counts):
            if count:
                values.append(
                    {
                        "from": places[number],
                        "to": places[number + 1],
                        "low": tops[number],
                        "high": tops[number] + count,
                        "group": visible(name),
                    }
                )
                tops[number] += count
    axis: dict[str, Any] = {"title": None, "tickCount": TICKS, "labelExpr": _short("datum.value")}
    if not even:
        shown = range(0, bins + 1, max(1, math.ceil(bins / TICKS)))
        numbers = ", ".join(f"{edge:.3g}" for edge in edges)
        label = _short(f"[{numbers}][datum.value]")
        axis |= {"values": list(shown), "labelExpr": label}
    x = {"type": "quantitative", "scale": {"domain": [places[0], places[-1]], "nice": False}}
    bars = {
        "data": {"values": values},
        "mark": {"type": "rect", "stroke": "var(--page, transparent)", "strokeWidth": 0.5},
        "encoding": {
            "x": {"field": "from", "axis": axis, **x},
            "x2": {"field": "to"},
            "y": _numbers("low"),
            "y2": {"field": "high"},
            "color": _colours(list(groups), legend),
        },
    }
    layers = [bars]
    if threshold is not None and edges[0] <= threshold <= edges[-1]:
        place = threshold if even else _place(edges, threshold)
        layers.append(
            {
                "data": {"values": [{"at": place}]},
                "mark": {"type": "rule", "strokeDash": [5, 3], "strokeWidth": 1.5},
                "encoding": {"x": {"field": "at", **x}, "color": {"value": STRONG}},
            }
        )
    return _drawn({"width": width, "height": height, "layer": layers}, title)


def bars(
    names: Sequence[str],
    groups: Group,
    title: str,
    *,
    stacked: bool = True,
    unit: str = "",
    width: int = 560,
) -> str:
    """Horizontal bars, from top to bottom in the order of `names`.

    Each of `groups` has one number for each name; they stand behind each other, or below each other
    unless `stacked`. `unit` is written at the axis.
    """
    values = []
    for place in range(len(names)):
        start = 0.0
        for group, numbers in groups.items():
            end = start + numbers[place] if stacked else numbers[place]
            values.append({"place": place, "group": visible(group), "from": start, "to": end})
            start = end if stacked else 0.0
    rows = {"field": "place", "type": "ordinal", "axis": None, "scale": {"paddingInner": 0.25}}
    bar: dict[str, Any] = {
        "data": {"values": values},
        "mark": "bar",
        "encoding": {
            "y": rows,
            "x": _numbers("from", unit),
            "x2": {"field": "to"},
            "color": _colours(list(groups)),
        },
    }
    if not stacked:
        bar["encoding"]["yOffset"] = {"field": "group", "sort": list(map(visible, groups))}
    labels: dict[str, Any] = {
        "data": {
            "values": [{"place": n, "name": _short_name(name)} for n, name in enumerate(names)]
        },
        "mark": {"type": "text", "align": "right", "dx": -8, "limit": NAME_PIXELS},
        "encoding": {
            "y": rows,
            "x": {"value": 0},
            "text": {"field": "name"},
            "color": {"value": STRONG},
        },
    }
    height: dict[str, Any] = {"step": BAR_PIXELS if stacked else BAR_PIXELS + 6 * (len(groups) - 1)}
    if not stacked:
        height |= {"for": "position"}
    spec = {"width": width - NAME_PIXELS, "height": height, "layer": [bar, labels]}
    return _drawn({**spec, "padding": {**_PADDING, "left": 32}}, title)


def lines(
    series: Mapping[str, Points],
    title: str,
    *,
    dots: Mapping[str, Points] | None = None,
    x: str = "",
    y: str = "",
    width: int = 720,
    height: int = 280,
) -> str:
    """One line for each name through its (x, y) points, and its `dots` in the same colour.

    `x` and `y` are written at the axes. Points that are no finite numbers are left out.
    """
    dots = dots or {}
    names = list(dict.fromkeys([*series, *dots]))
    dashes = [DASHES[number // len(COLOURS) % len(DASHES)] for number in range(len(names))]
    colour = _colours(names)
    across = {"field": "x", "type": "quantitative", "scale": {"zero": False, "nice": False}}
    across["axis"] = _axis(x, TICKS)
    up = {"field": "y", "type": "quantitative", "scale": {"zero": False}}
    up["axis"] = _axis(y, TICKS) | {"grid": True, "gridColor": LINE}
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": _points(series)},
            "mark": {"type": "line", "strokeWidth": 1.5},
            "encoding": {
                "x": across,
                "y": up,
                "color": colour,
                "strokeDash": {
                    "field": "group",
                    "scale": {"domain": list(map(visible, names)), "range": dashes},
                    "legend": colour["legend"] and {**colour["legend"], "symbolType": "stroke"},
                },
            },
        }
    ]
    if any(dots.values()):
        layers.append(
            {
                "data": {"values": _points(dots)},
                "mark": {"type": "circle", "size": 45, "opacity": 1},
                "encoding": {"x": across, "y": up, "color": colour},
            }
        )
    return _drawn({"width": width, "height": height, "layer": layers}, title)


def _points(series: Mapping[str, Points]) -> list[dict[str, Any]]:
    return [
        {"group": visible(name), "x": x, "y": y}
        for name, points in series.items()
        for x, y in points
        if math.isfinite(x) and math.isfinite(y)
    ]


def _place(edges: Sequence[float], value: float) -> float:
    """Where a value stands among bins that are drawn equally wide."""
    for number, (low, high) in enumerate(pairwise(edges)):
        if value <= high:
            return number + (value - low) / (high - low)
    return len(edges) - 1.0


def _short_name(name: str) -> str:
    name, half = visible(name), NAME_CHARACTERS // 2
    return name if len(name) <= NAME_CHARACTERS else f"{name[:half]}…{name[-half:]}"


def _numbers(field: str, title: str = "") -> dict[str, Any]:
    """A field of numbers that are counted from zero."""
    return {"field": field, "type": "quantitative", "axis": _axis(title, 4)}


def _axis(title: str, ticks: int) -> dict[str, Any]:
    return {"title": visible(title) or None, "tickCount": ticks, "labelExpr": _short("datum.value")}


def _short(number: str) -> str:
    """The expression that writes a number short: 12k, 0.05."""
    return f"format({number}, abs({number}) < 1 ? '~g' : '~s')"


def _colours(names: Sequence[str], legended: bool = True) -> dict[str, Any]:
    """A colour for each name, and a legend where there are several."""
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(names))]
    legend = {"title": None, "orient": "bottom", "columns": 1 if len(names) > 4 else 4}
    return {
        "field": "group",
        "type": "nominal",
        "scale": {"domain": list(map(visible, names)), "range": colours},
        "legend": legend if legended and len(names) > 1 else None,
    }


_PADDING = {"left": 16, "right": 12, "top": 6, "bottom": 6}
"""The fonts of a reader may be wider than those that names are measured with."""

_CONFIG = {
    # the drawing has one name, for its parts there is a table
    "aria": False,
    "font": "system-ui, sans-serif",
    "background": None,
    "padding": _PADDING,
    "view": {"stroke": None},
    "axis": {
        "grid": False,
        "domainColor": LINE,
        "tickColor": LINE,
        "labelColor": TEXT,
        "titleColor": TEXT,
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 12,
    },
    "legend": {
        "labelColor": TEXT,
        "labelFontSize": 12,
        "labelLimit": 3 * NAME_PIXELS,
        "symbolOpacity": 1,
        "columnPadding": 28,  # for the same reason as _PADDING
    },
    "text": {"fontSize": 12},
}


def _drawn(spec: dict[str, Any], title: str) -> str:
    """The drawing of a spec of Vega-Lite, named by `title`."""
    import vl_convert

    schema = "https://vega.github.io/schema/vega-lite/v6.json"
    whole = {"$schema": schema, "config": _CONFIG, **spec}
    head, _, body = vl_convert.vegalite_to_svg(whole).partition(">")
    name = escape(visible(title))
    return f'{head} role="img" aria-label="{name}"><title>{name}</title>{body}'
