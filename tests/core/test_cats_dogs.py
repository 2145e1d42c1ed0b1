"""The course's own pictures are those that their factors say, and whole; the drawing behind them is smooth."""

import csv
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from vae_utils.data import DataError, draw, drawing, load
from vae_utils.data.cats_dogs import CHECKSUMS, COUNTS, FOLLOWED, folder, sample_factors, to_sheet, to_tiles
from vae_utils.data.drawing import FACTORS, draw_many
from vae_utils.likelihoods import Gaussian


@pytest.fixture(scope="module")
def animals():
    return load("cats_dogs", dtype=torch.uint8)


def difference(a, b):
    return np.abs(a.astype(int) - b.astype(int))


# What ships


def test_shape_and_names(animals):
    assert (len(animals.train), len(animals.test)) == (8000, 2000) == tuple(COUNTS.values())
    assert animals.shape == (3, 32, 32) and animals.train.x.dtype == torch.uint8
    assert animals.label_names == animals.followed_names == ("cat", "dog")
    assert animals.likelihood == Gaussian(0.3)
    assert list(animals.train.factors) == list(FACTORS)


def test_float_pictures_are_the_bytes_in_0_to_1(animals):
    as_float = load("cats_dogs").test.x
    assert as_float.dtype == torch.float32 and as_float.aminmax() == (as_float.min(), as_float.max())
    torch.testing.assert_close(as_float, animals.test.x / 255)


@pytest.mark.parametrize("part", ["train", "test"])
def test_pictures_are_drawn_from_their_factors(animals, part):
    split = getattr(animals, part)
    rows = torch.linspace(0, len(split) - 1, 50).long()  # from every sheet
    with open(folder() / f"{part}.csv", newline="") as file:
        table = list(csv.DictReader(file))
    again = draw_many({name: [float(table[row][name]) for row in rows] for name in FACTORS})
    off = difference(again, split.x[rows].permute(0, 2, 3, 1).numpy())
    assert off.max() <= 3 and (off > 0).mean() < 0.001  # rounding, where mathematics libraries differ
    for name, values in split.factors.items():
        assert values[rows].tolist() == pytest.approx([float(table[row][name]) for row in rows], abs=1e-6)


@pytest.mark.parametrize("part", ["train", "test"])
def test_half_are_dogs_and_factors_are_in_range_and_independent(animals, part):
    split = getattr(animals, part)
    assert split.y.sum() == len(split) // 2 and torch.equal(split.y, split.factors["species"].long())
    for name, (low, high, _) in FACTORS.items():
        values = split.factors[name]
        assert low <= values.min() and values.max() <= high
        assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.03 * (high - low))
    correlation = np.corrcoef(torch.stack([*split.factors.values()])) - np.eye(len(FACTORS))
    assert np.abs(correlation).max() < 0.06


def test_no_picture_is_in_both_splits(animals):
    train, test = ({picture.numpy().tobytes() for picture in split.x} for split in (animals.train, animals.test))
    assert len(train) == 8000 and len(test) == 2000 and not train & test


def test_the_followed_pair_comes_first(animals):
    assert animals.followed == (0, 1)
    for i, animal in enumerate(FOLLOWED):
        assert animal.keys() == FACTORS.keys()
        assert {k: round(v[i].item(), 4) for k, v in animals.test.factors.items()} == animal
        assert difference(draw(**animal), animals.test.x[i].permute(1, 2, 0).numpy()).max() <= 3
    assert animals.test.y[:2].tolist() == [0, 1]


def test_all_files_are_named_and_small():
    files = {path.name: path.stat().st_size for path in folder().iterdir()}
    assert files.keys() == CHECKSUMS.keys()
    assert sum(files.values()) < 8e6


# Files that are not as they should be


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(folder(), tmp_path / "cats_dogs")
    return tmp_path / "cats_dogs"


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["train_3.webp", "test.csv"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (flip_a_byte, "is damaged.*delete it"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is damaged.*delete it"),
        (Path.unlink, "can't be read.*install the course or download it again"),
    ],
)
def test_damaged_truncated_and_missing_files(copy, name, change, message):
    change(copy / name)
    with pytest.raises(DataError, match=f"{name} {message}"):
        load("cats_dogs", root=copy.parent)


def test_a_copy_is_read_where_root_names_it_and_a_missing_one_is_told(copy, animals, monkeypatch):
    assert torch.equal(load("cats_dogs", root=copy.parent, dtype=torch.uint8).test.x, animals.test.x)
    with pytest.raises(DataError, match="can't be read"):
        load("cats_dogs", root=copy / "nowhere")
    monkeypatch.setenv("VAE_DATA", str(copy / "nowhere"))  # which is for downloads: what ships is found all the same
    assert folder().is_dir()


def test_sheets_and_tiles_are_each_others_inverse():
    tiles = np.random.RandomState(0).randint(0, 256, (80, 32, 32, 3), dtype=np.uint8)
    sheet = to_sheet(tiles)
    assert sheet.shape == (64, 1280, 3)
    assert np.array_equal(to_tiles(sheet), tiles)
    assert np.array_equal(sheet[32:, 64:96], tiles[42])  # row by row


def test_sampled_factors_are_rounded_and_the_same_for_the_same_seed():
    a, b, c = (sample_factors(100, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a[name], b[name]) and np.array_equal(a[name], a[name].round(4)) for name in FACTORS)
    assert a["species"].sum() == 50 and not np.array_equal(a["warmth"], c["warmth"])


# The drawing


def test_draw_gives_bytes_of_the_asked_size():
    for side in (8, 32, 100):
        picture = draw(species=1, size_px=side)
        assert picture.shape == (side, side, 3) and picture.dtype == np.uint8
    assert (draw() % 3 == 0).all()


def test_a_larger_drawing_is_the_same_picture():
    small, large = draw(size_px=32), draw(size_px=128)
    assert difference(large.reshape(32, 4, 32, 4, 3).mean((1, 3)).round(), small).mean() < 2


def test_many_are_drawn_as_one_by_one():
    factors = {name: [low, high] for name, (low, high, _) in FACTORS.items()}
    both = draw_many(factors)
    assert np.array_equal(both[0], draw(**{name: low for name, (low, _, _) in FACTORS.items()}))
    assert np.array_equal(both[1], draw(**{name: high for name, (_, high, _) in FACTORS.items()}))


@pytest.mark.parametrize("side", [8, 32, 75])
def test_the_part_that_a_shape_is_painted_in_holds_all_of_it(side, monkeypatch):
    dice = np.random.default_rng(0)
    factors = {name: dice.uniform(low, high, 40) for name, (low, high, _) in FACTORS.items()}
    alone = [draw(side, **{name: values[i] for name, values in factors.items()}) for i in range(40)]
    monkeypatch.setattr(drawing._Canvas, "_span", lambda *_: slice(None))
    assert np.array_equal(alone, draw_many(factors, side))


@pytest.mark.parametrize("name", FACTORS)
def test_every_factor_shows_and_changes_the_picture_smoothly(name):
    low, high, _ = FACTORS[name]
    usual = {key: [value] * 51 for key, (_, _, value) in FACTORS.items()}
    road = draw_many(usual | {name: np.linspace(low, high, 51)})
    steps = [difference(a, b) for a, b in pairwise(road)]
    assert difference(road[0], road[-1]).mean() > 0.5
    assert max(step.mean() for step in steps) < 4  # light changes every pixel a little
    assert max(step.max() for step in steps) < 90  # an eye opens over a few steps, not in one


@pytest.mark.parametrize("species", [0, 0.5, 1])
def test_an_upright_face_is_its_own_mirror_image_but_for_what_shines(species):
    picture = draw(species=species, tilt=0, x=0)
    off = difference(picture, picture[:, ::-1]).max(2) > 3
    assert off.any()  # the sparks in the eyes are on one side
    off[13:20, 9:23] = False  # eyes and nose
    assert not off.any()


def test_position_size_and_tilt_move_the_head():
    def center(rows=20, **factors):
        """Column and row of the middle of what is not sky, above the shoulders."""
        weight = difference(draw(**factors), draw()[0, 0])[:rows].sum(2)
        return (weight * np.arange(32)).sum() / weight.sum(), (weight * np.arange(rows)[:, None]).sum() / weight.sum()

    assert 1 < center(x=0.06)[0] - center(x=-0.06)[0] < 3  # 0.12 of a width of 2 are 1.9 of 32 pixels
    assert center(y=0.04)[1] > center(y=-0.04)[1]
    assert center(rows=10, tilt=0.18)[0] < center(rows=10, tilt=-0.18)[0] - 1  # clockwise: the left ear rises
    sky = [(difference(draw(size=size), draw()[0, 0]).max(2) == 0).sum() for size in (0.87, 0.97)]
    assert sky[0] > sky[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"whiskers": 1}, "no factor 'whiskers'; the factors are species, warmth"),
        ({"species": 1.1}, "species is 1.1; it must lie between 0.0 and 1.0"),
        ({"tilt": -0.2}, "tilt is -0.2; it must lie between -0.18 and 0.18"),
        ({"tone": float("nan")}, "tone is nan"),
        ({"size_px": 7}, "size_px is 7; a picture can be 8 to 1024"),
        ({"size_px": 1025}, "size_px is 1025"),
    ],
)
def test_draw_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        draw(**arguments)
