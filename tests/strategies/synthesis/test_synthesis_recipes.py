"""The recipes: every AugLy function that works, in ranges that are checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from strategies.synthesis import recipes
from strategies.synthesis.recipes.augly_image import augmenting
from strategies.synthesis.recipes.errors import RecipeError, UnknownRecipe
from strategies.synthesis.recipes.recipe import GROUPS, Choice, Recipe, Span
from strategies.synthesis.recipes.rendering import render
from tests.strategies.synthesis.makers import at_end, picture, run_python

BROKEN = {"meme_format", "perspective_transform"}
every_recipe = pytest.mark.parametrize(
    "recipe", [pytest.param(recipe, id=name) for name, recipe in recipes.BY_NAME.items()]
)


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_the_two_that_fail_still_do(name: str) -> None:
    """When this fails, AugLy or its dependencies mended them: make a recipe of each."""
    with augmenting(0) as augment, pytest.raises(AttributeError, match=r"getsize_multiline|float"):
        augment(name, picture())


def test_every_function_of_augly_that_works_has_a_recipe() -> None:
    import augly.image

    functions = {
        name
        for name in augly.image.__all__
        if name.islower() and not name.endswith("_intensity") and name != "aug_np_wrapper"
    }
    used = {name for recipe in recipes.BY_NAME.values() for name in recipe.augly}
    assert used == functions - BROKEN


@every_recipe
def test_a_recipe_calls_what_it_says(recipe: Recipe) -> None:
    called: list[str] = []
    with augmenting(0) as augment:

        def spy(function: str, image: Image.Image, /, **arguments: Any) -> Image.Image:
            called.append(function)
            return augment(function, image, **arguments)

        plan = at_end(recipe, "low")
        recipe.paint(spy, picture(), plan.values, 1)
    assert sorted(called) == sorted(recipe.augly)


@every_recipe
def test_a_recipe_says_what_it_is(recipe: Recipe) -> None:
    assert recipe.group in GROUPS
    assert recipe.summary.endswith(".")
    assert recipe in recipes.in_group(recipe.group)
    names = [parameter.name for parameter in recipe.parameters]
    assert len(set(names)) == len(names)
    for parameter in recipe.parameters:
        assert parameter.help
        if isinstance(parameter, Span):
            assert parameter.low < parameter.high
        else:
            assert len(set(parameter.options)) == len(parameter.options) > 1


def test_every_group_has_recipes_and_most_are_usual() -> None:
    assert all(recipes.in_group(group) for group in GROUPS)
    unusual = {name for name, recipe in recipes.BY_NAME.items() if not recipe.usual}
    assert unusual == {"hflip", "vflip", "pad_square"}


@every_recipe
def test_what_is_drawn_is_allowed(recipe: Recipe) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        drawn = recipe.draw(rng)
        assert recipe.checked(drawn) == drawn
        assert all(type(value) in (int, float, str) for value in drawn.values())


def test_spans_and_choices_refuse_what_is_outside() -> None:
    span = Span("factor", 0.5, 2.0, "how much")
    for wrong in (0.49, 2.01, float("nan"), float("inf"), "1", True):
        with pytest.raises(RecipeError, match=r"factor must be from 0\.5 to 2"):
            span.check(wrong)
    whole = Span("colors", 2, 5, "how many", whole=True)
    assert {whole.draw(np.random.default_rng(seed)) for seed in range(50)} == {2, 3, 4, 5}
    with pytest.raises(RecipeError, match="must be a whole number"):
        whole.check(2.5)
    with pytest.raises(RecipeError, match="axis must be one of x, y"):
        Choice("axis", ("x", "y"), "along which").check("z")


def test_narrowed_recipes() -> None:
    skew = recipes.called("skew").narrowed(skew_factor=(0.1, 0.2), axis=("y",))
    for seed in range(50):
        drawn = skew.draw(np.random.default_rng(seed))
        assert 0.1 <= float(drawn["skew_factor"]) <= 0.2
        assert drawn["axis"] == "y"
    limits: list[tuple[dict[str, Any], str]] = [
        ({"skew_factor": (0.1, 9)}, "must be from"),
        ({"skew_factor": (0.2, 0.1)}, "cannot go from 0.2 down to 0.1"),
        ({"skew_factor": (0.1,)}, "needs two numbers"),
        ({"skew_factor": ("a", "b")}, "needs two numbers"),
        ({"axis": ("z",)}, "must be one of x, y"),
        ({"axis": ()}, "needs at least one of x, y"),
        ({"angle": (1, 2)}, "skew has no parameter 'angle'"),
    ]
    for limit, text in limits:
        with pytest.raises(RecipeError, match=text):
            recipes.called("skew").narrowed(**limit)


def test_parameters_must_be_those_of_the_recipe() -> None:
    rotate = recipes.called("rotate")
    for wrong in ({}, {"degrees": 1, "more": 2}, {"degree": 1}):
        with pytest.raises(RecipeError, match="rotate takes degrees, not"):
            rotate.checked(wrong)
    with pytest.raises(RecipeError, match="rotate: degrees must be from"):
        rotate.checked({"degrees": 90})


def test_an_unknown_recipe_lists_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(UnknownRecipe, match="Did you mean 'brightness'") as caught:
        recipes.called("brightnes")
    assert all(name in str(caught.value) for name in recipes.BY_NAME)


def test_augly_is_imported_at_the_first_picture_and_not_before() -> None:
    code = (
        "import sys\n"
        "from strategies import registry, synthesis\n"
        "registry.all()\n"
        "print('augly' in sys.modules, 'magic' in sys.modules)\n"
        "from tests.strategies.synthesis.makers import picture, plan_of\n"
        "synthesis.render(picture(), plan_of('brightness', factor=0.5))\n"
        "print('augly' in sys.modules)\n"
    )
    printed = run_python(code)
    assert printed.split() == ["False", "False", "True"]


# as python-magic meets it where the library is missing
NO_LIBMAGIC = (
    "import ctypes, ctypes.util\n"
    "real = ctypes.CDLL\n"
    "def missing(name, *rest, **more):\n"
    "    if name and 'magic' in str(name):\n"
    "        raise OSError(f'{name}: cannot open shared object file')\n"
    "    return real(name, *rest, **more)\n"
    "ctypes.CDLL = missing\n"
    "ctypes.util.find_library = lambda name: None\n"
)


def test_every_recipe_paints_the_same_without_libmagic() -> None:
    code = (
        "import hashlib, sys\n"
        "from strategies.synthesis import check_augmenter, recipes, render\n"
        "from tests.strategies.synthesis.makers import at_end, picture\n"
        "check_augmenter()\n"
        "digest = hashlib.sha256()\n"
        "for recipe in recipes.BY_NAME.values():\n"
        "    digest.update(render(picture(), at_end(recipe, 'high')).tobytes())\n"
        "print(digest.hexdigest(), 'magic' in sys.modules)\n"
    )
    with_it = run_python(code).split()
    without = run_python(NO_LIBMAGIC + code).split()
    assert without == [with_it[0], "False"]


def test_the_stand_in_for_libmagic_tells_images_from_other_files(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    picture().save(tmp_path / "image.txt", "PNG")
    code = NO_LIBMAGIC + (
        "from strategies.synthesis.recipes.augly_image import load\n"
        "load()\n"
        "from augly.utils import is_image_file, is_video_file\n"
        f"folder = {str(tmp_path)!r}\n"
        "print(is_image_file(folder + '/image.txt'), is_image_file(folder + '/text.png'))\n"
        "print(is_video_file(folder + '/image.txt'))\n"
        "try:\n"
        "    import magic\n"  # it stands in for AugLy alone
        "except ImportError:\n"
        "    print('missing')\n"
    )
    assert run_python(code).split() == ["True", "False", "False", "missing"]


def test_a_missing_augly_is_named() -> None:
    code = (
        "import sys\nsys.modules['augly'] = None\n"
        "from strategies.synthesis import AugmenterMissing, check_augmenter, render\n"
        "from tests.strategies.synthesis.makers import picture, plan_of\n"
        "for ask in (\n"
        "    check_augmenter, lambda: render(picture(), plan_of('brightness', factor=0.5))\n"
        "):\n"
        "    try:\n"
        "        ask()\n"
        "    except AugmenterMissing as error:\n"
        "        print(error)\n"
    )
    assert run_python(code).count("Install the package augly") == 2


def test_looking_for_the_augmenter_does_not_load_it() -> None:
    code = (
        "import sys\n"
        "from strategies.synthesis import check_augmenter\n"
        "check_augmenter()\n"
        "print('augly' in sys.modules)\n"
    )
    assert run_python(code).split() == ["False"]


def test_render_is_what_the_recipe_paints() -> None:
    plan = at_end(recipes.called("blur"), "high")
    with augmenting(plan.seed) as augment:
        painted = recipes.called("blur").paint(augment, picture(), plan.values, plan.seed)
    assert painted.tobytes() == render(picture(), plan).tobytes()
