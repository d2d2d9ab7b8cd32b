"""Trained models and where their predictions lie."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, update

from store.errors import Conflict, NotFound
from store.models_made import GeneratedRun
from store.models_work import Model, Prediction
from store.records import ModelRecord, NewModel, PredictionRecord
from store.repository import Repository, as_record

COLUMNS = (
    Model.id,
    Model.round_id,
    Model.created_at,
    Model.in_use,
    Model.path,
    Model.label_hash,
    Model.labels,
    Model.seed,
    Model.backbone,
    Model.device,
    Model.class_ids,
    Model.config,
    Model.metrics,
    Model.timings,
    Model.versions,
    Model.deleted_at,
)


class Models(Repository):
    """The registered models; the newest is in use."""

    def add(self, model: NewModel, round_id: int) -> ModelRecord:
        """Register a model and put it in use instead of the one before."""
        self._gate()
        self._connection.execute(update(Model).where(Model.in_use.is_(True)).values(in_use=False))
        values = {
            "round_id": round_id,
            "created_at": self._clock(),
            "in_use": True,
            "path": model.path,
            "label_hash": model.label_hash,
            "labels": model.labels,
            "seed": model.seed,
            "backbone": model.backbone,
            "device": model.device,
            "class_ids": [int(class_id) for class_id in model.class_ids],
            "config": dict(model.config),
            "metrics": dict(model.metrics),
            "timings": dict(model.timings),
            "versions": dict(model.versions),
        }
        made = self._connection.execute(insert(Model).values(values).returning(Model.id))
        return self.get(made.scalar_one())

    def get(self, model_id: int) -> ModelRecord:
        """Return one model.

        Raises
        ------
        NotFound
            When there is none.
        """
        found = self._first(select(*COLUMNS).where(Model.id == model_id))
        if found is None:
            raise NotFound(f"There is no model with number {model_id}.")
        return found

    def all(self) -> list[ModelRecord]:
        """Return all models, oldest first, deleted ones too."""
        query = select(*COLUMNS).order_by(Model.id)
        return [_record(row) for row in self._connection.execute(query)]

    def in_use(self) -> ModelRecord | None:
        """Return the model that suggests and predicts now."""
        return self._first(select(*COLUMNS).where(Model.in_use.is_(True)))

    def use(self, model_id: int) -> ModelRecord:
        """Put a model in use instead of the one that is.

        Raises
        ------
        NotFound
            When there is none.
        Conflict
            When it was deleted.
        """
        self._gate()
        if self.get(model_id).deleted_at is not None:
            raise Conflict(f"Model {model_id} was deleted. Choose another.")
        self._connection.execute(update(Model).where(Model.in_use.is_(True)).values(in_use=False))
        self._connection.execute(update(Model).where(Model.id == model_id).values(in_use=True))
        return self.get(model_id)

    def delete(self, model_id: int) -> ModelRecord:
        """Note that a model's files are to go; what it scored stays. The files are the caller's.

        Raises
        ------
        NotFound
            When there is none.
        Conflict
            When it is in use, or a stream that is not finished goes by it.
        """
        self._gate()
        model = self.get(model_id)
        if model.in_use:
            raise Conflict(f"Model {model_id} is in use. Put another in use first.")
        query = select(func.count(GeneratedRun.id)).where(
            GeneratedRun.model_id == model_id, GeneratedRun.state != "finished"
        )
        if self._count(query):
            raise Conflict(f"A stream goes by model {model_id}. Finish it first.")
        self._connection.execute(
            update(Model)
            .where(Model.id == model_id, Model.deleted_at.is_(None))
            .values(deleted_at=self._clock())
        )
        return self.get(model_id)

    def _first(self, query: Select[*tuple[Any, ...]]) -> ModelRecord | None:
        row = self._connection.execute(query).first()
        return _record(row) if row else None


class Predictions(Repository):
    """Which vector file holds a model's predictions."""

    def add(self, model_id: int, file: str, items: int, temperature: float) -> PredictionRecord:
        """Note that the predictions of a model are complete, in place of earlier ones of it."""
        self.drop(model_id)
        made = PredictionRecord(model_id, file, items, temperature, self._clock())
        self._connection.execute(insert(Prediction).values(asdict(made)))
        return made

    def get(self, model_id: int) -> PredictionRecord | None:
        """Return where a model's predictions lie."""
        query = select(
            Prediction.model_id,
            Prediction.file,
            Prediction.items,
            Prediction.temperature,
            Prediction.created_at,
        ).where(Prediction.model_id == model_id)
        row = self._connection.execute(query).first()
        return PredictionRecord(*row) if row else None

    def drop(self, model_id: int) -> bool:
        """Forget a model's predictions and say whether there were any; the file is the caller's."""
        gone = self._connection.execute(delete(Prediction).where(Prediction.model_id == model_id))
        return gone.rowcount == 1


def _record(row: Any) -> ModelRecord:
    return as_record(ModelRecord, (*row[:10], tuple(row[10]), *row[11:]))
