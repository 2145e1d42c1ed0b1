"""The catalogue of known mistakes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vae_utils import exercises, mistakes


def test_a_mistake_is_found_by_its_name_and_explains_itself():
    found = mistakes.get("gaussian_kl/no-half")
    assert found.slug == "no-half" and found.why.startswith("Exactly twice the KL") and "\n" not in found.why
    assert found.function.__name__ == "no_half"
    assert exercises.gaussian_kl.mistake("no-half") is found


def test_names_are_those_of_all_exercises():
    names = mistakes.names()
    assert len(names) == len(set(names)) >= 241
    assert {name.split("/")[0] for name in names} == set(exercises.NAMES)
    assert all(mistakes.get(name).slug == name.split("/")[1] for name in names)


@pytest.mark.parametrize(("name", "says"), [("gaussian_kl/nothing", "it has no-half"), ("kl/no-half", "there are")])
def test_an_unknown_name_is_answered_by_those_there_are(name, says):
    with pytest.raises(KeyError, match=says):
        mistakes.get(name)


def test_importing_the_catalogue_imports_no_torch():
    code = "import sys; from vae_utils import mistakes; print('torch' in sys.modules, len(mistakes.EXERCISES) > 9)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False", "True"]
