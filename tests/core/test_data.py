"""What the data package loads; bad input gives one clear sentence and leaves nothing half-written."""

import errno
import gzip
import hashlib
import importlib.util
import os
import re
import struct
import subprocess
import sys
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vae_utils import data
from vae_utils.data import DataError, Dataset, Split
from vae_utils.data.dataset import clearest, stratified_split, to_tensor
from vae_utils.data.files import check_sha256, data_root, write_atomically
from vae_utils.data.registry import either
from vae_utils.likelihoods import Bernoulli, Gaussian

ROOT = Path(__file__).resolve().parents[2]
IDX_FILES = {f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")}


@pytest.fixture(autouse=True)
def no_vae_data(monkeypatch):
    monkeypatch.delenv("VAE_DATA", raising=False)


# Split and Dataset


def split(n=4, **changes):
    return Split(**{"x": torch.linspace(0, 1, n * 12).view(n, 3, 2, 2), "y": torch.arange(n) % 2} | changes)


def dataset(**changes):
    fields = {
        "name": "toy",
        "train": split(6),
        "test": split(4),
        "label_names": ("cat", "dog"),
        "shape": (3, 2, 2),
        "likelihood": Gaussian(0.2),
        "followed": (0, 1),
        "followed_names": ("cat", "dog"),
    }
    return Dataset(**fields | changes)


def test_split_has_a_length_and_a_short_repr():
    described = repr(split(4, factors={"size": torch.zeros(4)}))
    assert len(split(4)) == 4
    assert described == "<4 pictures of shape (3, 2, 2), torch.float32, factors: size>"
    assert len(repr(dataset())) < 500


def test_the_first_pictures_of_a_split_keep_their_labels_and_factors():
    whole = split(4, factors={"size": torch.arange(4.0)})
    first = whole.first(3)
    assert torch.equal(first.x, whole.x[:3])
    assert first.y.tolist() == [0, 1, 0]
    assert first.factors["size"].tolist() == [0, 1, 2]
    assert len(split(4).first(9)) == 4
    assert split(4).first(2).factors is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": torch.zeros(4, 3, 2)}, r"\(n, C, H, W\).*\(4, 3, 2\)"),
        ({"x": torch.zeros(0, 3, 2, 2)}, "at least one picture"),
        ({"x": torch.zeros(4, 3, 2, 2, dtype=torch.int64)}, "floating point or uint8.*int64"),
        ({"x": torch.full((4, 3, 2, 2), 255.0)}, r"\[0, 1\].*255"),
        ({"x": torch.full((4, 3, 2, 2), -0.1)}, r"\[0, 1\].*-0.1"),
        ({"x": torch.full((4, 3, 2, 2), torch.nan)}, r"\[0, 1\].*nan"),
        ({"y": torch.zeros(3, dtype=torch.int64)}, r"shape \(4,\).*\(3,\)"),
        ({"y": torch.zeros(4)}, "int64.*float32"),
        ({"factors": {"size": torch.zeros(5)}}, r"'size'.*\(4,\).*\(5,\)"),
        ({"factors": {"size": torch.zeros(4, dtype=torch.int64)}}, "'size'.*floating point.*int64"),
    ],
)
def test_split_rejects(changes, message):
    with pytest.raises(ValueError, match=message):
        split(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": (1, 2, 2)}, r"train pictures must have shape \(1, 2, 2\), not \(3, 2, 2\)"),
        ({"test": split(4, x=torch.zeros(4, 3, 2, 5))}, r"test pictures.*\(3, 2, 5\)"),
        ({"test": split(4, x=torch.zeros(4, 3, 2, 2, dtype=torch.uint8))}, "float32.*uint8"),
        ({"label_names": ("cat",)}, r"0\.\.0.*from 0 to 1"),
        ({"followed": (0, 4)}, r"0\.\.3, not \(0, 4\)"),
        ({"followed": (0,)}, "two indices"),
        ({"followed_names": ("cat",)}, "two names"),
    ],
)
def test_dataset_rejects(changes, message):
    with pytest.raises(ValueError, match=message):
        dataset(**changes)


def test_to_tensor_moves_channels_first_and_scales():
    pictures = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    x = to_tensor(pictures)
    assert x.shape == (2, 3, 3, 4) and x.dtype == torch.float32 and x.is_contiguous()
    assert x[1, 2, 0, 3].item() == pytest.approx(pictures[1, 0, 3, 2] / 255)
    assert torch.equal(to_tensor(pictures, torch.uint8).permute(0, 2, 3, 1), torch.from_numpy(pictures))
    assert to_tensor(pictures[..., 0]).shape == (2, 1, 3, 4)
    assert to_tensor(np.array([[[0, 255]]], dtype=np.uint8), torch.float64).tolist() == [[[[0.0, 1.0]]]]


def test_to_tensor_leaves_its_input_alone_and_takes_read_only_arrays(recwarn):
    pictures = np.full((1, 2, 2), 255, dtype=np.uint8)
    pictures.flags.writeable = False
    to_tensor(pictures).zero_()
    to_tensor(pictures, torch.uint8).zero_()
    assert (pictures == 255).all() and len(recwarn) == 0


def test_to_tensor_rejects():
    with pytest.raises(ValueError, match="uint8.*float64"):
        to_tensor(np.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match="floating-point type or torch.uint8, not torch.int32"):
        to_tensor(np.zeros((1, 2, 2), dtype=np.uint8), torch.int32)


def test_clearest_is_nearest_to_the_mean_of_the_first_of_its_class():
    x = torch.tensor([0.0, 0.9, 0.4, 1.0, 0.5]).view(5, 1, 1, 1)
    toy = Split(x, torch.tensor([0, 1, 0, 0, 0]))
    assert clearest(toy, 0) == 4  # mean of 0, .4, 1, .5 is .475
    assert clearest(toy, 0, among=3) == 2  # mean of 0, .4, 1 is .467
    assert clearest(toy, 1) == 1
    with pytest.raises(ValueError, match="label 7"):
        clearest(toy, 7)


def test_stratified_split():
    labels = np.array([0] * 10 + [1] * 2 + [2] * 3)
    train, test = stratified_split(labels, 0.2)
    assert sorted([*train, *test]) == list(range(15)) and (np.diff(test) > 0).all()
    assert np.bincount(labels[test]).tolist() == [2, 1, 1]
    again = stratified_split(labels, 0.2)
    assert np.array_equal(train, again[0]) and np.array_equal(test, again[1])
    with pytest.raises(ValueError, match="class 1 needs at least two"):
        stratified_split(np.array([0, 0, 1]), 0.2)


# files


def test_data_root_in_order(tmp_path, monkeypatch):
    module = tmp_path / "checkout" / "vae_utils" / "data" / "files.py"
    monkeypatch.setattr("vae_utils.data.files.__file__", str(module))
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "cache"))
    assert data_root() == tmp_path / "cache" / "vae-utils"
    (tmp_path / "checkout" / "data").mkdir(parents=True)
    assert data_root() == tmp_path / "cache" / "vae-utils"
    (tmp_path / "checkout" / "pyproject.toml").touch()
    assert data_root() == tmp_path.resolve() / "checkout" / "data"
    monkeypatch.setenv("VAE_DATA", "~/pictures")
    assert data_root() == Path.home() / "pictures"
    assert data_root(tmp_path) == tmp_path


def test_write_atomically_replaces_the_whole_file_and_makes_folders(tmp_path):
    path = tmp_path / "new" / "weights.bin"
    write_atomically(path, lambda file: file.write(b"first, and longer"))
    write_atomically(path, lambda file: file.write(b"second"))
    assert path.read_bytes() == b"second"
    assert os.listdir(path.parent) == ["weights.bin"]


def fail(error):
    def raise_it(*args, **kwargs):
        raise error

    return raise_it


@pytest.mark.parametrize("broken", ["os.replace", "os.fsync", "builtins.open"])
@pytest.mark.parametrize(("code", "message"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "may not write")])
def test_write_atomically_leaves_nothing_where_the_disk_fails(tmp_path, monkeypatch, broken, code, message):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"before")
    with monkeypatch.context() as patch, pytest.raises(DataError, match=f"{message}.*choose another folder"):
        patch.setattr(broken, fail(OSError(code, os.strerror(code))))
        write_atomically(path, lambda file: file.write(b"after"))
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["weights.bin"]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_write_atomically_leaves_nothing_where_the_writer_fails(tmp_path, error):
    def write(file):
        file.write(b"half of it")
        raise error

    with pytest.raises(error):
        write_atomically(tmp_path / "weights.bin", write)
    assert os.listdir(tmp_path) == []


def test_write_atomically_below_a_file(tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(DataError, match="a file is where a folder should be"):
        write_atomically(tmp_path / "taken" / "weights.bin", lambda file: None)


def test_check_sha256(tmp_path):
    path = tmp_path / "sheet.webp"
    path.write_bytes(b"all of the bytes")
    checksum = hashlib.sha256(b"all of the bytes").hexdigest()
    check_sha256(path, checksum)
    check_sha256(path, checksum.upper())
    for damaged in (b"all of the", b"all of the Bytes", b""):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="sheet.webp is damaged .*delete it and"):
            check_sha256(path, checksum)
    path.unlink()
    with pytest.raises(DataError, match="sheet.webp can't be read .*download it again"):
        check_sha256(path, checksum)


# load


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("minst", "mean 'mnist'"),
        ("cats", "mean 'cats_dogs'"),
        ("MNIST", "mean 'mnist'"),
        ("?", "names are cats_dogs, mnist"),
    ],
)
def test_unknown_name(name, hint):
    with pytest.raises(ValueError, match=hint):
        data.load(name)


def test_load_rejects_a_size_or_dtype_that_makes_no_sense():
    with pytest.raises(ValueError, match="fixed size"):
        data.load("digits", size=16)
    for name in data.names():
        with pytest.raises(ValueError, match=r"floating-point type or torch\.uint8, not torch\.int64"):
            data.load(name, dtype=torch.int64)


LISTS = {  # where the names also stand: the list there, as a pattern
    "docs/your_copy.md": r"^\| `VAE_DATASET` \| (.*) \|$",
    ".github/ISSUE_TEMPLATE/untrue.yml": r"options: \[(cats_dogs.*)\]",
    "vae_utils/data/__init__.py": r"name: (`cats_dogs`(?:.|\n)*?)\n +root:",
}
DATASET = r"DATASET = getenv\((.*)\\n"  # in a notebook, where a person's own pictures are left out
LISTS |= {
    f"notebooks/{path.name}": DATASET
    for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
    if "DATASET = getenv" in path.read_text("utf-8")
}


@pytest.mark.parametrize("file", LISTS)
def test_a_list_of_data_sets_has_all_names(file):
    listed = re.search(LISTS[file], (ROOT / file).read_text("utf-8"), re.MULTILINE)[1]
    needed = set(data.names()) - set(data.names("own") if LISTS[file] == DATASET else ())
    assert needed <= set(re.findall(r"\w+", listed))


@pytest.mark.parametrize(
    ("n", "phrase"), [(1, "cats_dogs"), (2, "cats_dogs or digits"), (3, "cats_dogs, digits or blobs")]
)
def test_names_are_joined_as_a_phrase(n, phrase):
    assert either(["cats_dogs", "digits", "blobs"][:n]) == phrase


def heavy_modules_after(code):
    code += "; import sys; print([m for m in ('torchvision', 'sklearn', 'matplotlib') if m in sys.modules])"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_importing_is_light():
    assert heavy_modules_after("import vae_utils.data") == "[]"


@pytest.mark.skipif(importlib.util.find_spec("vae_utils.data.cats_dogs") is None, reason="cats_dogs is not there")
def test_loading_cats_dogs_is_light():
    assert heavy_modules_after("from vae_utils.data import load; load('cats_dogs')") == "[]"


# digits


def test_digits():
    digits = data.load("digits")
    assert len(digits.train) + len(digits.test) == 1797
    assert digits.shape == (1, 8, 8) and digits.likelihood == Bernoulli()
    assert digits.train.x.dtype == torch.float32
    assert set((digits.train.x * 16).unique().tolist()) == set(range(17))
    shares = digits.test.y.bincount() / (digits.train.y.bincount() + digits.test.y.bincount())
    assert len(shares) == 10 and (shares - 1 / 6).abs().max() < 0.01
    assert digits.test.y[list(digits.followed)].tolist() == [3, 5]
    assert digits.followed_names == ("3", "5")


def test_digits_twice_and_as_bytes():
    first, second, raw = data.load("digits"), data.load("digits"), data.load("digits", dtype=torch.uint8)
    assert torch.equal(first.train.x, second.train.x) and torch.equal(first.test.y, second.test.y)
    assert raw.train.x.dtype == torch.uint8 and raw.train.x.max() == 255 and raw.followed == first.followed
    torch.testing.assert_close(raw.test.x / 255, first.test.x, atol=0.5 / 255 + 1e-6, rtol=0)


# mnist and fashion_mnist


def write_idx(folder, n_train=30, n_test=20):
    """Random pictures in the layout that torchvision unpacks; label i % 10."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for part, n in (("train", n_train), ("t10k", n_test)):
        pixels = rng.integers(256, size=(n, 28, 28), dtype=np.uint8)
        pixels[0, 0, :2] = 0, 255
        header = struct.pack(">IIII", 0x803, n, 28, 28)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        labels = (np.arange(n) % 10).astype(np.uint8)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, n) + labels.tobytes())


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture
def download(monkeypatch):
    """Call it with what happens instead of torchvision's fetching one file; it returns the calls so far."""
    import torchvision.datasets.mnist

    def replace(fetch):
        calls = []

        def fetch_one(url, download_root, filename, md5):
            calls.append(filename)
            print("100%|#####|", file=sys.stderr)
            print("Downloading ... Extracting ...")
            fetch(Path(download_root), filename)

        monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", fetch_one)
        return calls

    return replace


@pytest.fixture
def no_download(download):
    return download(fail(AssertionError("there is nothing to download")))


@pytest.mark.parametrize(
    ("name", "folder", "followed", "followed_names"),
    [
        ("mnist", "MNIST", [3, 5], ("3", "5")),
        ("fashion_mnist", "FashionMNIST", [0, 9], ("T-shirt/top", "Ankle boot")),
    ],
)
def test_present_files_are_read_and_left_alone(
    tmp_path, monkeypatch, capfd, no_download, name, folder, followed, followed_names
):
    write_idx(tmp_path / folder / "raw")
    before = tree(tmp_path)
    loaded = data.load(name, root=tmp_path)
    assert tree(tmp_path) == before
    assert capfd.readouterr() == ("", "")
    assert loaded.name == name and loaded.shape == (1, 28, 28)
    assert loaded.likelihood == Bernoulli()
    assert (len(loaded.train), len(loaded.test), len(loaded.label_names)) == (30, 20, 10)
    pixels = np.frombuffer((tmp_path / folder / "raw" / "t10k-images-idx3-ubyte").read_bytes()[16:], np.uint8)
    np.testing.assert_allclose(loaded.test.x.flatten(), pixels / 255, atol=1e-7)
    assert loaded.train.y.tolist() == [i % 10 for i in range(30)]
    assert loaded.test.y[list(loaded.followed)].tolist() == followed
    assert loaded.followed_names == followed_names

    monkeypatch.setenv("VAE_DATA", str(tmp_path))
    raw = data.load(name, dtype=torch.uint8)
    assert raw.test.x.dtype == torch.uint8 and np.array_equal(raw.test.x.flatten(), pixels)
    assert raw.followed == loaded.followed


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip_type(path):
    content = bytearray(path.read_bytes())
    content[2] = 0x0D  # says float32 where it must say uint8
    path.write_bytes(content)


def flip_label(path):
    content = bytearray(path.read_bytes())
    content[-1] = 10
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("train-images-idx3-ubyte", truncate),
        ("t10k-labels-idx1-ubyte", truncate),
        ("t10k-images-idx3-ubyte", flip_type),
        ("train-labels-idx1-ubyte", flip_label),
        ("train-images-idx3-ubyte", lambda path: path.write_bytes(b"")),
        ("train-images-idx3-ubyte", lambda path: path.write_bytes(b"<!DOCTYPE html>" * 99)),
    ],
)
def test_damaged_files(tmp_path, no_download, file, damage):
    raw = tmp_path / "MNIST" / "raw"
    write_idx(raw)
    damage(raw / file)
    with pytest.raises(DataError, match="MNIST files in .* are damaged .*delete that folder") as caught:
        data.load("mnist", root=tmp_path)
    assert str(raw) in str(caught.value)


def test_labels_of_another_number_of_pictures(tmp_path, no_download):
    write_idx(tmp_path / "MNIST" / "raw", n_train=40)
    labels = (tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte").read_bytes()
    write_idx(tmp_path / "MNIST" / "raw", n_train=30)
    (tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte").write_bytes(labels)
    with pytest.raises(DataError, match="damaged"):
        data.load("mnist", root=tmp_path)


def fetch_tiny(raw, filename):
    write_idx(raw)
    (raw / filename).write_bytes(b"the archive")


def test_download_arrives_whole_and_says_nothing_on_stderr(tmp_path, download, capfd):
    calls = download(fetch_tiny)
    assert len(data.load("mnist", root=tmp_path / "new").train) == 30
    assert capfd.readouterr() == ("Downloading MNIST ...\n", "")
    assert set(tree(tmp_path / "new")) == {"MNIST", "MNIST/raw", *(f"MNIST/raw/{file}" for file in IDX_FILES)}
    assert len(calls) == 4
    data.load("mnist", root=tmp_path / "new")
    assert len(calls) == 4


def test_download_completes_what_is_there_and_clears_what_a_killed_one_left(tmp_path, download):
    left = tmp_path / ".MNIST.part" / "MNIST" / "raw"
    write_idx(left)
    truncate(left / "train-images-idx3-ubyte")
    (tmp_path / ".MNIST.lock").touch()
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    (tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte").write_bytes(b"half of the lab")
    calls = download(fetch_tiny)
    assert len(data.load("mnist", root=tmp_path).train) == 30
    assert len(calls) == 4
    assert set(tree(tmp_path)) == {"MNIST", "MNIST/raw", *(f"MNIST/raw/{file}" for file in IDX_FILES)}


def fetch_half(error):
    def fetch(raw, filename):
        if filename.startswith("t10k"):
            (raw / "t10k-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03 and then nothing")
            raise error
        write_idx(raw)
        (raw / "t10k-images-idx3-ubyte").unlink()

    return fetch


@pytest.mark.parametrize(
    ("fetch", "message"),
    [
        (
            fail(urllib.error.URLError("no route to host")),
            "can't be downloaded: check the network, set VAE_DATA",
        ),
        (fail(TimeoutError("timed out")), "can't be downloaded: check the network"),
        (fetch_half(urllib.error.URLError("connection reset")), "can't be downloaded: check the network"),
        (fetch_half(RuntimeError("File not found or corrupted.")), "can't be downloaded: check the network"),
        (
            fetch_half(OSError(errno.ENOSPC, "No space left on device")),
            r"can't be stored in .* \(the disk is full\)",
        ),
    ],
)
def test_failed_download_leaves_nothing(tmp_path, download, fetch, message):
    download(fetch)
    with pytest.raises(DataError, match=message) as caught:
        data.load("mnist", root=tmp_path)
    assert str(caught.value).endswith(f"or use {either(data.names('shipped'))}, which need no download.")
    assert os.listdir(tmp_path) == []


def test_interrupted_download_leaves_nothing(tmp_path, download):
    download(fetch_half(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        data.load("mnist", root=tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="only POSIX folders have a mode")
def test_download_to_a_folder_marked_read_only(tmp_path, no_download):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o555)
    with pytest.raises(DataError, match=r"can't be stored in .*shared \(you may not write there\)"):
        data.load("mnist", root=shared)
    assert no_download == []
    assert os.listdir(shared) == []


def test_download_to_a_read_only_disk(tmp_path, monkeypatch, no_download):
    monkeypatch.setattr(Path, "mkdir", fail(OSError(errno.EROFS, "Read-only file system")))
    with pytest.raises(DataError, match=r"can't be stored in .* \(you may not write there\): set VAE_DATA"):
        data.load("fashion_mnist", root=tmp_path)
    assert no_download == []


def test_download_to_a_full_disk_at_the_last_step(tmp_path, monkeypatch, download):
    download(fetch_tiny)
    monkeypatch.setattr(os, "replace", fail(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(DataError, match="the disk is full"):
        data.load("mnist", root=tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_root_is_a_file(tmp_path, no_download):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="a file is where a folder should be"):
        data.load("mnist", root=tmp_path / "file")


REAL = os.environ.get("VAE_DATA", "")


@pytest.mark.skipif(not Path(REAL, "MNIST", "raw").is_dir(), reason="VAE_DATA does not name a folder with MNIST")
def test_real_mnist(no_download):
    mnist = data.load("mnist", root=REAL)
    assert (len(mnist.train), len(mnist.test)) == (60_000, 10_000)
    assert mnist.train.y.bincount().sum() == 60_000 and mnist.test.y.bincount().tolist()[:2] == [980, 1135]
    assert mnist.train.x.mean().item() == pytest.approx(0.1307, abs=1e-4)
    for index, label in zip(mnist.followed, (3, 5), strict=True):
        members = np.flatnonzero(mnist.test.y == label)[:200]
        pixels = mnist.test.x.numpy()[members, 0].astype(np.float64)
        assert index == members[np.linalg.norm(pixels - pixels.mean(0), axis=(1, 2)).argmin()]
    assert data.load("mnist", root=REAL, dtype=torch.uint8).followed == mnist.followed


# folder


@pytest.fixture
def pets(tmp_path):
    """Ten red cats and two blue dogs, in several formats, sizes and modes."""
    for name, color, n in (("dog", "blue", 2), ("cat", "red", 10)):
        (tmp_path / name).mkdir()
        for i in range(n):
            suffix = ("png", "bmp", "gif")[i % 3]
            Image.new("RGB", (40 + i, 30), color).save(tmp_path / name / f"{i}.{suffix}")
    (tmp_path / "cat" / ".DS_Store").write_bytes(b"not a picture")
    (tmp_path / "dog" / "Thumbs.db").write_bytes(b"not a picture")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    return tmp_path


def test_folder(pets, monkeypatch):
    loaded = data.load("folder", root=pets, size=16)
    assert loaded.label_names == ("cat", "dog") and loaded.shape == (3, 16, 16)
    assert loaded.likelihood == Gaussian(0.3)
    assert loaded.train.y.bincount().tolist() == [8, 1] and loaded.test.y.bincount().tolist() == [2, 1]
    assert loaded.test.y[list(loaded.followed)].tolist() == [0, 1]
    assert loaded.followed_names == ("cat", "dog")
    red, blue = (loaded.test.x[index].mean((1, 2)).tolist() for index in loaded.followed)
    assert red == pytest.approx([1, 0, 0], abs=0.01) and blue == pytest.approx([0, 0, 1], abs=0.01)
    assert torch.equal(loaded.train.x, data.load("folder", root=str(pets), size=16).train.x)
    monkeypatch.setenv("VAE_DATA", str(pets))
    assert data.load("folder", dtype=torch.uint8).train.x.shape == (9, 3, 32, 32)


def only_picture(folder, image, file, **options):
    """Load a folder that holds nothing but `image`, twice, and return it as uint8 (size, size, 3)."""
    for copy in ("a-", "b-"):
        (folder / "class").mkdir(exist_ok=True)
        image.save(folder / "class" / (copy + file), **options)
    return data.load("folder", root=folder, size=8, dtype=torch.uint8).test.x[0].permute(1, 2, 0)


def test_folder_turns_crops_and_composites(tmp_path):
    wide = Image.new("RGB", (24, 8), "red")
    wide.paste("blue", (8, 0, 16, 8))
    (tmp_path / "crop").mkdir()
    cropped = only_picture(tmp_path / "crop", wide, "wide.png")
    assert (cropped == torch.tensor([0, 0, 255])).all()

    top_red = Image.new("RGB", (8, 8), "blue")
    top_red.paste("red", (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 3  # stored upside down
    (tmp_path / "turn").mkdir()
    turned = only_picture(tmp_path / "turn", top_red, "turned.png", exif=exif)
    assert turned[0, 0].tolist() == [0, 0, 255] and turned[-1, 0].tolist() == [255, 0, 0]

    (tmp_path / "clear").mkdir()
    clear = only_picture(tmp_path / "clear", Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "clear.png")
    assert (clear == 255).all()

    (tmp_path / "grey").mkdir()
    grey = only_picture(tmp_path / "grey", Image.new("L", (8, 8), 100), "grey.png")
    assert (grey == 100).all()


def test_folder_with_one_class_follows_a_test_picture(tmp_path):
    only_picture(tmp_path, Image.new("RGB", (8, 8)), "black.png")
    loaded = data.load("folder", root=tmp_path)
    assert loaded.followed == (0, 0) and loaded.followed_names == ("class", "class")


def test_the_example_is_a_folder_of_animals_that_differ_from_the_courses_by_a_tie(tmp_path):
    root = data.example_folder(tmp_path / "mine", n=60)
    loaded, own = data.load("folder", root=root), data.load("cats_dogs").test.first(60)
    assert loaded.label_names == ("cat", "dog")
    assert len(loaded.train) == 48
    files = sorted(root.rglob("*.png"), key=lambda file: file.stem)
    assert [file.parent.name for file in files] == ["cat" if kind == 0 else "dog" for kind in own.y]
    x = data.read(*files)
    changed = (x != own.x).any(1)
    assert 0.005 < changed.float().mean() < 0.05
    assert changed.flatten(1).any(1).all()
    assert not changed[:, :24].any()
    assert (x.permute(0, 2, 3, 1)[changed] == torch.tensor([217, 26, 64]) / 255).all()
    with pytest.raises(DataError, match="holds something already: name a folder that is new or empty"):
        data.example_folder(root)


def test_one_picture_is_read_as_the_loader_reads_it(pets):
    loaded = data.load("folder", root=pets, size=16)
    x = data.read(*sorted(pets.rglob("*.png")), size=16)
    assert all((x == picture).flatten(1).all(1).any() for picture in [*loaded.train.x, *loaded.test.x])
    with pytest.raises(DataError, match="nobody.png can't be read as a picture .there is no such file."):
        data.read(pets / "nobody.png")
    with pytest.raises(DataError, match="cat can't be read as a picture .it is a folder."):
        data.read(pets / "cat")
    with pytest.raises(ValueError, match="name at least one picture file"):
        data.read()
    with pytest.raises(TypeError, match="read takes files, not a list: data.read.*with a star"):
        data.read([pets / "cat" / "0.png"])
    with pytest.raises(ValueError, match="size must be a whole number"):
        data.read(pets / "cat" / "0.png", size=0)


def test_folder_that_is_missing_or_empty(tmp_path):
    with pytest.raises(DataError, match="nowhere is not a folder: pass the folder"):
        data.load("folder", root=tmp_path / "nowhere")
    with pytest.raises(DataError, match="has no subfolders: put the pictures of each class"):
        data.load("folder", root=tmp_path)
    with pytest.raises(ValueError, match="pass root=.*VAE_DATA"):
        data.load("folder")


def test_folder_with_too_few_pictures(pets):
    (pets / "dog" / "0.png").unlink()
    with pytest.raises(DataError, match="dog has 1 picture.*at least two"):
        data.load("folder", root=pets)


@pytest.mark.parametrize("content", ["text", "truncated", "deep"])
def test_folder_names_the_unreadable_file(pets, content):
    path = pets / "cat" / "0.png"
    if content == "text":
        path.write_text("no picture at all")
    elif content == "truncated":
        noise = np.random.default_rng(0).integers(256, size=(40, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:2000])
    else:
        Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(path)
    with pytest.raises(DataError, match="can't be read as a picture .*save it as PNG or JPEG") as caught:
        data.load("folder", root=pets)
    assert str(path) in str(caught.value)


def test_folder_rejects_a_size(pets):
    with pytest.raises(ValueError, match="at least 1 pixel, not 0"):
        data.load("folder", root=pets, size=0)


def test_folder_lists_all_that_can_not_be_read_with_the_reason(pets):
    (pets / "cat" / "0.png").write_bytes(b"")
    (pets / "cat" / "1.bmp").write_text("<!DOCTYPE html><p>Log in to see this picture")
    Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(pets / "dog" / "0.png")
    with pytest.raises(DataError) as caught:
        data.load("folder", root=pets)
    lines = str(caught.value).splitlines()
    for line, (file, why) in zip(
        lines,
        [("0.png", "the file is empty"), ("1.bmp", "it is a web page"), ("0.png", "more than 8 bits per color")],
        strict=True,
    ):
        assert file in line and why in line
    assert lines[-1].endswith("save it as PNG or JPEG with 8 bits per color, or move it elsewhere.")


def test_folder_says_of_a_huge_picture_that_it_is_huge(pets, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # the pets have 1,200 pixels and more
    with pytest.raises(DataError, match="has more than 1,000 pixels: make it smaller.*and 2 more"):
        data.load("folder", root=pets)


def test_folder_reads_a_photo_whose_exif_is_odd(tmp_path):
    top_red = Image.new("RGB", (8, 8), "blue")
    top_red.paste("red", (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 3, 0.0  # upside down; a resolution of 0
    turned = only_picture(tmp_path, top_red, "photo.jpg", exif=exif, quality=95)
    assert turned[0, 0, 2] > 200 and turned[-1, 0, 0] > 200
    for file in (tmp_path / "class").iterdir():
        content = file.read_bytes()
        place = content.index(b"Exif\0\0") + 6
        file.write_bytes(content[:place] + b"\xff" * 8 + content[place + 8 :])
    assert data.load("folder", root=tmp_path, size=8).train.x[0, 0, 0, 0] > 0.8  # as it lies: red on top


def test_folder_takes_the_split_that_it_finds(pets, tmp_path_factory):
    root = tmp_path_factory.mktemp("split")
    for part, count in (("train", 3), ("val", 1)):
        for name, color in (("cat", "red"), ("dog", "blue")):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (9, 9), color).save(root / part / name / f"{i}.png")
    loaded = data.load("folder", root=root, size=8)
    assert loaded.label_names == ("cat", "dog")
    assert sorted(loaded.train.y.tolist()) == [0, 0, 0, 1, 1, 1] != loaded.train.y.tolist(), "the parts are shuffled"
    assert sorted(loaded.test.y.tolist()) == [0, 1]
    assert loaded.test.x[loaded.test.y == 1][0, 2].min() > 0.9
    (root / "test").mkdir()
    with pytest.raises(DataError, match="holds test, train, val: pass the one to be used"):
        data.load("folder", root=root)
    (root / "test").rmdir()
    (root / "val" / "bird").mkdir()
    with pytest.raises(DataError, match="must have the same subfolders; not in both: bird"):
        data.load("folder", root=root)


def test_folder_passes_system_folders_over(pets):
    for name in ("__MACOSX", "@eaDir", "$RECYCLE.BIN"):
        (pets / name).mkdir()
    assert data.load("folder", root=pets, size=8).label_names == ("cat", "dog")


def test_folder_takes_one_size_and_a_name_in_quotes(pets, monkeypatch):
    with pytest.raises(ValueError, match=r"not \(64, 48\): pictures are square"):
        data.load("folder", root=pets, size=(64, 48))
    monkeypatch.setenv("VAE_DATA", f'"{pets}"')
    assert data.load("folder", size=8).label_names == ("cat", "dog")


@pytest.mark.parametrize("place", ["MNIST/raw", "MNIST", ".", "MNIST/MNIST/raw"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dotted", [False, True])
def test_files_fetched_by_hand_are_found(tmp_path, no_download, place, packed, dotted):
    write_idx(tmp_path / "there")
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    for file in IDX_FILES:
        content = (tmp_path / "there" / file).read_bytes()
        name = (file.replace("-idx", ".idx") if dotted else file) + (".gz" if packed else "")
        (tmp_path / place / name).write_bytes(gzip.compress(content) if packed else content)
    loaded = data.load("mnist", root=tmp_path)
    assert (len(loaded.train), len(loaded.test)) == (30, 20)
    assert loaded.train.y.tolist() == [i % 10 for i in range(30)]


def test_a_web_page_in_place_of_data_is_called_that(tmp_path, no_download):
    raw = tmp_path / "MNIST" / "raw"
    write_idx(raw)
    (raw / "train-images-idx3-ubyte").write_bytes(b"<!DOCTYPE html>" * 99)
    with pytest.raises(DataError, match="train-images-idx3-ubyte is a web page"):
        data.load("mnist", root=tmp_path)
    (raw / "train-images-idx3-ubyte").unlink()
    (raw / "train-images-idx3-ubyte.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="damaged"):
        data.load("mnist", root=tmp_path)
