"""The table that ``summary`` prints, as Keras draws it."""

import shutil
import textwrap
from collections.abc import Callable, Sequence
from typing import Any


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    show_trainable: bool = False,
) -> None:
    """Print names, output shapes and numbers of parameters of a model's layers.

    Parameters
    ----------
    model : Sequential
    line_length : int, default=None
        The table's width; None fits the terminal.
    positions : sequence of float, default=None
        Where columns end, as shares of the width.
    print_fn : callable, default=print
    show_trainable : bool, default=False
    """
    header = ["Layer (type)", "Output Shape", "Param #"]
    positions = list(positions or (0.45, 0.8, 1.0))
    default_length = 88
    if show_trainable:
        default_length += 12
        positions = [p * 0.9 for p in positions] + [1.0]
        header.append("Trainable")
    length = line_length or min(default_length, shutil.get_terminal_size().columns - 4)
    rows = [_cells(layer, show_trainable) for layer in model.layers]
    lines = [f'Model: "{model.name}"', *_table(header, rows, _widths(length, positions)), *_totals(model)]
    (print_fn or print)("\n".join(lines))


def _cells(layer: Any, show_trainable: bool) -> list[str]:
    shape = layer.output_shape_or_none()
    cells = [
        f"{layer.name} ({type(layer).__name__})",
        "?" if shape is None else str(tuple(shape)),
        f"{layer.count_params():,}" if layer.built else "0 (unbuilt)",
    ]
    if show_trainable:
        cells.append(("Y" if layer.trainable else "N") if layer.weights else "-")
    return cells


def _widths(length: int, positions: Sequence[float]) -> list[int]:
    """Columns with their margins; what is too much is taken off all of them alike."""
    ends = [int(position * length) for position in positions]
    widths = [end - start + 2 for start, end in zip([0, *ends], ends)]
    if min(widths) < 6:
        raise ValueError("Insufficient console width to print summary.")
    excess = sum(widths) + len(widths) + 1 - length
    for i in range(len(widths)):
        share = round(excess / (len(widths) - i))
        widths[i] -= share
        excess -= share
    return widths


def _table(header: list[str], rows: list[list[str]], widths: list[int]) -> list[str]:
    def rule(left: str, line: str, middle: str, right: str) -> str:
        return left + middle.join(line * width for width in widths) + right

    def row(cells: list[str], edge: str) -> list[str]:
        wrapped = [
            textwrap.wrap(cell, width - 2, break_long_words=True) or [""]
            for cell, width in zip(cells, widths)
        ]
        height = max(len(lines) for lines in wrapped)
        return [
            edge
            + edge.join(
                f" {lines[i] if i < len(lines) else '':{'>' if column == 2 else '<'}{width - 2}} "
                for column, (lines, width) in enumerate(zip(wrapped, widths))
            )
            + edge
            for i in range(height)
        ]

    lines = [rule("┏", "━", "┳", "┓"), *row(header, "┃"), rule("┡", "━", "╇", "┩")]
    for i, cells in enumerate(rows):
        lines += [*([rule("├", "─", "┼", "┤")] if i else []), *row(cells, "│")]
    return [*lines, rule("└", "─", "┴", "┘")]


def _totals(model: Any) -> list[str]:
    groups = [("Trainable", model.trainable_weights), ("Non-trainable", model.non_trainable_weights)]
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and optimizer.built:
        groups.append(("Optimizer", optimizer.variables))
    everything = [variable for _, variables in groups for variable in variables]
    return [
        f" {name} params: {sum(v.value.size for v in variables):,} "
        f"({_readable(sum(v.value.nbytes for v in variables))})"
        for name, variables in [("Total", everything), *groups]
    ]


def _readable(n_bytes: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if n_bytes < 1024:
            return f"{n_bytes:.2f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.2f} PB"
