"""A live figure as one piece of HTML: a still picture with its alternative text, and a script that takes its place.

It needs no network, no kernel and no widget library. The JavaScript is in js/, as ES modules that `joined` makes one
script of; read decoder.js (how a decoder runs in a page) first, then live.js (what all figures share), then each
figure's file.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .. import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

JS = Path(__file__).parent / "js"
IMPORT = re.compile(r'^import \{[^}]*\} from "([^"]+)";\n', re.MULTILINE)
PALETTE = {name: getattr(plots, name.upper()) for name in ("blue", "orange", "sky", "green", "vermilion")}
HINT = "Run this cell to move it."
_number = count()


@dataclass(frozen=True)
class LiveFigure:
    """An interactive figure, which a notebook shows if it is a cell's last expression.

    Args:
        html: The whole figure.
        text: Its alternative text.
    """

    html: str
    text: str

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": f"[Figure to move: {self.text}]"}


def joined(*modules: str) -> str:
    """Join modules of js/ and all that they import, each once and after what it needs, into one script.

    All modules then share one scope, so no two may use a name at their top level, and none may rename what it imports.
    """
    sources: dict[Path, str] = {}

    def add(path: Path) -> None:
        if path not in sources:
            source = path.read_text(encoding="utf-8")
            for name in IMPORT.findall(source):
                add((path.parent / name).resolve())
            sources[path] = re.sub(r"^export ", "", IMPORT.sub("", source), flags=re.MULTILINE)

    for name in modules:
        add((JS / name).resolve())
    return "\n".join(sources.values())


def live_figure(
    build: str, data: Mapping[str, Any], module: str, still: Figure, alt: str, hint: str = HINT
) -> LiveFigure:
    """Assemble a live figure.

    Args:
        build: The name of the JavaScript function build(root, data, state) that makes the figure.
        data: Its second argument, fit for JSON.
        module: The file of js/ that exports it.
        still: The matplotlib figure that is shown until the script has run; it is closed here.
        alt: The alternative text of `still`.
        hint: A line below it.
    """
    import matplotlib.pyplot as plt
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    still.savefig(drawn, format="png", dpi=150)
    plt.close(still)
    image = Image.open(drawn).convert("RGB")
    image.quantize(128, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    width = round(image.width / 1.5)  # shown at 100 dots per inch
    code = joined(module)
    style = (JS / "live.css").read_text(encoding="utf-8")
    colors = ["currentColor" if color == plots.INK else color for color in plots.CLASSES]
    payload = as_script({**data, "colors": colors, "palette": PALETTE})
    mark = hashlib.sha256(f"{next(_number)} {payload}".encode()).hexdigest()[:12]  # equal in every run of a notebook
    html = (
        f'<div data-live="{mark}"><div class="vae-live-still">'
        f'<img src="{as_address(small.getvalue(), "image/png")}" alt="{escape(alt)}" width="{width}" '
        f'style="max-width: 100%; height: auto; background: white"><p>{escape(hint)}</p></div></div>\n'
        f'<script>\n(() => {{\n"use strict";\n{code}\nstart("{mark}", {build}, {payload}, {as_script(style)});\n'
        "})();\n</script>"
    )
    return LiveFigure(html, alt)


def as_script(value: object) -> str:
    """Return a value as JavaScript that is safe inside HTML."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/").replace("<!--", "<\\!--")


def as_address(data: bytes, kind: str = "application/octet-stream") -> str:
    """Return bytes as a data: URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def as_data(values: NDArray[Any] | Tensor) -> str:
    """Return an array's little-endian bytes as a data: URL; tensors become float32."""
    array = values.detach().cpu().float().numpy() if isinstance(values, Tensor) else values
    return as_address(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).tobytes())
