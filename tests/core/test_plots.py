"""Figures of records show each figure in the row and place that the docstrings say."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
import torch

from vae_utils import plots


def test_dots_stand_in_the_row_of_their_name_each_seed_a_little_lower() -> None:
    ax = plt.figure().gca()
    plots.dots(ax, {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([5.0])}, plots.BLUE)
    first, second = (dots.get_offsets() for dots in ax.collections)
    assert first[:, 0].tolist() == [1, 2] and -0.5 < first[0, 1] < first[1, 1] < 0.5
    assert second[0, 0] == 5 and abs(second[0, 1] - 1) < 0.5
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    plt.close("all")


def test_dots_by_way_have_a_row_a_way_and_a_color_a_data_set() -> None:
    ax = plt.figure().gca()
    plots.dots_by_way(ax, {"one": {"x": [1.0, 2.0], "y": [3.0]}, "two": {"x": [4.0], "y": [50.0]}}, "nats")
    lines = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_xdata().tolist() for line in lines] == [[1, 2], [3], [4], [50]]
    assert [round(line.get_ydata()[0]) for line in lines] == [0, 0, 1, 1]
    assert lines[0].get_color() == lines[2].get_color() != lines[1].get_color()
    plt.close("all")


@pytest.mark.parametrize("log", ["", "xy"])
def test_curves_and_their_measured_dots_share_a_color(log: str) -> None:
    ax = plt.figure().gca()
    line = (torch.tensor([1.0, 10.0]), torch.tensor([2.0, 3.0]))
    plots.curves(ax, {"a": line, "b": line}, {"a": line, "b": line}, legend=True, log=log)
    assert [shown.get_color() for shown in ax.lines][::2] == [shown.get_color() for shown in ax.lines][1::2]
    assert ax.get_xscale() == ax.get_yscale() == ("log" if log else "linear")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    plt.close("all")
