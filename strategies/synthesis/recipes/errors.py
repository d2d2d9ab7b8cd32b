"""What can go wrong with new items made from labelled ones."""

from __future__ import annotations

from strategies.base import StrategyError


class SynthesisError(StrategyError):
    """An item cannot be planned or made; the text says why."""


class UnknownRecipe(SynthesisError, LookupError):
    """No recipe has this name; the text lists those there are, and the nearest."""


class RecipeError(SynthesisError):
    """A recipe's parameters are not what it takes."""


class RenderError(SynthesisError):
    """A picture cannot be made from this parent."""


class Unchanged(RenderError):
    """The recipe would give the parent once more, such as greyscale of a grey picture."""


class AugmenterMissing(SynthesisError):
    """AugLy is not installed, or cannot be loaded; the text names the mend."""
