"""Folders of the course, for every program in this package."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The repository's root."""
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "build"
"""Where programs leave what they make; git ignores it."""
