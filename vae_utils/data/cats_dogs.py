"""The course's own pictures: 10,000 cats and dogs of 32x32 pixels, each with the factors it was drawn from.

They ship with the course as sheets of 1,000 pictures (lossless WebP) and a table of factors for each split, so that
every version of every library reads the same pixels. `python -m scripts.draw_cats_dogs` draws them again.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .dataset import Dataset, Split, to_tensor
from .drawing import FACTORS
from .files import DataError, check_sha256, data_root

SIDE, COLUMNS, PER_SHEET = 32, 40, 1000
COUNTS = {"train": 8000, "test": 2000}

# The first test picture is the cat and the second the dog that the notebooks follow: same coat, same hour.
FOLLOWED = (
    {"species": 0.0, "warmth": 0.9, "tone": 0.45, "light": 0.5, "x": 0.0, "y": 0.0}
    | {"size": 0.93, "tilt": -0.06, "ears": 0.7, "muzzle": 0.5, "eyes": 0.8},
    {"species": 1.0, "warmth": 0.9, "tone": 0.45, "light": 0.5, "x": 0.0, "y": 0.0}
    | {"size": 0.93, "tilt": 0.06, "ears": 0.6, "muzzle": 0.5, "eyes": 0.8},
)

CHECKSUMS = {
    "test.csv": "cb84d623fb243f92014f7a36077fafdc5250b80c51de21cff7e0f7d9cbd6d2a4",
    "test_1.webp": "d903fbc2aeddd2e5b4a89ae84f48610e420302862f219579fa7a37435def4546",
    "test_2.webp": "d782d6ecde512b38e982530bd84e52156fbc3afff39e734f4ae774bb1a17bd2b",
    "train.csv": "4e8584e02a42f701e17869b8e0f2a16ef68ba8bf844113e215af43d685c2a9e9",
    "train_1.webp": "9504f9c377c59bc06c1ffaf0bec8340ce93b55162bc5faf519de1ec9d4939109",
    "train_2.webp": "4bb51b895c925bc5fe59bcb8654af212805ee0028036100bc97efcaae88c69e1",
    "train_3.webp": "a5a4c326263668ca6cde413c831b164f1e4947fb8397619af922fb6e83ee289e",
    "train_4.webp": "eedfcf8c3782499bf317608a00704fc79846d44c7557ef45154d5e3a88704923",
    "train_5.webp": "58d46b24218b6dbecc0edd5b91239f249043fdfd3bb0b587d38b9d888ec3ed35",
    "train_6.webp": "1e88a05ed429c5a6b8f3268a88c80514749f9b68db3f63a49e0c2b67c6e68617",
    "train_7.webp": "eb5f0cf89c794c9fc947cfd97f687c8fc178a98526a2ec5a2d616470b2a96e88",
    "train_8.webp": "c98b03a6cb61d738c3b2520165dbf593c8567ffe0f89de4e35377ace515ed793",
}


def sample_factors(n: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Draw true factors of n pictures, independent of each other and uniform over their ranges; half are dogs.

    Values are rounded to four decimals, as they are stored, so that drawing them again gives the same pixels.
    """
    rng = np.random.RandomState(seed)  # its stream never changes; those of newer generators may
    factors: dict[str, NDArray[np.float64]] = {
        name: rng.uniform(low, high, n).round(4) for name, (low, high, _) in FACTORS.items()
    }
    factors["species"] = (rng.permutation(n) % 2).astype(np.float64)
    return factors


def folder(root: str | Path | None = None) -> Path:
    """Return the folder that holds the sheets: `root`/cats_dogs, the installed package's own, or the checkout's."""
    if root is not None:
        return data_root(root) / "cats_dogs"
    packed = Path(__file__).parent / "sheets" / "cats_dogs"
    return packed if packed.is_dir() else Path(__file__).parents[2] / "data" / "cats_dogs"


where = folder  # the name that every data set has for it


def load(root: str | Path | None = None, dtype: torch.dtype = torch.float32) -> Dataset:
    """Load 8,000 pictures to train and 2,000 to test: shape (3, 32, 32), labels cat and dog, factors known.

    p(x|z) is Gaussian with sigma 0.3 (pixels reach from 0 to 1).

    Raises:
        DataError: A file is missing or damaged.
    """
    sheets = folder(root)
    for name, checksum in CHECKSUMS.items():
        check_sha256(sheets / name, checksum)
    splits = {name: _read_split(sheets, name, dtype) for name in COUNTS}
    return Dataset(
        name="cats_dogs",
        **splits,
        label_names=("cat", "dog"),
        shape=(3, SIDE, SIDE),
        likelihood="gaussian",
        sigma=0.3,
        followed=(0, 1),
        followed_names=("cat", "dog"),
    )


def _read_split(sheets: Path, name: str, dtype: torch.dtype) -> Split:
    from PIL import Image

    table = np.loadtxt(sheets / f"{name}.csv", delimiter=",", skiprows=1, dtype=np.float32)
    factors = {factor: torch.from_numpy(table[:, i].copy()) for i, factor in enumerate(FACTORS)}
    tiles = []
    for sheet in range(COUNTS[name] // PER_SHEET):
        path = sheets / f"{name}_{sheet + 1}.webp"
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
        except OSError as error:
            raise DataError(f"{path} can't be read as a picture ({error}): install Pillow with WebP.") from error
        tiles.append(to_tiles(pixels))
    return Split(to_tensor(np.concatenate(tiles), dtype), (factors["species"] > 0.5).long(), factors)


def to_tiles(sheet: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut a sheet (rows * 32, 40 * 32, 3) into its pictures (rows * 40, 32, 32, 3), row by row."""
    grid = sheet.reshape(-1, SIDE, COLUMNS, SIDE, 3)
    return grid.swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3)


def to_sheet(tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Invert `to_tiles`: (n, 32, 32, 3) -> (n / 40 * 32, 40 * 32, 3)."""
    grid = tiles.reshape(-1, COLUMNS, SIDE, SIDE, 3)
    return grid.swapaxes(1, 2).reshape(-1, COLUMNS * SIDE, 3)
