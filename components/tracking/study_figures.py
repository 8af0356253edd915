"""Pictures of a study, and one page on which a person can point at every trial."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from components.tuning.space import Distribution, short
from components.tuning.study import Study
from components.tuning.trial import Trial

BLUE, GREY = "#1f6feb", "#9aa5b1"
MAP = "viridis"


def trial_curves(study: Study, trials: Sequence[Trial]) -> Figure:
    """The metric of every trial after each epoch, against the study's clock in seconds."""
    figure, axis = _panel(study.metric.replace("_", " "), "seconds since the start")
    colours = _colours(len(trials))
    for trial, colour in zip(trials, colours, strict=True):
        axis.plot(trial.times, trial.curve, color=colour, marker="o", markersize=2.5, linewidth=0.9)
    axis.set_title(f"{study.name}: every trial, {study.scheduler}")
    return figure


def incumbent(study: Study, trials: Sequence[Trial]) -> Figure:
    """The best value so far, against the study's clock in seconds."""
    figure, axis = _panel(f"best {study.metric.replace('_', ' ')}", "seconds since the start")
    times, values = incumbent_steps(study, trials)
    axis.step(times, values, where="post", color=BLUE)
    axis.set_title(f"{study.name}: the best so far")
    return figure


def incumbent_steps(study: Study, trials: Sequence[Trial]) -> tuple[list[float], list[float]]:
    """Clock and value of each epoch that was better than all before, and the study's end."""
    epochs = sorted((at, value) for t in trials for at, value in zip(t.times, t.curve, strict=True))
    times, values = list[float](), list[float]()
    for at, value in epochs:
        if not values or study.sign * value > study.sign * values[-1]:
            times.append(at)
            values.append(value)
    if epochs:
        times.append(epochs[-1][0])
        values.append(values[-1])
    return times, values


def importance_bars(shares: dict[str, float]) -> Figure:
    """How much of the metric's variance each field explains."""
    figure = Figure(figsize=(6.5, 1.2 + 0.4 * len(shares)), layout="constrained")
    axis = figure.subplots()
    names = list(reversed(shares))
    axis.barh(names, [shares[name] for name in names], color=BLUE)
    axis.set_xlabel("share of the variance explained")
    axis.set_xlim(0, 1)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def parallel_coordinates(study: Study, trials: Sequence[Trial]) -> Figure:
    """A line for each trial through its values, coloured by its best epoch."""
    scored = _ranked(study, trials)
    fields = sorted(study.space.fields.items())
    figure = Figure(figsize=(2.2 * (len(fields) + 1) + 1.5, 4), layout="constrained")
    axis = figure.subplots()
    best = np.array([study.best_value(trial) for trial in scored])
    low, high = float(best.min()), float(best.max())
    places = [
        [_place(distribution, trial.config[name]) for name, distribution in fields]
        + [(value - low) / ((high - low) or 1.0)]
        for trial, value in zip(scored, best, strict=True)
    ]
    shades = [row[-1] if study.mode == "max" else 1 - row[-1] for row in places]
    for row, shade in zip(places, shades, strict=True):
        axis.plot(range(len(row)), row, color=_map(shade), linewidth=1.1, alpha=0.8)
    axis.set_xticks(range(len(fields) + 1), [name for name, _ in fields] + [f"best {study.metric}"])
    axis.set_yticks([])
    ends = [_ends(distribution) for _, distribution in fields] + [(f"{low:.4g}", f"{high:.4g}")]
    for place, (bottom, top) in enumerate(ends):
        axis.axvline(place, color=GREY, linewidth=0.8)
        axis.text(place, -0.03, bottom, ha="center", va="top", fontsize=8)
        axis.text(place, 1.03, top, ha="center", va="bottom", fontsize=8)
    axis.set_ylim(-0.12, 1.12)
    axis.spines[:].set_visible(False)
    return figure


def study_page(study: Study, trials: Sequence[Trial]) -> str:
    """One HTML page that needs no network: curves, incumbent and parallel coordinates."""
    scored = _ranked(study, trials)
    title = f"{study.name}: {len(trials)} trials, {study.searcher}, {study.scheduler}"
    curves = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.05
    )
    colours = [f"rgb({r:.0f},{g:.0f},{b:.0f})" for r, g, b in _rgb(len(scored))]
    for trial, colour in zip(scored, colours, strict=True):
        words = ", ".join(f"{name} {short(value)}" for name, value in trial.config.items())
        curves.add_trace(
            go.Scatter(
                x=trial.times,
                y=trial.curve,
                mode="lines+markers",
                line={"color": colour, "width": 1.2},
                marker={"size": 4},
                name=f"trial {trial.number}",
                text=[f"epoch {epoch}" for epoch in range(1, len(trial.curve) + 1)],
                hovertemplate=f"trial {trial.number}, %{{text}}<br>%{{y:.5g}}<br>{words}"
                f"<br>{trial.status}<extra></extra>",
            ),
            row=1,
            col=1,
        )
    times, values = incumbent_steps(study, trials)
    best = go.Scatter(x=times, y=values, mode="lines", line={"shape": "hv", "color": BLUE})
    curves.add_trace(best, row=2, col=1)
    curves.update_layout(title=title, showlegend=False, template="plotly_white", height=760)
    curves.update_yaxes(title_text=study.metric, row=1, col=1)
    curves.update_yaxes(title_text="best so far", row=2, col=1)
    curves.update_xaxes(title_text="seconds since the start", row=2, col=1)
    lines = _interactive_parallel(study, scored)
    parts = [
        curves.to_html(full_html=False, include_plotlyjs=True),
        lines.to_html(full_html=False, include_plotlyjs=False),
    ]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>{study.name}</title></head><body>{''.join(parts)}</body></html>"
    )


def _interactive_parallel(study: Study, scored: Sequence[Trial]) -> go.Figure:
    values = [study.best_value(trial) for trial in scored]
    dimensions = []
    for name, distribution in sorted(study.space.fields.items()):
        places = [_place(distribution, trial.config[name]) for trial in scored]
        marks = _marks(distribution)
        dimensions.append(
            {
                "label": name,
                "values": places,
                "range": [0, 1],
                "tickvals": [place for place, _ in marks],
                "ticktext": [word for _, word in marks],
            }
        )
    dimensions.append({"label": f"best {study.metric}", "values": values})
    line = {
        "color": values,
        "colorscale": "Viridis",
        "reversescale": study.mode == "min",
        "showscale": True,
    }
    figure = go.Figure(go.Parcoords(line=line, dimensions=dimensions))
    figure.update_layout(template="plotly_white", height=460)
    return figure


def _ranked(study: Study, trials: Sequence[Trial]) -> list[Trial]:
    """Those with a result, the best last, so that it is drawn on top."""
    scored = [trial for trial in trials if trial.curve]
    return sorted(scored, key=lambda trial: study.best_score(trial))


def _place(distribution: Distribution, value: object) -> float:
    """Where a value lies between the ends of its axis, in [0, 1]."""
    if distribution.distribution == "choice":
        last = max(1, len(distribution.values) - 1)
        return distribution.values.index(value) / last
    low, high = distribution.bounds
    assert isinstance(value, int | float)
    if distribution.logarithmic:
        return float(np.log(value / low) / np.log(high / low))
    return (value - low) / (high - low)


def _marks(distribution: Distribution) -> list[tuple[float, str]]:
    return [(_place(distribution, value), short(value)) for value in distribution.grid()]


def _ends(distribution: Distribution) -> tuple[str, str]:
    marks = _marks(distribution)
    return marks[0][1], marks[-1][1]


def _map(share: float) -> tuple[float, float, float, float]:
    from matplotlib import colormaps

    colour = colormaps[MAP](share)
    return colour[0], colour[1], colour[2], colour[3]


def _colours(count: int) -> list[tuple[float, float, float, float]]:
    return [_map(index / max(1, count - 1)) for index in range(count)]


def _rgb(count: int) -> list[tuple[float, float, float]]:
    return [(255 * r, 255 * g, 255 * b) for r, g, b, _ in _colours(count)]


def _panel(ylabel: str, xlabel: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axis = figure.subplots()
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis
