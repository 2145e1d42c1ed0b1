"""The package that the notebooks share. Importing it imports neither torch nor matplotlib; its modules do."""

from .claims import ClaimFailed, claim
from .runtime import setup

__all__ = ["ClaimFailed", "__version__", "claim", "setup"]
__version__ = "0.2.0"  # the one place: pyproject.toml reads it from here
