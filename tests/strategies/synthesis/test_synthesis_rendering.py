"""Pictures: what each recipe makes, the same each time, of any parent or with a clear error."""

from __future__ import annotations

import hashlib
import itertools
import random as python_random
import threading
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from strategies.synthesis import Plan, RenderError, Unchanged, draw_plan, recipes, render
from strategies.synthesis.recipes import rendering
from strategies.synthesis.recipes.augly_image import asset
from strategies.synthesis.recipes.errors import RecipeError, UnknownRecipe
from strategies.synthesis.recipes.recipe import Recipe
from tests.strategies.synthesis.makers import at_end, picture, plan_of, run_python

every_recipe = pytest.mark.parametrize(
    "recipe", [pytest.param(recipe, id=name) for name, recipe in recipes.BY_NAME.items()]
)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def digests() -> str:
    """Return the hashes of one picture per recipe, for comparison across processes."""
    made = []
    for number, recipe in enumerate(recipes.BY_NAME.values()):
        child = render(picture(), draw_plan(1, recipe, np.random.default_rng(number)))
        made.append(hashlib.sha256(child.tobytes()).hexdigest()[:12] + str(child.size))
    return "\n".join(made)


@every_recipe
@pytest.mark.parametrize("size", [(8, 8), (28, 28), (8, 300), (300, 8), (333, 211)])
def test_works_at_both_ends_of_its_ranges_on_pictures_of_any_shape(
    recipe: Recipe, size: tuple[int, int]
) -> None:
    for mode, end in itertools.product(("L", "RGB"), ("low", "high")):
        parent = picture(*size, mode)
        untouched = parent.tobytes()
        try:
            child = render(parent, at_end(recipe, end))
        except Unchanged:
            grey = mode == "L" and recipe.name in ("saturation", "grayscale")
            square = size[0] == size[1] and recipe.name == "pad_square"
            assert grey or square or min(size) == 8, (mode, end)
            continue
        assert child.mode == mode
        assert min(child.size) >= 1
        assert parent.tobytes() == untouched


@every_recipe
def test_the_same_each_time_whatever_was_drawn_in_between(recipe: Recipe) -> None:
    plan = draw_plan(1, recipe, np.random.default_rng(5))
    first = render(picture(), plan)
    np.random.seed(99)  # noqa: NPY002
    python_random.seed(99)
    second = render(picture(), plan)
    assert (first.size, first.tobytes()) == (second.size, second.tobytes())
    # and the global states are where they were
    assert np.random.random() == np.random.RandomState(99).random()  # noqa: NPY002
    assert python_random.random() == python_random.Random(99).random()


def test_the_same_in_another_process() -> None:
    code = (
        "from tests.strategies.synthesis.test_synthesis_rendering import digests as d; print(d())"
    )
    printed = run_python(code)
    assert printed.strip() == digests()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("random_noise", {"var": 0.01}),
        ("shuffle_pixels", {"factor": 0.1}),
        ("timestamp", {"font_size": 0.09, "color": "white", "x_pos": 0.02, "y_pos": 0.02}),
        ("patch", {"kind": "noise", "overlay_size": 0.3, "x": 0.5, "y": 0.5}),
        ("overlay_onto_background_image", {"background": "noise", "size": 0.7, "x": 0, "y": 0}),
    ],
)
def test_another_seed_makes_another_picture(name: str, values: dict[str, float | str]) -> None:
    parent = picture(200, 160)
    made = {render(parent, plan_of(name, seed, **values)).tobytes() for seed in range(4)}
    assert len(made) == 4


def test_threads_do_not_disturb_one_another() -> None:
    plans = [plan_of("shuffle_pixels", seed, factor=0.1) for seed in range(12)]
    alone = [render(picture(), plan).tobytes() for plan in plans]
    together: dict[int, bytes] = {}

    def work(number: int) -> None:
        together[number] = render(picture(), plans[number]).tobytes()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[number] for number in range(12)] == alone


def test_brightness_halves_every_pixel() -> None:
    child = pixels(render(picture(), plan_of("brightness", factor=0.5)))
    np.testing.assert_allclose(child, pixels(picture()) / 2, atol=1)


def test_opacity_fades_towards_white() -> None:
    child = pixels(render(picture(), plan_of("opacity", level=0.6)))
    np.testing.assert_allclose(child, 0.6 * pixels(picture()) + 0.4 * 255, atol=2)


def test_gamma_by_its_formula() -> None:
    child = pixels(render(picture(), plan_of("gamma", gamma=1.5)))
    np.testing.assert_allclose(child, 255 * (pixels(picture()) / 255) ** 1.5, atol=0.51)


def test_shadow_darkens_one_side_only() -> None:
    parent = Image.new("RGB", (100, 60), (200, 180, 160))
    child = pixels(render(parent, plan_of("shadow", factor=0.5, angle=0, cover=0.4)))
    assert (child[:, :25] == (100, 90, 80)).all()
    assert (child[:, 60:] == (200, 180, 160)).all()
    across = child[30, :, 0]
    assert (np.diff(across) >= 0).all()


def test_crop_is_the_part_it_says() -> None:
    parent = picture(100, 50)
    child = render(parent, plan_of("crop", size=0.8, x=0.5, y=1.0))
    assert child.tobytes() == parent.crop((10, 10, 90, 50)).tobytes()


def test_noise_is_of_the_variance_it_says() -> None:
    parent = Image.new("RGB", (200, 200), (128, 128, 128))
    child = pixels(render(parent, plan_of("random_noise", var=0.01)))
    assert np.std(child / 255) == pytest.approx(0.1, rel=0.02)
    assert np.mean(child) == pytest.approx(127.5, abs=0.5)


def test_shuffled_pixels_are_the_same_ones_elsewhere() -> None:
    parent = picture()
    child = render(parent, plan_of("shuffle_pixels", factor=0.1))
    before, after = pixels(parent).reshape(-1, 3), pixels(child).reshape(-1, 3)
    assert 0.05 < (before != after).any(axis=1).mean() <= 0.1
    assert sorted(before.tolist()) == sorted(after.tolist())


def test_palette_keeps_so_many_colours() -> None:
    child = render(picture(), plan_of("palette", colors=10))
    assert len(np.unique(pixels(child).reshape(-1, 3), axis=0)) <= 10


def test_text_says_what_it_should() -> None:
    parent = Image.new("RGB", (300, 200), (10, 60, 110))
    plan = plan_of(
        "overlay_text",
        text="page 7",
        font="Impact",
        font_size=0.15,
        color="yellow",
        x_pos=0.1,
        y_pos=0.2,
    )
    expected = parent.copy()
    font = ImageFont.truetype(asset("fonts", "Impact.ttf"), 30)
    ImageDraw.Draw(expected).text((30, 40), "page 7", fill=(255, 221, 0), font=font)
    difference = np.abs(pixels(render(parent, plan)) - pixels(expected))
    assert np.median(difference[40:80, 30:110]) == 0
    assert difference.mean() < 0.5  # edges are blended a little differently


@pytest.mark.parametrize("font", recipes.text.FONTS)
def test_every_font_has_the_letters(font: str) -> None:
    parent = Image.new("L", (400, 100), 0)
    shown = set()
    for words in recipes.text.WORDS:
        values: dict[str, Any] = {"font_size": 0.15, "color": "white", "x_pos": 0.02, "y_pos": 0.3}
        plan = plan_of("overlay_text", text=words, font=font, **values)
        shown.add(render(parent, plan).tobytes())
    assert len(shown) == len(recipes.text.WORDS)


def test_emoji_and_patch_stay_inside() -> None:
    for x, y in itertools.product((0.0, 1.0), repeat=2):
        grey = Image.new("RGB", (200, 100), (128, 128, 128))
        plans = [
            plan_of("overlay_emoji", emoji="ghost", emoji_size=0.3, opacity=1.0, x=x, y=y),
            plan_of("patch", kind="black", overlay_size=0.3, x=x, y=y),
        ]
        for plan, size in zip(plans, [(30, 30), (60, 30)], strict=True):
            changed = (pixels(render(grey, plan)) != 128).any(axis=2)
            rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
            assert np.ptp(columns) + 1 == pytest.approx(size[0], abs=4)
            assert np.ptp(rows) + 1 == pytest.approx(size[1], abs=4)


def test_every_emoji_is_there() -> None:
    for name in recipes.emoji.SMILEYS:
        values: dict[str, Any] = {"emoji_size": 0.3, "opacity": 1.0, "x": 0.5, "y": 0.5}
        render(picture(), plan_of("overlay_emoji", emoji=name, **values))


@pytest.mark.parametrize("template", ["web", "mobile"])
def test_the_picture_is_on_the_screenshot_at_its_size(template: str) -> None:
    parent = Image.new("RGB", (200, 200), (255, 0, 255))
    child = render(parent, plan_of("overlay_onto_screenshot", template=template))
    shown = (pixels(child) == (255, 0, 255)).all(axis=2).sum()
    assert shown == pytest.approx(200 * 200, rel=0.03)
    assert child.width * child.height > 3 * 200 * 200


def test_small_pictures_keep_enough_pixels_to_tell() -> None:
    for name in ("scale", "clip_image_size"):
        child = render(picture(28, 28), at_end(recipes.called(name), "low"))
        assert 15 <= min(child.size) <= 16
        child = render(picture(400, 300), at_end(recipes.called(name), "low"))
        assert 70 <= min(child.size) <= 76


def test_metadata_does_not_come_along() -> None:
    parent = picture()
    parent.info["exif"] = b"where it was taken"
    child = render(parent, plan_of("hflip"))
    assert child.info == {}
    assert parent.info == {"exif": b"where it was taken"}


def test_nothing_changed_is_no_child() -> None:
    grey = picture(mode="L").convert("RGB")
    with pytest.raises(Unchanged, match="grayscale changes nothing in this picture"):
        render(grey, plan_of("grayscale", mode="luminosity"))


@pytest.mark.parametrize(
    ("parent", "text"),
    [
        (picture(mode="RGBA"), "must be a picture in mode L or RGB, not RGBA: convert it first"),
        (picture(mode="P"), "not P"),
        (picture(mode="CMYK"), "not CMYK"),
        (Image.new("I;16", (20, 20)), "not I;16"),
        (picture(7, 90), "at least 8 pixels wide and high, not 7 × 90"),
        (Image.new("L", (4097, 4096)), "16,777,216 pixels at most, not 4097 × 4096: make it"),
    ],
)
def test_refuses_a_parent_that_cannot_be_used(parent: Image.Image, text: str) -> None:
    with pytest.raises(RenderError, match=text):
        render(parent, plan_of("hflip"))


def test_the_largest_picture_works() -> None:
    side = 4096
    assert side * side == rendering.MOST_PIXELS
    parent = Image.linear_gradient("L").resize((side, side))
    assert render(parent, plan_of("vflip")).size == (side, side)


def test_refuses_a_plan_that_cannot_be() -> None:
    with pytest.raises(UnknownRecipe, match="Unknown recipe 'latent_mixup'"):
        render(picture(), Plan(1, "latent_mixup"))
    with pytest.raises(RecipeError, match="degrees must be from"):
        render(picture(), Plan(1, "rotate", (("degrees", 70),)))


def test_a_failure_inside_says_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Image.Image:
        raise AssertionError("Radius cannot be negative")

    broken = recipes.recipe.Recipe("broken", "camera", "Fail.", ("blur",), (), fails)
    monkeypatch.setitem(recipes.BY_NAME, "broken", broken)
    with pytest.raises(RenderError, match=r"broken \(.*60 × 48 pixels: Radius cannot be negative"):
        render(picture(), Plan(1, "broken"))
