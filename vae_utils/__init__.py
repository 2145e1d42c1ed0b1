"""What the notebooks of the course share. Importing it brings neither torch nor matplotlib; its modules do."""

from .claims import ClaimFailed, claim
from .runtime import setup

__all__ = ["ClaimFailed", "__version__", "claim", "setup"]
__version__ = "0.2.0"
