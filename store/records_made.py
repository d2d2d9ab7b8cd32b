"""Frozen records of what the program made by itself: generated labels and synthetic items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from store.records import Split

GeneratedKind = Literal["stream", "propagation"]
RunState = Literal["running", "paused", "finished"]
Verdict = Literal["open", "accepted", "rolled_back"]
Outcome = Literal["ask", "accept", "defer"]
AuditKind = Literal["random", "extra"]
SynthesisState = Literal["running", "done", "failed", "cancelled", "deleted"]
ChildVerdict = Literal["keep", "drop"]


@dataclass(frozen=True, slots=True)
class GeneratedRunRecord:
    """One run of generated labels.

    `cursor` is the last item that passed, `machine` the state after it; a run that can go on is
    ``paused`` while no job runs it. Its generated labels count unless `verdict` is
    ``rolled_back``.
    """

    id: int
    kind: GeneratedKind
    state: RunState
    verdict: Verdict
    verdict_by: str | None
    verdict_at: float | None
    model_id: int
    job_id: int | None
    strategy: str
    params: Mapping[str, Any]
    machine: Mapping[str, Any]
    cursor: int
    asked: int
    accepted: int
    deferred: int
    follow: bool
    created_at: float
    finished_at: float | None
    reason: str | None

    @property
    def passed(self) -> int:
        """How many items were decided."""
        return self.asked + self.accepted + self.deferred


@dataclass(frozen=True, slots=True)
class NewDecision:
    """What became of one item; `detail` is what it takes to decide it again."""

    item_id: int
    outcome: Outcome
    class_id: int
    confidence: float
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A stored decision; `audit` says whether a person is asked blind, and by which draw."""

    run_id: int
    item_id: int
    outcome: Outcome
    class_id: int
    confidence: float
    audit: AuditKind | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GeneratedLabel:
    """A label that a model gave, of a run that is not rolled back; classes resolved."""

    item_id: int
    class_id: int
    confidence: float
    run_id: int
    kind: GeneratedKind
    verdict: Verdict
    model_id: int


@dataclass(frozen=True, slots=True)
class AuditAnswer:
    """A generated label that a person has seen blind: what was generated and what was said."""

    item_id: int
    generated: int
    truth: int
    extra: bool


@dataclass(frozen=True, slots=True)
class GeneratedRow:
    """One generated label as it is exported."""

    item_id: int
    path: str
    sha256: str
    class_name: str
    confidence: float
    at: float
    split: Split
    group: str
    kind: GeneratedKind
    strategy: str
    run_id: int
    model_id: int


@dataclass(frozen=True, slots=True)
class SynthesisRunRecord:
    """One run that made synthetic items; `spent` is what they cost."""

    id: int
    state: SynthesisState
    strategy: str
    params: Mapping[str, Any]
    seed: int
    model_id: int | None
    job_id: int | None
    planned: int
    made: int
    failed: int
    spent: float
    created_at: float
    finished_at: float | None
    error: str | None


@dataclass(frozen=True, slots=True)
class NewSyntheticItem:
    """A child about to be recorded; without `path` and what follows it mixes embeddings.

    `place` is its place in the run's plan, `plan` what it takes to make it again.
    """

    place: int
    parent_id: int
    class_id: int
    recipe: str
    plan: Mapping[str, Any]
    path: str | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class SyntheticRecord:
    """A synthetic item; `id` is its row in the vector files of synthetic items.

    `class_id` is the parent's label when it was made, classes resolved.
    """

    id: int
    run_id: int
    place: int
    parent_id: int
    class_id: int
    recipe: str
    plan: Mapping[str, Any]
    path: str | None
    sha256: str | None
    width: int | None
    height: int | None
    bytes: int | None
    verdict: ChildVerdict | None
    verdict_by: str | None
    verdict_at: float | None
