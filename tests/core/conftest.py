"""Setup of the core's tests."""

import pytest


@pytest.fixture(autouse=True)
def as_many_steps_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo VAE_STEPS, which multiplies the steps of a training."""
    monkeypatch.delenv("VAE_STEPS", raising=False)
