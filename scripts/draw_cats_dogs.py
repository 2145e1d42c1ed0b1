"""Draw the cats_dogs pictures into data/cats_dogs and print the checksums that vae_utils/data/cats_dogs.py holds."""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from vae_utils.data.cats_dogs import COUNTS, FOLLOWED, PER_SHEET, sample_factors, to_sheet
from vae_utils.data.drawing import FACTORS, draw_many
from vae_utils.data.files import write_atomically


def main() -> None:
    where = Path(__file__).parents[1] / "data" / "cats_dogs"
    for seed, (name, count) in enumerate(COUNTS.items()):
        factors = sample_factors(count, seed)
        if name == "test":
            for i, animal in enumerate(FOLLOWED):
                for factor, value in animal.items():
                    factors[factor][i] = value
        table = np.stack([factors[factor] for factor in FACTORS], 1)
        rows = [",".join(FACTORS), *(",".join(f"{v:.4g}" for v in row) for row in table)]
        text = "\n".join(rows) + "\n"
        write_atomically(where / f"{name}.csv", lambda file, text=text: file.write(text.encode()))
        for sheet in range(count // PER_SHEET):
            part = {k: v[sheet * PER_SHEET : (sheet + 1) * PER_SHEET] for k, v in factors.items()}
            image = Image.fromarray(to_sheet(draw_many(part)))
            write_atomically(
                where / f"{name}_{sheet + 1}.webp",
                lambda file, image=image: image.save(file, "WEBP", lossless=True, quality=100, method=6, exact=True),
            )
    for path in sorted(where.glob("t*.*")):
        print(f'    "{path.name}": "{hashlib.sha256(path.read_bytes()).hexdigest()}",')


if __name__ == "__main__":
    main()
