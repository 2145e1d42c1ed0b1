"""The notebook runner, on small made-up notebooks: it reports what happened, and never spoils a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from scripts import notebooks as runner

CLAIM = """import os
print("✓ sums add up in", os.environ.get("VAE_DATASET"))
print("an ordinary line")
print("✓ seed 2 is" if os.environ["VAE_SEED"] == "2" else "✗ Does not hold here: seed 2 is", "the one")"""


def made_up(folder: Path, *sources: str, name: str = "01_made_up") -> Path:
    """Write a notebook of code cells."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.ipynb"
    cells = [new_markdown_cell("# Made up"), *map(new_code_cell, sources)]
    nbformat.write(new_notebook(cells=cells), path)
    return path


def another_kernel(folder: Path) -> Path:
    """Install a kernel that is called python3, too, and does not start; return the folder for JUPYTER_PATH."""
    spec = {"argv": ["no-such-python", "{connection_file}"], "display_name": "Another", "language": "python"}
    (folder / "kernels" / "python3").mkdir(parents=True)
    (folder / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    return folder


def test_a_run_tells_what_happened_in_a_kernel_of_this_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_DATASET", "mnist")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("JUPYTER_PATH", str(another_kernel(tmp_path / "jupyter")))
    environment = f"""import os, sys
from pathlib import Path
assert sys.prefix == {sys.prefix!r} and Path.cwd() == Path({str(tmp_path.resolve())!r})
assert "VAE_DATASET" not in os.environ and os.environ["MPLBACKEND"] != "agg\""""
    memory = "block = bytearray(300_000_000)\nblock[::4096] = b'1' * len(block[::4096])"
    path = made_up(tmp_path, CLAIM, environment, memory)
    before = path.read_bytes()
    seen = []
    result = runner.execute(path, {"VAE_SEED": "3"}, lambda cell, cells: seen.append((cell, cells)))
    assert result.error is None
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert result.claims == [
        runner.Claim(1, 0, "sums add up in None", holds=True),
        runner.Claim(1, 1, "seed 2 is the one", holds=False),
    ]
    assert result.peak_mb > 300
    assert [cell.execution_count for cell in result.notebook.cells[1:]] == [1, 2, 3]
    assert path.read_bytes() == before


def test_a_kernel_that_dies_is_reported_in_one_line(tmp_path: Path) -> None:
    path = made_up(tmp_path, "1", "import os\nos._exit(1)", "2")
    assert runner.execute(path).error == "cell [2]: the kernel died (out of memory?)"


def test_a_cell_that_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CELL_TIMEOUT", 1)
    assert runner.execute(made_up(tmp_path, "while True:\n    pass")).error == "cell [1]: took longer than 1 seconds"


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
    assert "\n".join(table) in capsys.readouterr().out


def test_refresh_stores_outputs_and_nothing_else_and_leaves_a_notebook_that_fails(tmp_path: Path) -> None:
    path = made_up(tmp_path, "import os\nprint('one', flush=True)\nprint(os.environ['VAE_STRICT'])")
    failing = made_up(tmp_path, "print(1)", "1 / 0", name="02_failing")
    before = failing.read_bytes()
    old = nbformat.read(path, as_version=4)
    old.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    old.metadata.kernelspec = {"name": "mine", "display_name": "Mine", "language": "python"}
    old.cells[1].metadata.execution = {"iopub.status.busy": "2026-01-01T00:00:00Z"}
    old.cells[1].metadata.tags = ["kept"]
    nbformat.write(old, path)
    assert runner.refresh([path, failing]) == 1
    new = nbformat.read(path, as_version=4)
    assert [output.text for output in new.cells[1].outputs] == ["one\n1\n"]
    assert new.cells[1].metadata == {"tags": ["kept"]}
    assert [cell.id for cell in new.cells] == [cell.id for cell in old.cells]
    assert new.metadata.kernelspec.name == "python3"
    assert "widgets" not in new.metadata
    assert failing.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == [path, failing]


def test_claims_are_counted_over_seeds(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = made_up(tmp_path, CLAIM)
    assert runner.claims([path], [2, 4], "digits") == 1
    out = capsys.readouterr().out
    assert "2 of 2  cell [1]: sums add up in digits" in out
    assert "1 of 2  cell [1]: seed 2 is the one\n          seed 4: seed 2 is the one" in out


def ran(*printed: str, error: str | None = None) -> runner.Execution:
    """Return a run whose cells printed these."""
    cells = [
        new_code_cell(outputs=[new_output("stream", text=text)], execution_count=count)
        for count, text in enumerate(printed, 1)
    ]
    return runner.Execution(Path("01.ipynb"), new_notebook(cells=cells), 1.0, 1.0, error)


def test_claims_that_a_run_did_not_reach_did_not_hold() -> None:
    whole = ran("✓ early\n", "✓ late\n")
    text, held = runner.tally({1: whole, 2: ran("✓ early\n", error="cell [2]: AssertionError")})
    assert not held
    assert "2 of 2  cell [1]: early\n" in text
    assert "1 of 2  cell [2]: late\n          seed 2: not reached" in text
    assert "seed 2 failed in cell [2]: AssertionError" in text
    assert runner.tally({1: whole, 2: whole})[1]


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
