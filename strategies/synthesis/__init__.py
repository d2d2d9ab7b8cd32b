"""Synthesis strategies: one method per file, found by its name; recipes, plans and rendering.

A strategy turns labelled items of the training split into plans (parent, recipe, parameters, seed,
score); `render` makes the picture of a plan, the same to the byte each time. `latent_mixup` and
`interpolate` mix embeddings instead: their plans have a partner and a weight, and `blend` makes
vectors and soft labels of them, for the head alone.

For the page
    ``recipes.BY_NAME`` and ``recipes.in_group(group)`` list the recipes; each has a `summary`, its
    `parameters` (`Span` with low, high and help for a slider; `Choice` with options for a box) and
    `usual`, whether it starts switched on. `recipe.narrowed(factor=(0.8, 1.2))` is the recipe as
    the person set it. `draw_plan(parent, recipe, rng)` and `render` make the preview;
    `check_augmenter()` says beforehand, and cheaply, whether anything can be rendered.

For the job
    `Parents(ids, classes, class_count, recipes, counts, ...)` of labelled, trusted items of the
    **training** split, and nobody else's; children join that split and their parent's group.
    `strategy_called(name).needs` says what more it takes: `CHILD_PROBS` are the predictions of
    `trial_plans(parents)`, `TRIAL_PROBS` those of `trial_plans(validation items)` with the items'
    own. Then `strategy_called(name).plan(parents, k, rng)`; one generator of one seed for all makes
    a rerun the same. Write `Plan.to_json()` beside each child. Render in parallel processes, not
    threads, and save without loss (PNG) where the same bytes matter. A longest side of 1,024 pixels
    is plenty: a parent of 4,096 takes seconds. `Unchanged` is no child: it costs nothing. A
    `RenderError` is of one child; `AugmenterMissing` is of all.
    Fewer than `k` plans come back where nothing more can be made; charge for what was made.

This folder's modules import neither AugLy nor its dependencies until the first picture is rendered.
"""

from strategies.synthesis.planning.mixing import blend as blend
from strategies.synthesis.planning.parents import Parents as Parents
from strategies.synthesis.planning.plan import Plan as Plan
from strategies.synthesis.planning.plan import draw_plan as draw_plan
from strategies.synthesis.planning.register import SynthesisInfo as SynthesisInfo
from strategies.synthesis.planning.register import strategy_called as strategy_called
from strategies.synthesis.planning.trials import trial_plans as trial_plans
from strategies.synthesis.recipes.augly_image import check_augmenter as check_augmenter
from strategies.synthesis.recipes.errors import AugmenterMissing as AugmenterMissing
from strategies.synthesis.recipes.errors import RecipeError as RecipeError
from strategies.synthesis.recipes.errors import RenderError as RenderError
from strategies.synthesis.recipes.errors import SynthesisError as SynthesisError
from strategies.synthesis.recipes.errors import Unchanged as Unchanged
from strategies.synthesis.recipes.errors import UnknownRecipe as UnknownRecipe
from strategies.synthesis.recipes.rendering import render as render
