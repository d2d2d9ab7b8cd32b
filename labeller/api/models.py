"""What the API takes and gives; every field has a limit, so that a request stays small."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

LARGEST_ID = 2**63 - 1
MOST_EVENTS = 200
MOST_CLAIMED = 50


def _check_class(value: object) -> object:
    """Say in words what a class may be; of a union pydantic tells every part."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("must be a class name (text), or an integer")
    return value


def _storable(text: str) -> str:
    """Refuse text that a database or a UTF-8 file cannot hold."""
    if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("must be text without NUL characters and lone surrogates")
    return text


Key = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[!-~]+$")]


ClassNumber = Annotated[int, Field(ge=-LARGEST_ID, le=LARGEST_ID)]
Identity = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Reason = Annotated[str, Field(max_length=500), AfterValidator(_storable)]
ClassName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_storable)]
StrategyName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9_]+$")]


class Taken(BaseModel):
    """Base of request bodies: an unknown field is a mistake, not something to pass over.

    So is a value of another JSON type: ``true``, ``1.0`` and ``"1"`` are no ``1``.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)


class Problem(BaseModel):
    """Why a request was not carried out."""

    detail: str


class ClaimRequest(Taken):
    """Ask for items to label."""

    session: Key = Field(description="The tab or client that will hold the leases.")
    n: int = Field(ge=1, le=MOST_CLAIMED, description="Most items to hold, live leases included.")


class RenewRequest(Taken):
    """Keep the leases of a session."""

    session: Key


class ReleaseRequest(Taken):
    """Give leased items back."""

    session: Key
    items: list[Identity] | None = Field(
        default=None, max_length=1_000, description="Which; all of the session's when left out."
    )


class LabelEvent(Taken):
    """One thing an annotator did to one item."""

    key: Key = Field(description="Made by the client; the same key twice is stored once.")
    kind: Literal["label", "skip", "flag"]
    item: Identity
    class_: Annotated[ClassName | ClassNumber, BeforeValidator(_check_class)] | None = Field(
        default=None,
        alias="class",
        description="Class name; for `label` only. An integer is the class of that name, or the "
        "class id, and refused where these are two classes.",
    )
    class_id: Identity | None = Field(
        default=None, description="Class id, in place of `class`; for `label` only."
    )
    reason: Reason | None = Field(default=None, description="Why it was flagged.")
    duration_ms: int | None = Field(default=None, ge=0, le=86_400_000)
    client_at: float | None = Field(default=None, ge=0, le=1e11)

    @model_validator(mode="after")
    def _check_label(self) -> Self:
        """Refuse a label without a class, and a class where it would be passed over."""
        given = (self.class_ is not None) + (self.class_id is not None)
        if self.kind == "label" and given != 1:
            raise ValueError("a label needs either `class` or `class_id`")
        if self.kind != "label" and given:
            raise ValueError(f"a {self.kind} has no class: leave `class` and `class_id` out")
        return self


class LabelsRequest(Taken):
    """A batch of events, in the order they were done."""

    session: Key
    events: list[LabelEvent] = Field(min_length=1, max_length=MOST_EVENTS)


class UndoEvent(Taken):
    """Take one earlier event back."""

    key: Key
    undoes: Key = Field(description="Key of the event to take back; only one's own.")


class UndoRequest(Taken):
    """A batch of undos, in the order they were done."""

    session: Key
    events: list[UndoEvent] = Field(min_length=1, max_length=MOST_EVENTS)


class RedoEvent(Taken):
    """Do one event again that was taken back."""

    key: Key
    redoes: Key = Field(description="Key of the event to do again; only one's own.")


class RedoRequest(Taken):
    """A batch of redos, in the order they were done."""

    session: Key
    events: list[RedoEvent] = Field(min_length=1, max_length=MOST_EVENTS)


class RoundRequest(Taken):
    """Start a round; what is left out comes from the project's settings."""

    strategy: StrategyName | None = None
    batch: int | None = Field(default=None, ge=1, le=100_000)


class BudgetRequest(Taken):
    """Set the whole labelling budget."""

    total: float | None = Field(ge=0, le=1e12, description="Null for no limit.")


class Queue(BaseModel):
    """How far the present queue is."""

    waiting: int
    leased: int
    done: int
    total: int


class Budget(BaseModel):
    """The labelling budget; `total` and `left` are null when there is no limit."""

    total: float | None
    spent: float
    reserved: float
    left: float | None
    price: float


class Meters(BaseModel):
    """The counters that every answer about labelling carries."""

    queue: Queue
    budget: Budget
    round: int | None = Field(description="Number of the latest round.")
    version: str = Field(description="Another whenever the queue is replaced or added to.")
    at: float = Field(description="When it was so, in UTC seconds.")


class Suggestion(BaseModel):
    """What the model thinks an item is."""

    model_config = ConfigDict(populate_by_name=True)

    class_: int = Field(alias="class")
    confidence: float | None


class ClaimedItem(BaseModel):
    """One item to label; a blind one has no suggestion."""

    item: int
    name: str
    width: int
    height: int
    blind: bool
    again: bool = Field(
        description="Somebody else has labelled it; the answer is kept as a second opinion."
    )
    suggestion: Suggestion | None
    strategy: str | None
    image: str = Field(description="Below the API's root; add `&size=thumb|card|full`.")


class Claimed(Meters):
    """Items to label, or why there are none."""

    items: list[ClaimedItem]
    lease_seconds: int
    empty: dict[str, Any] | None


class Renewed(Meters):
    """How many leases a session still holds."""

    renewed: int


class Released(Meters):
    """How many leases were given back."""

    released: int


class EventAnswer(BaseModel):
    """What became of one event."""

    key: str
    status: Literal["accepted", "duplicate", "second_opinion", "refused"]
    item: int | None
    reason: str | None


class Recorded(Meters):
    """What became of a batch of events, in its order."""

    results: list[EventAnswer]


class CurrentLabel(BaseModel):
    """The label an item has now."""

    model_config = ConfigDict(populate_by_name=True)

    class_: int = Field(alias="class")
    name: str
    annotator: str
    at: float


class Item(BaseModel):
    """One image of the project."""

    item: int
    name: str
    width: int
    height: int
    state: Literal["unlabelled", "labelled", "skipped", "flagged"]
    image: str
    label: CurrentLabel | None


class ListedItem(BaseModel):
    """One image of the project in a list."""

    item: int
    path: str
    sha256: str
    width: int
    height: int
    group: str
    split: Literal["train", "valid", "audit", "unused"]
    state: Literal["unlabelled", "labelled", "skipped", "flagged"]
    label: CurrentLabel | None


class ItemList(BaseModel):
    """A page of items."""

    items: list[ListedItem]
    total: int = Field(description="How many match in all.")
    after: int | None = Field(description="Send it as `after` for the next page; null at the end.")


class ClassAnswer(BaseModel):
    """One class of the project."""

    id: int
    name: str
    key: str | None
    colour: str
    labels: int = Field(description="Items that have this label now.")


class Round(BaseModel):
    """One round of the loop."""

    id: int
    number: int
    state: Literal["running", "done", "failed", "cancelled"]
    strategy: str
    batch: int
    job: int | None
    model: int | None
    started_at: float
    finished_at: float | None
    labels: int
    spent: float
    queued: int
    timings: dict[str, float]
    error: str | None
    metrics: dict[str, Any] | None = Field(description="Of the round's model.")


class Job(BaseModel):
    """One job; its row is the only truth about it."""

    id: int
    kind: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: float
    stage: str
    message: str
    detail: dict[str, Any]
    result: dict[str, Any] | None
    error: str | None
    created_at: float
    started_at: float | None
    heartbeat_at: float | None
    finished_at: float | None
    cancel_requested: bool


class Token(BaseModel):
    """A fresh token."""

    token: str
    expires_in: float = Field(description="Seconds it is good for.")


class Health(BaseModel):
    """The server answers."""

    status: Literal["ok"] = "ok"
