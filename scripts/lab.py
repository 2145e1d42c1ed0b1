"""Start JupyterLab at the course's first notebook, as `make lab` does; arguments go to JupyterLab."""

from __future__ import annotations

import os
import sys

from scripts.paths import ROOT

FIRST = "notebooks/01_autoencoder.ipynb"
# Turns off news, the search for updates and the question about them, so that JupyterLab uses no network.
SETTINGS = ROOT / "scripts" / "jupyter"


def has_display() -> bool:
    """Return whether a browser can open here: not in CI, and on Linux only if a display or $BROWSER is set."""
    if os.environ.get("CI"):
        return False
    if not sys.platform.startswith("linux"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def can_encrypt_kernels() -> bool:
    """Return whether these versions of Jupyter and ZeroMQ can encrypt the traffic between server and kernels."""
    import zmq
    from jupyter_server.services.kernels.kernelmanager import MappingKernelManager

    return zmq.has("curve") and hasattr(MappingKernelManager, "transport_encryption")


def arguments(given: list[str]) -> list[str]:
    """Return JupyterLab's arguments: the course's own, except those that `given` sets itself, then `given`."""
    ours = {
        "--ServerApp.root_dir": str(ROOT),
        "--LabApp.default_url": f"/lab/tree/{FIRST}",
        # Ctrl-C means stop, without a question.
        "--ServerApp.answer_yes": "True",
        # Warnings, and the address with its token.
        "--log-level": "WARN",
    }
    if can_encrypt_kernels():  # else each kernel warns when it starts
        ours["--MappingKernelManager.transport_encryption"] = "auto"
    named = {argument.split("=")[0] for argument in given}
    result = [f"{name}={value}" for name, value in ours.items() if name not in named]
    if hasattr(os, "geteuid") and os.geteuid() == 0 and "--allow-root" not in named:
        result.append("--allow-root")
    if not has_display() and "--no-browser" not in named:
        result.append("--no-browser")
    return result + given


def main() -> None:
    """Run JupyterLab until it is stopped."""
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # the kernel is this environment's Python
    configured = os.environ.get("JUPYTER_CONFIG_PATH")
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, [str(SETTINGS), configured]))
    started_with = arguments(sys.argv[1:])
    how = "Open the address below in a browser" if "--no-browser" in started_with else "A browser opens"
    print(f"JupyterLab is starting at {FIRST}. {how}; Ctrl-C stops it.", flush=True)
    from jupyterlab.labapp import LabApp

    LabApp.launch_instance(started_with)


if __name__ == "__main__":
    main()
