"""The check-up, `python -m vae_utils`: versions, device, data sets, and what is wrong."""

import importlib
import os
import platform
import re
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version

from . import __version__

SHOWN = ("torch", "torchvision", "numpy", "matplotlib", "ipywidgets", "jupyterlab")
NEEDED = (*SHOWN[:-1], "pillow", "scikit-learn", "safetensors", "tqdm", "filelock")


def check_packages(wrong: list[str]) -> None:
    """Print the versions that the packages' metadata name, and add a message for each missing package."""
    print(f"  {'Python':12} {platform.python_version()}\n  {'vae_utils':12} {__version__}")
    for name in (*SHOWN, *NEEDED[len(SHOWN) - 1 :]):
        try:
            print(f"  {name:12} {version(name)}")
        except PackageNotFoundError:
            print(f"  {name:12} missing: pip install {name}")
            if name in NEEDED:
                wrong.append(f"{name} is missing: install it with pip install {name}.")


def check_import(name: str, wrong: list[str]) -> bool:
    """Return whether torch or torchvision can be imported. If it is there and can't be, add a message why."""
    try:
        version(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(name)
    except PackageNotFoundError:  # `check_packages` has reported it
        return False
    except Exception as error:  # a damaged build may raise anything
        reason = re.sub(r"[^\s'\"]*[/\\]", "", str(error)).strip().split("\n")[0]  # without folders
        advice = "install it anew"
        if "torchvision::" in reason:
            reason = "it was built for another torch"
            advice = "install both as a pair, with one command, pip install --upgrade torch torchvision"
        wrong.append(f"{name} can't be imported ({reason or type(error).__name__}): {advice}.")
        return False
    return True


def check_device() -> None:
    """Print the device that the course will compute on, and the free memory."""
    import torch

    from .runtime import best_device

    device = {"cpu": f"CPU, {torch.get_num_threads()} threads", "mps": "Apple GPU (MPS)"}
    kind = best_device().type
    print(f"  {'device':12} {device.get(kind) or torch.cuda.get_device_name()}")
    try:
        import psutil
    except ImportError:
        return
    print(f"  {'free memory':12} {psutil.virtual_memory().available / 2**30:.1f} GB")


def check_data(wrong: list[str]) -> None:
    """Print which data sets are here. Add a message for each that comes with the course and can't be read."""
    from . import data
    from .data.files import data_root

    for name in data.names("shipped"):
        try:
            data.load(name)
            print(f"  {name:14} found in {data.where(name)}")
        except (data.DataError, ImportError) as error:
            print(f"  {name:14} can't be read")
            wrong.append(f"{name}: {error}")
    for name in data.names("downloaded"):
        if place := data.where(name):
            print(f"  {name:14} found in {place}")
        else:
            print(f"  {name:14} not in {data_root()}: load it once with a network, or set VAE_DATA to a folder with it")


def main() -> int:
    """Print the check-up, and return 0 if the course can run, else 1."""
    wrong: list[str] = []
    print("Installed")
    check_packages(wrong)
    complete = not wrong
    works = check_import("torch", wrong)
    if works:
        check_import("torchvision", wrong)
        check_device()
    print("Data sets")
    if works and complete:
        check_data(wrong)
    else:
        print("  not looked for, because packages are missing or broken")
    print("Environment variables")
    print("\n".join(f"  {k}={v}" for k, v in sorted(os.environ.items()) if k.startswith("VAE_")) or "  none is set")
    print("The course can run." if not wrong else "The course can't run yet:")
    for sentence in wrong:
        print(f"- {sentence}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
