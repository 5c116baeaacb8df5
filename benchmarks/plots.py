"""The figures of docs/benchmarks.md, drawn from the tables alone."""

# matplotlib's types leave **kwargs open:
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from tables import Cell, Table

OURS, THEIRS = "tab:blue", "tab:gray"


def numbers(cells: tuple[Cell, ...]) -> list[float]:
    """The cells that are numbers."""
    return [float(cell) for cell in cells if isinstance(cell, (int, float))]


def colour(name: Cell) -> str:
    """Blue for what metann does."""
    words = ("metann", "Learner", "substitute", "bind")
    return OURS if any(word in str(name) for word in words) else THEIRS


def save(figure: Figure, out: Path) -> None:
    """Write a figure, as small as it may be."""
    out.parent.mkdir(parents=True, exist_ok=True)
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib leaves its methods without types.
    canvas.draw()
    pixels = Image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba()))
    pixels.convert("RGB").quantize(32).save(out, optimize=True)


def draw_bars(axes: Axes, table: Table, column: int) -> None:
    """A bar for each row, the first on top, with its number beside it."""
    rows = [row for row in table.rows if isinstance(row.cells[column], (int, float))]
    names = [str(row.cells[0]) for row in rows][::-1]
    (values,) = [[numbers((row.cells[column],))[0] for row in rows][::-1]]
    bars = axes.barh(names, values, color=[colour(name) for name in names])
    labels = [f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" for value in values]
    axes.bar_label(bars, labels, padding=3, fontsize=8)
    axes.set_xmargin(0.15)
    axes.set_title(table.title, fontsize=8)
    axes.tick_params(labelsize=8)


def draw_overhead(tables: tuple[Table, ...], out: Path) -> None:
    """The ratios to the plain call, a panel for each net."""
    figure = Figure(figsize=(7.5, 1.6 * len(tables)), layout="constrained", dpi=90)
    panels: list[Axes] = list(figure.subplots(len(tables), 1, squeeze=False)[:, 0])
    for axes, table in zip(panels, tables, strict=True):
        draw_bars(axes, table, 2)
        axes.axvline(1, color="black", linewidth=0.8, linestyle=":")
    panels[-1].set_xlabel("time, the plain call = 1", fontsize=8)
    save(figure, out)


def draw_meta_step(tables: tuple[Table, ...], out: Path) -> None:
    """Milliseconds a meta-step on one thread, a panel for each problem."""
    shown = tables_on_one_thread(tables)
    figure = Figure(figsize=(9, 1.6 * len(shown)), layout="constrained", dpi=72)
    panels: list[Axes] = list(figure.subplots(len(shown), 1, squeeze=False)[:, 0])
    for axes, table in zip(panels, shown, strict=True):
        draw_bars(axes, table, 1)
    panels[-1].set_xlabel("milliseconds a meta-step, 1 thread", fontsize=8)
    save(figure, out)


def tables_on_one_thread(tables: tuple[Table, ...]) -> list[Table]:
    """Those that were not taken on more, or all if there are no others."""
    return [table for table in tables if table.note.startswith("1 thread")] or [*tables]


def draw_memory(table: Table, out: Path) -> None:
    """The peaks over the numbers of inner steps."""
    figure = Figure(figsize=(7, 4), layout="constrained", dpi=90)
    axes: Axes = figure.subplots()
    steps = [int(name.split()[0]) for name in table.columns[1:] if name.split()[-1][:4] == "step"]
    for row in table.rows:
        peaks = numbers(row.cells[1 : 1 + len(steps)])
        style = "o-" if colour(row.cells[0]) == OURS else "x--"
        if peaks:
            axes.plot(steps, peaks, style, label=str(row.cells[0]))
    axes.set(xlabel="inner steps", ylabel="MB at the peak", xticks=steps, ylim=(0, None))
    axes.set_title(table.title, fontsize=10)
    axes.legend(fontsize=8)
    save(figure, out)
