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
from IPython.display import display
from torch import Tensor, nn

from ... import plots
from ...data import Dataset
from ...evaluation import reconstruct
from ...training import History, fit
from ...types import LatentModel
from ..kernel import KernelFigure, new_figure, row
from ..pictures import check_model, test_pictures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

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
        figure, self.plot, self.back = _figure(shown, steps)
        self.figure = KernelFigure(figure, [], self.render, row(self.button, hint))

    def bundle(self) -> dict[str, Any]:
        """Return the output's MIME bundle."""
        return self.figure.bundle("This is how training went. To watch it, run this cell.")

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

    def render(self) -> tuple[str, str]:
        """Draw the loss curve and the present reconstructions."""
        back = reconstruct(self.model, self.shown)
        for image, picture in zip(self.back, back, strict=True):
            image.set_data(plots.to_image(picture))
        step, loss = self.history.step, self.history.terms.get("loss", [])
        if step:
            self.plot.lines[0].set_data(step, loss)
            self.plot.lines[1].set_data(step[-1:], loss[-1:])
            self.plot.relim()
            self.plot.autoscale_view(scalex=False)
        others = [f"{name} {values[-1]:.1f}" for name, values in self.history.terms.items() if name != "loss"]
        state = f"Step {step[-1]:,} of {self.steps:,}: loss {loss[-1]:.2f}" if step else "Not trained yet"
        error = (back - self.shown).square().flatten(1).sum(1).mean().item()
        text = f"{state}{' (' + ', '.join(others) + ')' if others else ''}. {self.ending}".strip()
        alt = (
            f"The loss against training steps{f', from {loss[0]:.1f} to {loss[-1]:.1f}' if step else ', still empty'}; "
            f"{len(back)} pictures, and what the model makes of them now: squared error {error:.1f} a picture."
        )
        return alt, f"{text}\nThese pictures come back with a squared error of {error:.2f}."


def _figure(shown: Tensor, steps: int) -> tuple[Figure, Axes, list[AxesImage]]:
    with new_figure(4 + 0.7 * len(shown), 2) as figure:
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[3.2, 0.8 + 0.7 * len(shown)])[0]
        plot = left.subplots()
        plot.plot([], [], color=plots.GREEN)
        plot.plot([], [], "o", color=plots.GREEN, clip_on=False)
        plot.set(xlim=(0, steps), xlabel="training steps", ylabel="loss")
        axes = right.subplots(2, len(shown), squeeze=False)
        for name, row_of_axes in zip(("picture", "comes back"), axes, strict=True):
            for ax, picture in zip(row_of_axes, shown, strict=True):
                plots.picture(ax, picture)
            row_of_axes[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8)
        return figure, plot, [ax.images[0] for ax in axes[1]]
