"""Sentences that a cell checks."""

import os


class ClaimFailed(AssertionError):
    """A claim does not hold, and VAE_STRICT=1 makes that an error."""


def claim(sentence: str, condition: object) -> None:
    """Print the sentence and whether it holds here; go on either way, so that you may change a notebook freely.

    Args:
        sentence: What is claimed.
        condition: A bool, or a tensor or array of one element.

    Raises:
        ClaimFailed: It does not hold and the environment variable VAE_STRICT is 1, as in the course's tests.
    """
    if bool(condition):
        print(f"✓ {sentence}")
        return
    if os.environ.get("VAE_STRICT") == "1":
        raise ClaimFailed(f"This does not hold here: {sentence}")
    print(f"✗ Does not hold here: {sentence}")
