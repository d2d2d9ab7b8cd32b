"""Near-duplicates found by looks, by a fit and by embeddings, and what it costs to find them all.

Each image is altered in one way; a copy counts as found when its perceptual hash or its embedding
is within the guard's limits of the original's, or when it is fitted on the original and agrees.
Pairs of different images that are found in one of these ways are counted as false.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, where strategies.py would hide the package

import numpy as np  # noqa: E402
import skimage.data  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from PIL import Image, ImageEnhance  # noqa: E402

from benchmarks.report import update_section  # noqa: E402
from labeller.config import Settings  # noqa: E402
from labeller.learning import device  # noqa: E402
from labeller.learning.extraction import compute_missing  # noqa: E402
from labeller.learning.features import open_features  # noqa: E402
from labeller.perceptual_hash import BITS, mirrored, perceptual_hash  # noqa: E402
from labeller.progress import Silent  # noqa: E402
from labeller.project import create_project  # noqa: E402
from labeller.services.alignment import ALIKE, agreement, grey_square  # noqa: E402
from labeller.services.close_looks import find_close_looks, loosely_alike  # noqa: E402
from labeller.services.import_twins import as_words  # noqa: E402
from labeller.services.importing import import_sources  # noqa: E402
from labeller.services.near_duplicates import close_pairs  # noqa: E402

ENLARGED = 112  # pixels of a Fashion-MNIST image, lest 4 % be one pixel
FASHION = Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")
PHOTOS = ("astronaut", "coffee", "chelsea", "rocket", "camera", "coins", "page", "retina")
SIDE = 128
Floats = NDArray[np.float32]


def photos() -> list[Image.Image]:
    """Cut squares that do not overlap out of scikit-image's photos; flat ones are left out."""
    made = []
    for name in PHOTOS:
        image = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
        for top in range(0, image.height - SIDE + 1, SIDE):
            for left in range(0, image.width - SIDE + 1, SIDE):
                part = image.crop((left, top, left + SIDE, top + SIDE))
                if np.asarray(part.convert("L")).std() > 10:
                    made.append(part)
    return made


def fashion(number: int) -> list[Image.Image]:
    """Return the first images of Fashion-MNIST."""
    with gzip.open(FASHION) as file:
        pixels = np.frombuffer(file.read(16 + number * 784), np.uint8, offset=16)
    size = (ENLARGED, ENLARGED)
    return [
        Image.fromarray(one).convert("RGB").resize(size, Image.Resampling.BICUBIC)
        for one in pixels.reshape(-1, 28, 28)
    ]


def compressed(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=30)
    return Image.open(buffer).convert("RGB")


def cropped(share: float) -> Callable[[Image.Image], Image.Image]:
    def crop(image: Image.Image) -> Image.Image:
        edge = max(1, round(image.width * share / 2))
        return image.crop((edge, edge, image.width - edge, image.height - edge))

    return crop


def noisy(image: Image.Image) -> Image.Image:
    rng = np.random.default_rng(0)
    pixels = np.asarray(image, float)
    noise = rng.normal(0, 4, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


ALTERED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "JPEG, quality 30": compressed,
    "10 % brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "noise of 4 grey levels": noisy,
    "grey": lambda image: image.convert("L").convert("RGB"),
    "4 % cropped": cropped(0.04),
    "8 % cropped": cropped(0.08),
    "10 % cropped": cropped(0.1),
    "turned by 2 degrees": lambda image: image.rotate(2, Image.Resampling.BICUBIC),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


def embedded(images: list[Image.Image], folder: Path) -> Floats:
    """Return embeddings (n, e) as a round computes them."""
    source = folder / "source"
    source.mkdir(parents=True)
    for number, image in enumerate(images):
        image.save(source / f"{number:06}.png")
    project = create_project(folder / "project", ["a", "b"])
    import_sources(project, [source])
    with project.store.read() as unit:
        ids = unit.items.ids()
        items = unit.items.many(ids.tolist())
        by_hash = {item.sha256: item.id for item in items.values()}
    features = open_features(project, ids)
    compute_missing(project, features, ids, device.choose("auto"), Silent())
    rows = features.embeddings(ids, features.scaling(ids))
    place = {item_id: row for row, item_id in enumerate(ids.tolist())}
    from hashlib import file_digest

    found = []
    for number in range(len(images)):
        with (source / f"{number:06}.png").open("rb") as file:
            found.append(place[by_hash[file_digest(file, "sha256").hexdigest()]])
    return rows[found]


def different_bits(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def alike(one: bytes | None, other: bytes | None) -> bool:
    """Say whether two hashes link their images in an import."""
    if one is None or other is None:
        return False
    return min(different_bits(one, other), different_bits(mirrored(one), other)) <= BITS


def fitted(
    row: int, others: range, hashes: list[bytes | None], pictures: list[NDArray[np.float64]]
) -> list[int]:
    """Return what a picture agrees with among others, once they lie on each other."""
    known = [other for other in others if hashes[other] is not None]
    looks = [hashes[other] for other in (*known, row)]
    if looks[-1] is None:
        return []
    words = as_words(one for one in looks if one is not None)
    ((near, _),) = loosely_alike(words, len(known))
    return [
        known[place]
        for place in near.tolist()
        if agreement(pictures[known[place]], pictures[row]) >= ALIKE
    ]


def wrongly_fitted(images: list[Image.Image]) -> int:
    """Return how many pairs of different images agree."""
    hashes = [perceptual_hash(one) for one in images]
    pictures = [grey_square(one) for one in images]
    return sum(len(fitted(row, range(row), hashes, pictures)) for row in range(len(images)))


def recall(images: list[Image.Image], name: str, folder: Path, distance: float) -> list[list[str]]:
    """Return a row for each alteration, and one for pairs of different images."""
    everything = [*images, *(alter(one) for alter in ALTERED.values() for one in images)]
    vectors = embedded(everything, folder)
    hashes = [perceptual_hash(one) for one in everything]
    pictures = [grey_square(one) for one in everything]
    n, rows = len(images), []

    def share(found: NDArray[np.bool_]) -> str:
        return f"{found.mean():.0%}"

    for number, alteration in enumerate(ALTERED, 1):
        looks, fits, close = (np.zeros(n, bool) for _ in range(3))
        for one in range(n):
            a, b = hashes[one], hashes[number * n + one]
            looks[one] = alike(a, b)
            fits[one] = one in fitted(number * n + one, range(n), hashes, pictures)
            gap = np.linalg.norm(vectors[one] - vectors[number * n + one])
            close[one] = gap <= distance
        both = looks | close
        rows.append([name, alteration, *map(share, (looks, close, both, fits, both | fits))])
    own = vectors[:n]
    pairs = close_pairs(lambda chosen: own[chosen], n, distance)
    bits = sum(alike(a, b) for i, a in enumerate(hashes[:n]) for b in hashes[:i])
    wrong = wrongly_fitted(images)
    different = f"pairs of {n:,} different images"
    rows.append([name, different, f"{bits}", f"{len(pairs)}", "", f"{wrong}", ""])
    return rows


def looks_alone(images: list[Image.Image], name: str) -> list[list[str]]:
    """Return rows as :func:`recall` does, without embeddings."""
    n, rows = len(images), []
    for alteration, alter in ALTERED.items():
        everything = [*images, *map(alter, images)]
        hashes = [perceptual_hash(one) for one in everything]
        pictures = [grey_square(one) for one in everything]
        looks = np.array([alike(hashes[one], hashes[n + one]) for one in range(n)])
        fits = np.array([one in fitted(n + one, range(n), hashes, pictures) for one in range(n)])
        rows.append(
            [name, alteration, *(f"{one.mean():.0%}" for one in (looks, fits, looks | fits))]
        )
    hashes = [perceptual_hash(one) for one in images]
    bits = sum(alike(a, b) for i, a in enumerate(hashes) for b in hashes[:i])
    different = f"pairs of {n:,} different images"
    return [*rows, [name, different, f"{bits}", f"{wrongly_fitted(images)}", ""]]


def tell_looks(number: int) -> None:
    """Write what looks and a fit find, which takes no model."""
    rows = looks_alone(photos(), "photos") + looks_alone(fashion(number), "Fashion-MNIST")
    update_section(
        "leak_guard_looks",
        "Near-duplicates by looks and by a fit",
        ("images", "altered", "by looks", "by a fit", "by either"),
        rows,
        f"Limits: {BITS} of 256 bits, a fit with a correlation of {ALIKE:g}. Crops are of width "
        f"and height. Photos are squares of {SIDE} pixels cut out of {len(PHOTOS)} photos of "
        f"scikit-image, side by side; images of Fashion-MNIST are enlarged to {ENLARGED} pixels. "
        "The last row of each: pairs of different images found. Without a model: option "
        "`--looks`.",
        script="leak_guard",
    )


def cost(vectors: Floats, sizes: list[int], distance: float) -> list[str]:
    """Return sentences on the seconds it takes to find all pairs, beside brute force."""
    rng, told = np.random.default_rng(0), []
    for size in sizes:
        one, other = rng.integers(0, len(vectors), (2, size))
        mix = rng.random((size, 1), np.float32) / 2
        made = (1 - mix) * vectors[one] + mix * vectors[other]
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        began = time.perf_counter()
        found = close_pairs(made.__getitem__, size, distance)
        ours = time.perf_counter() - began
        began = time.perf_counter()
        plain = 0
        for start in range(0, size, 1_000):
            squared = 2 - 2 * made[start : start + 1_000] @ made.T
            plain += int((squared <= distance**2).sum())
        brute = time.perf_counter() - began
        told.append(
            f"{size:,} embeddings: {ours:.1f} s, {brute / ours:.1f} times as fast as comparing "
            f"all ({len(found):,} pairs)"
        )
    return told


def crowd(number: int, folder: Path) -> str:
    """Return a sentence on what it takes to import as many views of one fixed camera."""
    rng = np.random.default_rng(0)
    seconds, fits = [], []
    for name, scenes in (("different", number), ("alike", 1)):
        source = folder / name
        source.mkdir()
        for place in range(number):
            if place < scenes:
                coarse = rng.integers(0, 256, (12, 12, 3), np.uint8)
                scene = Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC)
            noise = rng.normal(0, 2, (64, 64, 3))
            pixels = (np.asarray(scene, float) + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(source / f"{place:05}.png")
        project = create_project(folder / f"{name}-project", ["a", "b"])
        began = time.perf_counter()
        import_sources(project, [source])
        seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
        find_close_looks(project, "guard", Silent())
        fits.append(time.perf_counter() - began)
    different, alike = seconds
    return (
        f"An import of {number:,} images that look alike takes {alike / different:.1f} times as "
        f"long as one of {number:,} different ones ({different:.1f} s). To look for what was "
        f"cropped or turned, in the next round, takes {fits[0] / different:.2f} times as long as "
        f"the import of the different ones, {fits[1] / alike:.2f} times as that of those alike."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fashion", type=int, default=1_000)
    parser.add_argument("--different", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=5_000)
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--crowd", type=int, default=3_000)
    parser.add_argument("--looks", action="store_true", help="without embeddings and cost")
    options = parser.parse_args()
    if options.looks:
        tell_looks(options.fashion)
        return
    distance = Settings().leak_distance
    with tempfile.TemporaryDirectory() as folder:
        rows = recall(photos(), "photos", Path(folder) / "photos", distance)
        small = fashion(options.fashion)
        rows += recall(small, "Fashion-MNIST", Path(folder) / "fashion", distance)
        different = fashion(options.different)
        several = f"pairs of {options.different:,} different images, by a fit alone"
        rows.append(["Fashion-MNIST", several, "", "", "", f"{wrongly_fitted(different)}", ""])
        vectors = embedded(fashion(options.many), Path(folder) / "many")
        alike = crowd(options.crowd, Path(folder))
    told = cost(vectors, options.sizes, distance)
    update_section(
        "leak_guard",
        "Near-duplicates",
        ("images", "altered", "by looks", "by embeddings", "by either", "by a fit", "by any"),
        rows,
        f"Limits: {BITS} of 256 bits, a fit with a correlation of {ALIKE:g}, embeddings "
        f"{distance:g} apart. Crops are of width and height. Photos are squares of {SIDE} pixels "
        f"cut out of {len(PHOTOS)} photos of scikit-image, side by side, so that some look alike; "
        f"images of Fashion-MNIST are enlarged to {ENLARGED} pixels. The last row of each: pairs "
        f"of different images within the limits. To find all pairs, each vector made of two of "
        f"Fashion-MNIST: {'; '.join(told)}. {alike}",
    )


if __name__ == "__main__":
    main()
