"""A figure that asks Python for each new picture: controls, a matplotlib figure, and a text that follows.

Uses only what ipywidgets 7.7 and 8 share. The picture is an `HTML` widget, not an `Image` widget: the latter has no
alternative text.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
from IPython.display import display

from .figure import as_address

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VIEW = "application/vnd.jupyter.widget-view+json"
NOTE = "This figure needs a running kernel: run this cell to move it."
LOST = "The kernel has stopped. This is the last picture that it drew: start the kernel again and run this cell."
DPI = 125  # of a picture; the page shows 100 of its pixels an inch
INK = "var(--jp-ui-font-color1, inherit)"  # color of texts, on JupyterLab's light and dark pages and elsewhere
NO_PIXELS = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
# Runs in the page once `NO_PIXELS` is loaded: sliders get names and values for screen readers, which ipywidgets leaves
# out, and the text is announced. ipywidgets adds and changes parts one by one, hence the observer.
SCRIPT = """
const start = this;
let tries = 0;
(function begin() {
  const box = start.closest('.vae-figure');
  if (!box) { if (tries++ < 200) setTimeout(begin, 50); return; }
  function describe() {
    for (const slider of box.querySelectorAll('.widget-slider')) {
      const name = slider.querySelector('.widget-label');
      const handle = slider.querySelector('.noUi-handle, .ui-slider-handle');
      const value = slider.querySelector('.widget-readout');
      if (!name || !handle || !value) continue;
      handle.setAttribute('aria-label', name.textContent);
      handle.setAttribute('aria-valuetext', value.textContent);
      value.setAttribute('aria-label', name.textContent + ', as text');
      if (value.isContentEditable) value.setAttribute('role', 'textbox');
    }
    for (const part of box.querySelectorAll('.vae-readout .widget-html-content')) part.setAttribute('role', 'status');
  }
  describe();
  new MutationObserver(describe).observe(box, {childList: true, subtree: true});
})();
"""


class KernelFigure:
    """Controls, a figure that follows them, and a text that says what is shown.

    Args:
        figure: A matplotlib figure that no notebook shows by itself, made by `new_figure`.
        controls: What the reader moves; `render` is called when the `value` of one changes.
        render: (the controls' values) -> (alternative text, text), having changed the figure. It is called once here,
            so errors surface at once. Later, an error's message replaces the text, and the picture stays.
        layout: The controls as they are laid out; None puts them in rows.
    """

    def __init__(
        self,
        figure: Figure,
        controls: Sequence[ipywidgets.Widget],
        render: Callable[..., tuple[str, str]],
        layout: ipywidgets.Widget | None = None,
    ):
        self.figure, self.controls, self.render = figure, tuple(controls), render
        self.picture, self.readout = ipywidgets.HTML(), ipywidgets.HTML()
        for part in (self.picture, self.readout):
            part.layout.max_width = "100%"
        self.readout.add_class("vae-readout")
        self._show(*render(*self.values()))
        figure.set_layout_engine("none")  # from now on, everything keeps its place
        for control in self.controls:
            control.observe(lambda _: self.redraw(), names="value")
        layout = layout if layout is not None else row(*self.controls)
        self.box = ipywidgets.VBox([layout, self.picture, self.readout, _description()])
        self.box.add_class("vae-figure")

    def values(self) -> tuple:
        """Return the controls' values, in order."""
        return tuple(control.value for control in self.controls)

    def redraw(self) -> None:
        """Render the present values."""
        try:
            self._show(*self.render(*self.values()))
        except Exception as error:  # the reader must learn why the picture no longer moves
            self.readout.value = readout_html(f"This could not be drawn: {error}")

    def _show(self, alt: str, text: str) -> None:
        self.alt, self.text = alt, text
        self.picture.value, self.readout.value = picture_html(self.figure, alt), readout_html(text)

    def bundle(self, note: str = NOTE) -> dict[str, Any]:
        """Return the MIME bundle of the present state, for `display(..., raw=True)`.

        With a running kernel, the page shows the widget. Without one (a notebook just opened, GitHub, an exported page)
        it shows the picture with `note` below it, or a text if it shows no HTML.
        """
        picture = picture_html(self.figure, self.alt, small=True)
        return {
            VIEW: {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id},
            "text/html": f'{picture}{readout_html(self.text)}\n<p style="margin: 4px 0"><em>{escape(note)}</em></p>',
            "text/plain": f"[Figure: {self.alt}]\n{self.text}",
        }

    def _ipython_display_(self) -> None:
        display(self.bundle(), raw=True)


def picture_html(figure: Figure, alt: str, small: bool = False) -> str:
    """Return a figure as an <img> on white that holds its bytes; `small` reduces it to 256 colors."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    if small:
        image = image.quantize(256, dither=Image.Dither.NONE)
    encoded = io.BytesIO()
    image.save(encoded, "PNG", compress_level=9 if small else 1)
    return (
        f'<img src="{as_address(encoded.getvalue(), "image/png")}" alt="{escape(alt)}" '
        f'width="{round(100 * figure.get_figwidth())}" '
        'style="max-width: 100%; height: auto; display: block; background: white">'
    )


def readout_html(text: str) -> str:
    """Return `text` as HTML, line by line, legible on light and dark pages."""
    lines = "\n".join(f"<div>{escape(line)}</div>" for line in text.splitlines())
    return f'<div style="line-height: 1.45; color: {INK}">{lines}</div>'


def _description() -> ipywidgets.HTML:
    """Return a part that runs `SCRIPT`, and a line that appears when the page has lost its kernel."""
    style = (
        "<style>.vae-lost {display: none} .jupyter-widgets-disconnected .vae-lost, "
        f".jupyter-widgets-disconnected.vae-lost {{display: block; font-weight: bold; color: {INK}}}</style>"
    )
    script = f'<img src="{NO_PIXELS}" alt="" hidden onload="{escape(" ".join(SCRIPT.split()))}">'
    part = ipywidgets.HTML(f'{style}<div class="vae-lost">{escape(LOST)}</div>{script}')
    part.add_class("vae-readout")
    return part


def slider(name: str, low: float, high: float, value: float, step: float) -> ipywidgets.FloatSlider:
    """Return a slider for a number, labeled with its name, that reports every value it passes."""
    return ipywidgets.FloatSlider(
        value=value,
        min=low,
        max=high,
        step=step,
        description=name,
        continuous_update=True,
        readout_format=".2f",
        style={"description_width": "initial"},
        layout={"width": "225px", "max_width": "100%"},
    )


def row(*controls: ipywidgets.Widget) -> ipywidgets.Box:
    """Return controls side by side; they wrap on a narrow page."""
    return ipywidgets.HBox(controls, layout={"flex_flow": "row wrap", "align_items": "center"})


@contextmanager
def new_figure(width: float, height: float) -> Iterator[Figure]:
    """Make an empty figure of this size in inches (100 pixels of the page each) that no notebook shows by itself.

    Within the block the course's style holds, whatever the notebook has set; the notebook's is restored afterwards.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from ..plots import use_style

    with mpl.rc_context():
        use_style()
        yield Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")
