"""Each notebook runs with another seed, and with another data set, than it is committed with: what it then
shows is as tidy as what is committed, and its claims still hold. And the runner itself tells when something
goes wrong."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from scripts import notebooks as runner
from tests.support import hygiene

OTHER_SEED = {"VAE_SEED": "1"}
OTHER_DATA = {"VAE_DATASET": "mnist"}


@functools.cache
def fresh(path: Path, setting: tuple[tuple[str, str], ...]) -> runner.Execution:
    """A notebook's run with these variables; each is made once."""
    return runner.execute(path, {"VAE_STRICT": "1", **dict(setting)})


@pytest.fixture(params=[OTHER_SEED, OTHER_DATA], ids=["other seed", "other data"])
def execution(notebook: Path, request: pytest.FixtureRequest) -> runner.Execution:
    if request.param == OTHER_DATA:
        if "VAE_DATASET" not in notebook.read_text(encoding="utf-8"):
            pytest.skip("this notebook is about one data set")
        if not (Path(os.environ.get("VAE_DATA", "nowhere")) / "MNIST").is_dir():
            pytest.skip("no MNIST here: set VAE_DATA to a folder that holds it")
    return fresh(notebook, tuple(request.param.items()))


def test_runs_to_the_end(execution: runner.Execution) -> None:
    assert execution.error is None


def test_shows_nothing_untidy(execution: runner.Execution) -> None:
    assert list(hygiene.output_problems(execution.notebook)) == []


def test_claims_hold(execution: runner.Execution) -> None:
    assert execution.claims, "the notebook claims nothing"
    assert [claim for claim in execution.claims if not claim.holds] == []


# The runner, on small made-up notebooks.

CLAIM = """import os
print("✓ sums add up")
print("an ordinary line")
print("✓ seed 2 is" if os.environ["VAE_SEED"] == "2" else "✗ Does not hold here: seed 2 is", "the one")"""


def made_up(folder: Path, *sources: str, name: str = "01_made_up") -> Path:
    """A notebook of code cells that stands in a folder of its own."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.ipynb"
    cells = [new_markdown_cell("# Made up"), *map(new_code_cell, sources)]
    nbformat.write(new_notebook(cells=cells), path)
    return path


def outputs(execution: runner.Execution) -> list[str]:
    """What the cells of a run printed."""
    return [output.text for cell in execution.notebook.cells for output in cell.get("outputs", [])]


def test_execute_reports_what_happened(tmp_path: Path) -> None:
    path = made_up(tmp_path, CLAIM, "block = bytearray(300_000_000)\nblock[::4096] = b'1' * len(block[::4096])")
    before = path.read_bytes()
    seen = []
    result = runner.execute(path, {"VAE_SEED": "3"}, lambda cell, cells: seen.append((cell, cells)))
    assert result.error is None
    assert seen == [(1, 2), (2, 2)]
    assert result.claims == [
        runner.Claim(1, 0, "sums add up", holds=True),
        runner.Claim(1, 1, "seed 2 is the one", holds=False),
    ]
    assert result.peak_mb > 300
    assert [cell.execution_count for cell in result.notebook.cells[1:]] == [1, 2]
    assert path.read_bytes() == before


def test_kernel_is_this_python_in_the_notebooks_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_SEED", "5")
    monkeypatch.setenv("MPLBACKEND", "agg")
    here = f"import os, sys\nfrom pathlib import Path\nassert sys.prefix == {os.sys.prefix!r}"
    path = made_up(
        tmp_path,
        here,
        f"assert Path.cwd() == Path({str(tmp_path.resolve())!r})",
        "assert 'VAE_SEED' not in os.environ and os.environ['MPLBACKEND'] != 'agg'",
    )
    assert runner.execute(path).error is None


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("1 / 0", "cell [2]: ZeroDivisionError: division by zero"),
        ("import os\nos._exit(1)", "cell [2]: the kernel died (out of memory?)"),
    ],
)
def test_failure_is_told_in_one_line(tmp_path: Path, source: str, error: str) -> None:
    assert runner.execute(made_up(tmp_path, "1", source, "2")).error == error


def test_a_cell_that_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CELL_TIMEOUT", 1)
    error = runner.execute(made_up(tmp_path, "while True:\n    pass")).error
    assert error == "cell [1]: took longer than 1 seconds"


def test_run_leaves_copies_pages_and_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(runner, "BUILD", tmp_path / "build")
    bad = made_up(tmp_path / "notebooks", "1 / 0", name="01_bad")
    good = made_up(tmp_path / "notebooks", "print('✓ fine')", name="02_good")
    assert runner.run([bad, good]) == 1
    table = (tmp_path / "build" / "table.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in table] == ["notebook", "01_bad", "02_good"]
    assert table[1].endswith("0 of 0  failed in cell [1]: ZeroDivisionError: division by zero")
    assert table[2].endswith("1 of 1")
    for name in ("01_bad", "02_good"):
        assert nbformat.read(tmp_path / "build" / f"{name}.ipynb", as_version=4).cells[1].execution_count == 1
        assert "<h1" in (tmp_path / "build" / f"{name}.html").read_text(encoding="utf-8")
    assert runner.run([good]) == 0
    assert "02_good" in capsys.readouterr().out


def test_refresh_stores_outputs_and_nothing_else(tmp_path: Path) -> None:
    path = made_up(tmp_path, "import os\nprint('one', flush=True)\nprint(os.environ['VAE_STRICT'])")
    old = nbformat.read(path, as_version=4)
    old.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    old.metadata.kernelspec = {"name": "mine", "display_name": "Mine", "language": "python"}
    old.cells[1].metadata.execution = {"iopub.status.busy": "2026-01-01T00:00:00Z"}
    old.cells[1].metadata.tags = ["kept"]
    nbformat.write(old, path)
    assert runner.refresh([path]) == 0
    new = nbformat.read(path, as_version=4)
    assert [output.text for output in new.cells[1].outputs] == ["one\n1\n"]
    assert new.cells[1].metadata == {"tags": ["kept"]}
    assert [cell.id for cell in new.cells] == [cell.id for cell in old.cells]
    assert new.metadata.kernelspec.name == "python3"
    assert "widgets" not in new.metadata
    assert list(tmp_path.iterdir()) == [path]


def test_refresh_leaves_a_notebook_that_fails(tmp_path: Path) -> None:
    path = made_up(tmp_path, "print(1)", "1 / 0")
    before = path.read_bytes()
    assert runner.refresh([path]) == 1
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made_up(tmp_path, "1")
    before = path.read_bytes()

    def full_disk(notebook: object, target: Path) -> None:
        target.write_text("half")
        raise OSError("no space left")

    monkeypatch.setattr(runner.nbformat, "write", full_disk)
    with pytest.raises(OSError, match="no space left"):
        runner.write_atomically(nbformat.read(path, as_version=4), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_claims_are_counted_over_seeds(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = made_up(tmp_path, CLAIM)
    assert runner.claims([path], [2, 4], None) == 1
    out = capsys.readouterr().out
    assert "2 of 2  cell [1]: sums add up" in out
    assert "1 of 2  cell [1]: seed 2 is the one\n          seed 4: seed 2 is the one" in out
    assert runner.claims([path], [2], None) == 0


def test_claims_that_a_run_did_not_reach_did_not_hold(tmp_path: Path) -> None:
    path = made_up(tmp_path, "import os\nassert os.environ['VAE_SEED'] == '1'", "print('✓ late')")
    runs = {seed: runner.execute(path, {"VAE_SEED": str(seed)}) for seed in (1, 2)}
    text, held = runner.tally(runs)
    assert not held
    assert "1 of 2  cell [2]: late\n          seed 2: not reached" in text
    assert "seed 2 failed in cell [1]: AssertionError" in text


def test_claims_with_another_data_set(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = made_up(tmp_path, "import os\nprint('✓', os.environ['VAE_DATASET'], os.environ['VAE_STRICT'])")
    assert runner.claims([path], [1], "digits") == 0
    assert "1 of 1  cell [1]: digits 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "chosen"),
    [((), ["01_a", "02_b", "02_c"]), (("02",), ["02_b", "02_c"]), (("02_c", "01"), ["01_a", "02_c"])],
)
def test_notebooks_are_chosen_by_the_start_of_their_names(
    tmp_path: Path, names: Sequence[str], chosen: list[str]
) -> None:
    for name in ("02_b", "01_a", "02_c"):
        made_up(tmp_path, name=name)
    assert [path.stem for path in runner.select(names, tmp_path)] == chosen


def test_an_unknown_name_gives_one_sentence(capsys: pytest.CaptureFixture) -> None:
    assert runner.main(["run", "no_such"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("No notebook's name starts with 'no_such'; there are: ")
    assert error.count("\n") == 1
