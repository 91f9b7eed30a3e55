"""Bar charts: inline SVG in a table of names and numbers, readable without the bars, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crawler.audit.report.markup import Html, element, joined

_BAR_HEIGHT = 12
# Series beyond the sixth share the last colour.
_COLOURS = 7


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its name and one value per series."""

    name: str
    values: Sequence[int]

    @property
    def total(self) -> int:
        """The length of the bar."""
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars with a title; `series` names the parts of each bar, in the order of their colours.

    `is_named`: the bars have the names of the series, so a legend is redundant.
    """

    title: str
    series: tuple[str, ...]
    bars: Sequence[Bar]
    max_bars: int = 12
    is_named: bool = False


def bar_chart(chart: Chart) -> Html:
    """Return a chart of the longest bars, the others summed up in one."""
    bars = _longest(chart)
    longest = max((bar.total for bar in bars), default=0)
    used = [any(bar.values[at] for bar in bars) for at in range(len(chart.series))]
    is_stacked = any(sum(map(bool, bar.values)) > 1 for bar in bars) or (sum(used) > 1 and not chart.is_named)
    rows = [_bar_row(bar, chart.series, longest) for bar in bars]
    return element(
        "figure",
        element("figcaption", chart.title),
        _legend(chart.series, used) if is_stacked else None,
        element("table", element("tbody", *rows), class_="bars", aria_label=chart.title),
        class_="chart",
    )


def meter(parts: Sequence[tuple[str, str, int]], label: str) -> Html:
    """Return one stacked bar of (colour class, name, number), with the numbers in its legend."""
    total = sum(number for _, _, number in parts)
    present = [part for part in parts if part[2]]
    keys = [
        element("li", element("span", class_=f"key {kind}"), f"{number:,} {name}") for kind, name, number in present
    ]
    return element(
        "div",
        _svg([(kind, name, number) for kind, name, number in present], total, label),
        element("ul", *keys, class_="legend"),
        class_="meter",
    )


def stacked_bars(counts: Mapping[str, Mapping[str, int]], series: Sequence[str]) -> list[Bar]:
    """Return name → series → number as bars, the longest first."""
    bars = [Bar(name, [values.get(key, 0) for key in series]) for name, values in counts.items()]
    return sorted(bars, key=lambda bar: (-bar.total, bar.name))


def _longest(chart: Chart) -> list[Bar]:
    bars = sorted(chart.bars, key=lambda bar: (-bar.total, bar.name))
    if len(bars) <= chart.max_bars:
        return bars
    rest = bars[chart.max_bars - 1 :]
    sums = [sum(bar.values[at] for bar in rest) for at in range(len(chart.series))]
    return [*bars[: chart.max_bars - 1], Bar(f"{len(rest):,} others", sums)]


def _bar_row(bar: Bar, series: Sequence[str], longest: int) -> Html:
    parts = [(_colour(at), name, bar.values[at]) for at, name in enumerate(series) if bar.values[at]]
    values = ", ".join(f"{name} {number:,}" for _, name, number in parts)
    return element(
        "tr",
        element("th", bar.name, scope="row"),
        element("td", _svg(parts, longest, values or "none"), class_="track"),
        element("td", f"{bar.total:,}", class_="number"),
    )


def _svg(parts: Sequence[tuple[str, str, int]], whole: int, label: str) -> Html:
    rects, start = [], 0.0
    for kind, name, number in parts:
        width = 100 * number / whole if whole else 0
        title = element("title", f"{name}: {number:,}")
        rects.append(_rect(kind, start, width, title))
        start += width
    return element("svg", *rects, class_="bar", width="100%", height=_BAR_HEIGHT, role="img", aria_label=label)


def _rect(kind: str, start: float, width: float, title: Html) -> Html:
    place = f'x="{start:.3f}%" width="{width:.3f}%" height="{_BAR_HEIGHT}"'
    return Html(f'<rect class="{kind}" {place}>{title}</rect>')


def _legend(series: Sequence[str], used: Sequence[bool]) -> Html:
    items = [
        element("li", element("span", class_=f"key {_colour(at)}"), name) for at, name in enumerate(series) if used[at]
    ]
    return element("ul", joined(items), class_="legend")


def _colour(at: int) -> str:
    """Return the class of report.css with the colour of a series."""
    return f"s{min(at + 1, _COLOURS)}"
