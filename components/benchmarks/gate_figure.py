"""The picture of the gate's benchmark."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

if TYPE_CHECKING:
    from components.benchmarks.gate import GateBenchmark, YearlyRate

BLUE, GREY, RED = "#1f6feb", "#9aa5b1", "#cf222e"
STYLES = ("-", "--")
BUDGET = 0.05
LOWEST = 0.0003  # of the logarithmic axis
TICKS = (0.001, 0.01, 0.1, 1.0)


def draw(result: GateBenchmark) -> Figure:
    """Share of years with a false promotion by night; power by true gain."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    nights, gains = figure.subplots(1, 2)
    _draw_years(nights, result)
    _draw_power(gains, result)
    for axis in (nights, gains):
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(x=0)
        axis.grid(axis="y", color=GREY, alpha=0.3, linewidth=0.6)
    return figure


def _draw_years(axis: Axes, result: GateBenchmark) -> None:
    groups = ((result.at_five_percent_every_night, GREY), (result.scenarios, BLUE))
    for scenarios, colour in groups:
        for scenario, style in zip(scenarios, STYLES, strict=True):
            label = f"{_level(scenario, result.nights)}, {scenario.name}"
            shares = [share or math.nan for share in scenario.by_night]  # 0 has no logarithm
            axis.plot(_nights(scenario, result), shares, style, color=colour, label=label)
    axis.axhline(BUDGET, color=RED, linewidth=1)
    label = f"{100 * BUDGET:g} % of the years "
    axis.text(result.nights, BUDGET * 0.9, label, color=RED, ha="right", va="top", fontsize=9)
    axis.set_xlim(0, result.nights)
    axis.set_yscale("log")
    axis.set_ylim(LOWEST, 1)
    axis.set_yticks(TICKS, [f"{100 * tick:g} %" for tick in TICKS])
    axis.set_xlabel("night")
    axis.set_title("years with a false promotion by that night")
    axis.legend(frameon=False, fontsize=9, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.15))


def _nights(scenario: YearlyRate, result: GateBenchmark) -> list[float]:
    last = len(scenario.by_night) - 1
    return [result.nights * step / last for step in range(last + 1)]


def _level(scenario: YearlyRate, nights: int) -> str:
    whole = scenario.level * nights
    return f"{scenario.level:g} a night" if whole > 1 else f"{whole:.2g} / {nights} a night"


def _draw_power(axis: Axes, result: GateBenchmark) -> None:
    points = [100 * gain for gain in result.curve.gains]
    curves = {
        "against a new champion": (result.curve.fresh, result.power),
        "against the champion after a year": (result.curve.after_a_year, result.power_after_a_year),
    }
    for (label, (values, stated)), style in zip(curves.items(), STYLES, strict=True):
        axis.plot(points, values, style, color=BLUE, label=label)
        axis.plot([100 * float(gain) for gain in stated], list(stated.values()), "o", color=BLUE)
    axis.set_ylim(0, 1.02)
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axis.set_xlabel("true gain in accuracy, points")
    axis.set_title("candidates with that gain that are promoted")
    axis.legend(frameon=False, fontsize=9, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.15))
