"""Draw the cats_dogs pictures into data/cats_dogs and print their checksums, for vae_utils/data/cats_dogs.py."""

import hashlib

import numpy as np
from PIL import Image

from scripts.paths import ROOT
from vae_utils.data.cats_dogs import COUNTS, FOLLOWED, PER_SHEET, sample_factors, to_sheet
from vae_utils.data.drawing import FACTORS, draw_many

FOLDER = ROOT / "data" / "cats_dogs"


def main() -> None:
    """Write one table of factors for each split and its sheets of pictures, as lossless WebP."""
    for seed, (name, count) in enumerate(COUNTS.items()):
        factors = sample_factors(count, seed)
        if name == "test":
            for i, animal in enumerate(FOLLOWED):
                for factor, value in animal.items():
                    factors[factor][i] = value
        table = np.stack([factors[factor] for factor in FACTORS], 1)
        rows = [",".join(FACTORS), *(",".join(f"{v:.4g}" for v in row) for row in table)]
        (FOLDER / f"{name}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8", newline="\n")
        for sheet in range(count // PER_SHEET):
            part = {k: v[sheet * PER_SHEET : (sheet + 1) * PER_SHEET] for k, v in factors.items()}
            image = Image.fromarray(to_sheet(draw_many(part)))
            image.save(FOLDER / f"{name}_{sheet + 1}.webp", lossless=True, quality=100, method=6, exact=True)
    for path in sorted(FOLDER.glob("t*.*")):
        print(f'    "{path.name}": "{hashlib.sha256(path.read_bytes()).hexdigest()}",')


if __name__ == "__main__":
    main()
