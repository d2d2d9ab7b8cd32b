"""An evaluation as JSON values: what `labeller evaluate --json` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from labeller.services import ablations, energies, leak_guard, training_words, unfamiliar
from labeller.services.evaluation_compare import Bought, Rate
from labeller.services.evaluation_quality import Quality
from labeller.services.evaluation_report import Evaluation, SplitCheck, Stopping
from labeller.services.evaluation_scores import Share
from labeller.services.headline import Headline, summary
from labeller.services.leak_guard import Guarded


def as_json(facts: Evaluation, more: int) -> dict[str, Any]:
    """Return the facts of an evaluation.

    Parameters
    ----------
    facts : Evaluation
    more : int
        How many labels the forecast is about.

    Returns
    -------
    dict
        JSON values; parts that cannot be told yet are None. No item is named, so that the audit set
        stays sealed.
    """
    return {
        "model": _model(facts, facts.model),
        "against": _model(facts, facts.against),
        "audit_labels": len(facts.labels),
        "audit_waiting": facts.waiting,
        "audit_aside": facts.aside,
        "quality": _quality(facts, facts.quality) if facts.quality else None,
        "bought": _bought(facts.bought) if facts.bought else None,
        "stopping": _stopping(facts.stopping(more)),
        "agreement": _agreement(facts),
        "splits": [_split(facts, check) for check in facts.splits],
        "ablation": _ablation(facts),
        "unfamiliar": _unfamiliar(facts),
        "split_method": facts.project.settings.split_method,
        "leaks": _leaks(leak_guard.overview(facts.project)),
        "shown": [{"at": s.at, "annotator": s.annotator, "model": s.model} for s in facts.shown],
        "unreadable": {str(model): why for model, why in facts.failed.items()},
    }


def _ablation(facts: Evaluation) -> dict[str, Any] | None:
    """Return what synthetic items did for the model; None when it learned from none."""
    model = facts.model
    found = None if model is None else ablations.of(model, facts.round_of(model).number)
    if found is None:
        return None
    return {
        "model": found.model_id,
        "synthetic": found.synthetic,
        "n": found.n,
        "with": None if found.with_synthetic is None else asdict(found.with_synthetic),
        "without": None if found.without is None else asdict(found.without),
        "gained": found.gained,
        "lost": found.lost,
        "difference": found.difference,
        "interval": None if found.difference is None else [found.low, found.high],
        "p_value": found.p_value,
        "verdict": found.verdict,
        "why": found.why,
    }


def _unfamiliar(facts: Evaluation) -> dict[str, Any] | None:
    """Return how many images look like nothing seen; of the pool for the model in use only."""
    model = facts.model
    known = None if model is None else energies.kept(model.metrics)
    if model is None or known is None:
        return None
    listing = unfamiliar.listing(facts.project, 0) if model.in_use else None
    counted = listing is not None and listing.why_not is None
    return {
        **known.to_json(),
        "pool": len(listing.pool) if listing is not None and counted else None,
        "pool_above": listing.total if listing is not None and counted else None,
    }


def _leaks(found: Guarded) -> dict[str, Any]:
    return {
        "joined": dict(found.links),
        "apart": found.apart,
        "unused": found.unused,
        "unused_labels": found.unused_labels,
    }


def _model(facts: Evaluation, model: Any) -> dict[str, Any] | None:
    if model is None:
        return None
    round_ = facts.round_of(model)
    return {
        "id": model.id,
        "round": round_.number,
        "labels": round_.labels,
        "created_at": model.created_at,
        "in_use": model.in_use,
    }


def _quality(facts: Evaluation, quality: Quality) -> dict[str, Any]:
    calibration = quality.calibration
    return {
        "n": quality.accuracy.n,
        "right": quality.accuracy.right,
        "accuracy": Headline(quality.accuracy).value,
        "accuracy_text": summary(quality.accuracy),
        "accuracy_interval": [quality.accuracy.low, quality.accuracy.high],
        "accuracy_method": "wilson",
        "macro_f1": quality.macro_f1,
        "macro_f1_interval": [quality.macro_f1_low, quality.macro_f1_high],
        "macro_f1_method": "bootstrap",
        "log_loss": quality.log_loss,
        "temperature": calibration.temperature,
        "temperature_why": training_words.temperature(facts.model.metrics if facts.model else {}),
        "ece_before": calibration.ece_before,
        "ece_after": calibration.ece_after,
        "classes": [
            {
                "class": facts.names.get(score.class_id, f"class {score.class_id}"),
                "support": score.support,
                "precision": _share(score.precision),
                "recall": _share(score.recall),
            }
            for score in quality.scores
        ],
        "confusion": quality.table.tolist(),
        "labels_changed": len(quality.changed),
        "labels_gone": sum(one.gone for one in quality.changed),
        "labels_changed_after_shown": sum(one.after for one in quality.changed),
        "accuracy_in_its_round": Headline(quality.then).value,
        "n_in_its_round": quality.then.n,
    }


def _share(share: Share) -> dict[str, Any]:
    return {"value": share.value, "n": share.n, "interval": [share.low, share.high]}


def _bought(bought: Bought) -> dict[str, Any]:
    return {
        **bought.result.as_json(),
        "labels": bought.price.labels,
        "seconds": bought.price.seconds,
        "per_label": _rate(bought.per_label),
        "per_minute": _rate(bought.per_minute),
    }


def _rate(rate: Rate | None) -> dict[str, Any] | None:
    return None if rate is None else {"value": rate.value, "interval": [rate.low, rate.high]}


def _stopping(stopping: Stopping) -> dict[str, Any]:
    expected, judged = stopping.expected, stopping.judged
    return {
        "points": [{"labels": p.labels, "accuracy": p.accuracy, "n": p.n} for p in stopping.points],
        "verdict": stopping.verdict,
        "verdict_labels": judged.more if judged else None,
        "verdict_gain": judged.gain if judged else None,
        "verdict_gain_interval": [judged.low, judged.high] if judged else None,
        "why": stopping.why,
        "labels": expected.more if expected else None,
        "gain": expected.gain if expected else None,
        "gain_interval": [expected.low, expected.high] if expected else None,
        "seconds": expected.seconds if expected else None,
    }


def _agreement(facts: Evaluation) -> dict[str, Any] | None:
    found = facts.agreement
    if found is None:
        return None
    return {
        "items": found.items,
        "share": found.share,
        "interval": [found.low, found.high],
        "pairs": [
            {
                "annotators": [pair.first, pair.second],
                "n": pair.n,
                "share": pair.share,
                "interval": [pair.low, pair.high],
                "kappa": pair.kappa,
                "kappa_interval": None if pair.kappa is None else [pair.kappa_low, pair.kappa_high],
            }
            for pair in found.pairs
        ],
    }


def _split(facts: Evaluation, check: SplitCheck) -> dict[str, Any]:
    test = check.test
    return {
        "first": test.first,
        "second": test.second,
        "n": [test.n_first, test.n_second],
        "p_value": test.p_value,
        "method": test.method,
        "distance": test.distance,
        "differs": check.differs,
        "class": facts.names.get(test.class_id, f"class {test.class_id}"),
        "shares": [test.first_share, test.second_share],
    }
