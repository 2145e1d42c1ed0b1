"""Sentences that a cell holds true."""

import os


class ClaimFailed(AssertionError):
    """A claim that does not hold, where VAE_STRICT=1 asks for that to be an error."""


def claim(sentence: str, condition: object) -> None:
    """Print the sentence and whether it holds here; go on either way, so that you may change a notebook freely.

    condition: a truth value (a bool, or a one-element tensor or array).
    Raises ClaimFailed where it does not hold and the environment variable VAE_STRICT is 1, as in the course's tests.
    """
    if bool(condition):
        print(f"✓ {sentence}")
        return
    if os.environ.get("VAE_STRICT") == "1":
        raise ClaimFailed(f"This does not hold here: {sentence}")
    print(f"✗ Does not hold here: {sentence}")
