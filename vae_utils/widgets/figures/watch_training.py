"""Training with a live view of the loss curve and of the same pictures' reconstructions.

The cell is busy until training ends, so that the cells below it get the trained model, in Run All as well. A busy
kernel does not process the button's message, since it handles messages one by one. Training can be stopped in two ways:

- JupyterLab 4.4 and later, with ipykernel 7 and later, sends widgets' messages to a second thread of the kernel (a
  subshell), which runs while the first one trains. There the button sets a flag that `fit` checks.
- Everywhere, Colab included, a kernel can be interrupted, and `fit` then keeps what was learned. The text next to the
  button says so.

Training in a background thread would give the next cells a model that still changes, and reading the button's message
from the kernel's queue would depend on internals of ipykernel that change from version to version.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import torch
from IPython.display import display
from torch import Tensor, nn

from ... import plots
from ...data import Dataset
from ...evaluation import reconstruct
from ...training import History, fit
from ...types import LatentModel
from ..kernel import (
    Frame,
    KernelFigure,
    Sheet,
    at,
    bundle,
    check_model,
    course_style,
    new_figure,
    picture_size,
    row,
    strip,
    test_pictures,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 8  # pictures shown


def watch_training(
    model: LatentModel,
    pictures: Dataset | Tensor,
    *,
    shown: Tensor | None = None,
    steps: int = 800,
    record_every: int = 25,
    **settings: Any,
) -> History:
    """Call `fit` and show the loss and the same pictures' reconstructions every `record_every` steps.

    The model is trained exactly as by `fit` with the same settings. The button or an interrupt of the kernel ends
    training early and keeps what was learned.

    Args:
        model: The model, trained in place.
        pictures: A data set of vae_utils.data, or its training pictures (n, C, H, W).
        shown: Pictures to reconstruct, up to eight; None takes the two that the course follows and the next test
            pictures, or the first training pictures.
        steps: As for `fit`.
        record_every: As for `fit`.
        **settings: Other keywords of `fit`.

    Returns:
        The history of `fit`.

    Raises:
        TypeError: It is not a model, or these are not pictures. Raised before anything is shown.
        ValueError: Model and pictures do not fit. Raised before anything is shown.
    """
    x_train, shown = _chosen(pictures, shown)
    check_model(model, tuple(x_train.shape[1:]))
    if "watch" in settings:
        raise TypeError("watch_training watches by itself: leave `watch` out, or call fit.")
    assert isinstance(model, nn.Module)  # as check_model requires
    window = _Window(model, shown, steps)
    handle = display(window.bundle(), raw=True, display_id=True)
    route_to_subshell(window.button)
    try:
        history = fit(
            model, x_train, steps=steps, record_every=record_every, progress=False, watch=window.update, **settings
        )
    except BaseException as error:
        window.end(f"Training ended with {type(error).__name__}: {error}")
        raise
    window.end()
    if handle is not None:
        handle.update(window.bundle(), raw=True)  # the stored picture is the last one, not the first
    return history


def route_to_subshell(widget: ipywidgets.Widget) -> None:
    """Let the page's messages to this widget reach the thread that the page names, while this one is busy.

    ipykernel 7.4 routes them to the thread that last sent a message to the widget, which is the busy one; this deletes
    its record of that thread. Other versions have no such record, and nothing happens.
    """
    if widget.comm is not None:
        vars(widget.comm).pop("_reply_subshell_id", None)


def _chosen(pictures: Dataset | Tensor, shown: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the training pictures, and those to show."""
    x_train = pictures.train.x if isinstance(pictures, Dataset) else pictures
    test_pictures(x_train)  # raises if these are not pictures
    if shown is None:
        shown = x_train[:MOST]
        if isinstance(pictures, Dataset):
            x = pictures.test.x
            others = [i for i in range(min(len(x), MOST + 2)) if i not in pictures.followed]
            shown = x[[*pictures.followed, *others][:MOST]]
    shown = test_pictures(shown)
    if shown.shape[1:] != x_train.shape[1:]:
        raise ValueError(
            f"The pictures to show are {tuple(shown.shape[1:])}, but those to train on {tuple(x_train.shape[1:])}."
        )
    return x_train, shown[:MOST]


class _Window:
    """The figure, its button and the state of training."""

    def __init__(self, model: LatentModel, shown: Tensor, steps: int):
        self.model, self.shown, self.steps = model, shown, steps
        self.history, self.ending = History(), ""
        self.stop = threading.Event()
        self.button = ipywidgets.Button(description="Stop", tooltip="Stop training and keep what was learned")
        self.button.on_click(lambda _: self.stop.set())
        hint = ipywidgets.HTML("keeps what was learned. No answer? Interrupt the kernel (■) instead: it keeps it, too.")
        self.sheet, self.parts = _figure(shown, steps)
        self.figure = KernelFigure([], self.frame, row(self.button, hint))

    def bundle(self) -> dict[str, Any]:
        """Return the output's MIME bundle."""
        alt, text = self.figure.frame.alt, self.figure.frame.text
        note = "This is how training went. To watch it, run this cell."
        return bundle(self.figure.box, self.figure.static(), f"[Figure: {alt}]\n{text}", note)

    def update(self, history: History) -> bool:
        """Show the history so far; return True to stop training."""
        self.history = history
        self.figure.redraw()
        return self.stop.is_set()

    def end(self, message: str = "") -> None:
        """Show how training ended and disable the button."""
        done = self.history.step[-1] if self.history.step else 0
        self.ending = message or ("Done." if done == self.steps else "Stopped; the model keeps what it has learned.")
        self.button.disabled = True
        self.figure.redraw()

    def frame(self) -> Frame:
        """Render the loss curve and the present reconstructions."""
        with torch.no_grad():
            back = reconstruct(self.model, self.shown)
        self.sheet.paste(
            {ax: picture for ax, picture in zip(self.parts["real"], self.shown, strict=True)}
            | {ax: picture for ax, picture in zip(self.parts["back"], back, strict=True)}
        )
        step, loss = self.history.step, self.history.terms.get("loss", [])
        if step:
            _fit_axis(self.sheet, self.parts["axis"], loss)
            self.parts["curve"].set_data(step, loss)
            self.parts["now"].set_data(step[-1:], loss[-1:])
        others = [f"{name} {values[-1]:.1f}" for name, values in self.history.terms.items() if name != "loss"]
        state = f"Step {step[-1]:,} of {self.steps:,}: loss {loss[-1]:.2f}" if step else "Not trained yet"
        error = (back - self.shown).square().flatten(1).sum(1).mean().item()
        text = f"{state}{' (' + ', '.join(others) + ')' if others else ''}. {self.ending}".strip()
        alt = (
            f"The loss against training steps{f', from {loss[0]:.1f} to {loss[-1]:.1f}' if step else ', still empty'}; "
            f"{len(back)} pictures, and what the model makes of them now: squared error {error:.1f} a picture."
        )
        return Frame(self.sheet.image(), alt, f"{text}\nThese pictures come back with a squared error of {error:.2f}.")


def _figure(shown: Tensor, steps: int) -> tuple[Sheet, dict[str, Any]]:
    with course_style():
        shape = shown.shape[1:]
        width, height = picture_size(shape, 0.66)
        figure = new_figure(4.4 + len(shown) * (width + 0.06), max(2 * height + 0.4, 2.2), "none")
        tall = figure.get_size_inches()[1]
        middle = (tall - 2 * height - 0.12) / 2
        real = strip(figure, 4.3, middle + height + 0.12, shape, 0.66, len(shown), "picture")
        back = strip(figure, 4.3, middle, shape, 0.66, len(shown), "comes back")
        ax = at(figure, 0.75, 0.5, 2.4, tall - 0.65)
        ax.set(xlim=(0, steps), xlabel="training steps", ylabel="loss", ylim=(0, 1), yticks=[])
        parts = {
            "curve": ax.plot([], [], color=plots.GREEN)[0],
            "now": ax.plot([], [], "o", color=plots.GREEN, clip_on=False)[0],
        }
        sheet = Sheet(figure, list(parts.values()))
        return sheet, parts | {"axis": ax, "real": real, "back": back}


def _fit_axis(sheet: Sheet, ax: Axes, loss: list[float]) -> None:
    """Set the loss axis to hold the curve, with room below it, so that the axis seldom changes."""
    low, high = ax.get_ylim()
    lowest, highest = min(loss), max(loss)
    if ax.get_yticks().size and low <= lowest and highest <= high:
        return
    room = max(highest - lowest, 0.3 * abs(highest), 1e-6)
    low = lowest - 0.5 * room
    if lowest >= 0:
        low = max(low, 0)
    with course_style():
        ax.set_ylim(low, highest + 0.05 * room)
        bottom, top = ax.get_ylim()
        ax.set_yticks(np.linspace(bottom, top, 4)[:-1].round(-int(np.floor(np.log10(room))) + 1))
        sheet.refresh()
