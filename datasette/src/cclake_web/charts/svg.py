"""Draw bars, lines and a heatmap as SVG; each part has a tooltip and a link."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

from markupsafe import Markup, escape

from cclake_web.charts.scale import after, label, ticks
from cclake_web.render.safe import plain

WIDTH, HEIGHT = 560, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 6, 10, 24
BRIDGED = 7  # days without a value that a line goes over
Number = Callable[[float], str]


@dataclass
class Series:
    """A named row of values, one per period."""

    name: str
    values: list[float]
    colour: int = 1


@dataclass
class Chart:
    """The data of a chart over time; `names` are those of periods without a date."""

    unit: str
    starts: Sequence[date]
    series: Sequence[Series]
    number: Number
    href: Callable[[date, date], str] = field(default=lambda first, end: "")
    names: Sequence[str] = ()


def bars(chart: Chart) -> Markup:
    """Return stacked bars, one for each period; empty periods have no link."""
    totals = [sum(column) for column in zip(*_columns(chart), strict=True)] or [0.0]
    marks = ticks(max(totals))
    width = (WIDTH - LEFT - RIGHT) / max(len(chart.starts), 1)
    parts: list[str] = [_axis(marks, chart.number), _dates(chart, width)]
    for index, start in enumerate(chart.starts):
        x, y = LEFT + index * width, float(HEIGHT - BOTTOM)
        rects = []
        for series in chart.series:
            height = _high(series.values[index], marks[-1])
            if height > 0:
                y -= height
                one = _rect(x + width * 0.1, y, width * 0.8, height, series.colour)
                rects.append(one)
        tip = _tip(chart, index, totals[index])
        rects.append(_rect(x, TOP, width, HEIGHT - TOP - BOTTOM, 0))
        href = chart.href(start, after(start, chart.unit)) if totals[index] else ""
        parts.append(linked("".join(rects), href, tip))
    return _svg(parts, "bars")


def lines(chart: Chart, highest: float | None = None) -> Markup:
    """Return a line per series, which breaks where more than a week has no value.

    A value below 0 is none.
    """
    known = [v for series in chart.series for v in series.values if v >= 0]
    marks = ticks(highest if highest is not None else max(known, default=0))
    width = (WIDTH - LEFT - RIGHT) / max(len(chart.starts), 1)
    parts: list[str] = [_axis(marks, chart.number), _dates(chart, width)]
    for series in chart.series:
        for part in _unbroken(chart, series):
            points = [
                (LEFT + (n + 0.5) * width, HEIGHT - BOTTOM - _high(value, marks[-1]))
                for n, value in part
            ]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            kind = f"s{series.colour}"
            line = Markup('<polyline class="{}" points="{}"/>')
            parts += [line.format(kind, path)] if len(points) > 1 else []
            if len(chart.starts) < 60 or len(points) == 1:
                dot = Markup('<circle class="f{}" cx="{:.1f}" cy="{:.1f}" r="2.2"/>')
                parts += [dot.format(series.colour, x, y) for x, y in points]
    for index, start in enumerate(chart.starts):
        space = _rect(LEFT + index * width, TOP, width, HEIGHT - TOP - BOTTOM, 0)
        known_here = any(series.values[index] >= 0 for series in chart.series)
        href = chart.href(start, after(start, chart.unit)) if known_here else ""
        parts.append(linked(space, href, _tip(chart, index, None)))
    return _svg(parts, "lines")


def _unbroken(chart: Chart, series: Series) -> list[list[tuple[int, float]]]:
    """Return the runs of values, with their places, between gaps of over a week."""
    runs: list[list[tuple[int, float]]] = []
    for number, value in enumerate(series.values):
        if value < 0:
            continue
        if runs and _missing(chart, runs[-1][-1][0], number) <= BRIDGED:
            runs[-1].append((number, value))
        else:
            runs.append([(number, value)])
    return runs


def _missing(chart: Chart, one: int, other: int) -> int:
    """Return the days between the end of a period and the beginning of another."""
    return (chart.starts[other] - after(chart.starts[one], chart.unit)).days


def heatmap(
    values: Sequence[Sequence[float]],
    rows: Sequence[str],
    number: Number,
    href: Callable[[int], str],
) -> Markup:
    """Return seven rows of 24 hours; a cell with a value links to `href(cell)`."""
    highest = max((value for row in values for value in row), default=0) or 1
    width, height = (WIDTH - LEFT - RIGHT) / 24, 24
    parts: list[str] = []
    for y, (name, row) in enumerate(zip(rows, values, strict=True)):
        text = Markup('<text x="{}" y="{}" text-anchor="end">{}</text>')
        parts.append(text.format(LEFT - 8, TOP + y * height + 15, name))
        for x, value in enumerate(row):
            share = 0.06 if not value else 0.18 + 0.82 * (value / highest) ** 0.6
            at = (LEFT + x * width + 1, TOP + y * height + 1, width - 2, height - 2)
            cell = (
                f'<rect class="heat" x="{at[0]:.1f}" y="{at[1]}" width="{at[2]:.1f}" '
                f'height="{at[3]}" rx="3" fill-opacity="{share:.2f}"/>'
            )
            tip = f"{name} {x}:00–{x + 1}:00\n{number(value)}"
            parts.append(linked(cell, href(y * 24 + x) if value else "", tip))
    for hour in range(0, 24, 3):
        text = Markup('<text x="{:.1f}" y="{}">{}</text>')
        parts.append(text.format(LEFT + hour * width + 2, TOP + 7 * height + 14, hour))
    return _svg(parts, "heatmap")


def _columns(chart: Chart) -> list[list[float]]:
    return [series.values for series in chart.series]


def _high(value: float, top: float) -> float:
    share = max(0.0, min(value / top, 1.0)) if top else 0.0
    return share * (HEIGHT - TOP - BOTTOM)


def _rect(x: float, y: float, width: float, height: float, colour: int) -> str:
    kind = f"f{colour}" if colour else "space"
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}"/>'
    )


def _axis(marks: Sequence[float], number: Number) -> Markup:
    parts = Markup("")
    for mark in marks:
        y = HEIGHT - BOTTOM - _high(mark, marks[-1])
        parts += Markup(
            '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
            '<text x="{}" y="{:.1f}" text-anchor="end">{}</text>'
        ).format(LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 4, number(mark))
    return parts


def _dates(chart: Chart, width: float) -> Markup:
    labels = 4 if _has_years(chart) else 5
    every = max(1, -(-len(chart.starts) // labels))
    parts = Markup("")
    for index in range(0, len(chart.starts), every):
        x = LEFT + (index + 0.5) * width
        end = "end" if x > WIDTH - 40 else "start" if x < LEFT + 20 else "middle"
        parts += Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{}</text>').format(
            x, HEIGHT - 7, end, _tick(chart, index)
        )
    return parts


def _tick(chart: Chart, index: int) -> str:
    """Return a period at the axis; over years its month is enough, and short."""
    start = chart.starts[index]
    return start.strftime("%b %Y") if _has_years(chart) else _name(chart, index)


def _name(chart: Chart, index: int) -> str:
    if chart.names:
        return chart.names[index]
    return label(chart.starts[index], chart.unit, _has_years(chart))


def _has_years(chart: Chart) -> bool:
    return chart.starts[0].year != chart.starts[-1].year


def _tip(chart: Chart, index: int, total: float | None) -> str:
    words = "Week of " if chart.unit == "week" and not chart.names else ""
    said = [words + _name(chart, index)]
    if total is not None and len(chart.series) > 1:
        said[0] += f": {chart.number(total)}"
    said += [
        f"{series.name}: {chart.number(series.values[index])}"
        for series in chart.series
        if series.values[index] > 0
    ]
    return "\n".join(said[:10])


def linked(inner: str, href: str, tip: str) -> str:
    """Return a part of a chart with its label, inside a link if it has one.

    These are plain strings, since there are a thousand of them. Texts are escaped
    here; `inner` is markup.
    """
    said = str(plain(tip))
    if not href:
        return f'<g data-tip="{said}">{inner}</g>'
    return anchored(inner, escape(href), said)


def anchored(inner: str, href: str, said: str) -> str:
    """Return the same for an address and a label that are already escaped.

    The label is the tip, too: a chart has a thousand of them.
    """
    label = said.replace("\n", ",\n")
    return f'<a href="{href}" data-tip aria-label="{label}" tabindex="-1">{inner}</a>'


def _svg(parts: Sequence[str], kind: str) -> Markup:
    made = Markup('<svg class="chart {}" viewBox="0 0 {} {}" role="group">{}</svg>')
    return made.format(kind, WIDTH, HEIGHT, Markup("".join(parts)))
