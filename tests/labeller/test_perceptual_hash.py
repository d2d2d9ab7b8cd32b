from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageEnhance
from scipy.fft import dctn

from labeller.perceptual_hash import BITS, BYTES, SIDE, mirrored, perceptual_hash

NAMES = ("astronaut", "coffee", "chelsea", "rocket", "camera")


def photo(name: str) -> Image.Image:
    return Image.fromarray(getattr(skimage.data, name)()).convert("RGB")


def hashed(image: Image.Image) -> bytes:
    found = perceptual_hash(image)
    assert found is not None
    assert len(found) == BYTES
    return found


def different_bits(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def compressed(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=40)
    return Image.open(buffer)


def noisy(image: Image.Image) -> Image.Image:
    rng = np.random.default_rng(0)
    pixels = np.asarray(image, float) + rng.normal(0, 5, np.asarray(image).shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


SAME: dict[str, Callable[[Image.Image], Image.Image]] = {
    "compressed": compressed,
    "shrunk": lambda image: image.resize((image.width // 3, image.height // 3)),
    "stretched": lambda image: image.resize((300, 200)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "grey": lambda image: image.convert("L"),
    "noisy": noisy,
    "with an alpha channel": lambda image: image.convert("RGBA"),
}


@pytest.mark.parametrize("change", SAME)
@pytest.mark.parametrize("name", NAMES)
def test_the_same_picture(name: str, change: str) -> None:
    image = photo(name)
    assert different_bits(hashed(image), hashed(SAME[change](image))) <= BITS


def test_different_pictures_are_far_apart() -> None:
    hashes = [hashed(photo(name)) for name in NAMES]
    apart = [different_bits(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(apart) > 3 * BITS


def test_the_bits_are_those_of_the_cosine_transform() -> None:
    image = photo("coffee")
    levels = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR), float)
    # SciPy's unnormalised transform is twice ours in each direction, which changes no order.
    low = dctn(levels, type=2)[:16, :16].ravel()
    assert hashed(image) == np.packbits(low > np.median(low[1:])).tobytes()


def test_an_image_of_one_colour_has_none() -> None:
    rng = np.random.default_rng(0)
    assert perceptual_hash(Image.new("RGB", (200, 100), (9, 120, 30))) is None
    faint = rng.integers(100, 103, (64, 64), dtype=np.uint8)
    assert perceptual_hash(Image.fromarray(faint)) is None


@pytest.mark.parametrize("name", NAMES)
def test_the_mirror_image_is_foreseen(name: str) -> None:
    image = photo(name)
    turned = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert different_bits(hashed(image), hashed(turned)) > 3 * BITS
    assert different_bits(mirrored(hashed(image)), hashed(turned)) <= BITS
    assert mirrored(mirrored(hashed(image))) == hashed(image)
