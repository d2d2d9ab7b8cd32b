"""One root for every error a person can meet; each says what, why and how to mend it."""

from __future__ import annotations

from pathlib import Path


class LabellerError(Exception):
    """Root of the errors whose text is meant for the person at the screen."""


class ProjectError(LabellerError):
    """The project folder is missing, damaged, or already there."""


class BrokenError(ProjectError):
    """A project cannot be opened before something is done; `folder` is the project's."""

    def __init__(self, text: str, folder: Path) -> None:
        super().__init__(text)
        self.folder = folder


class DatabaseError(BrokenError):
    """A project's database is gone, damaged or another project's."""


class StrangerError(BrokenError):
    """A project was made elsewhere and asks for what nobody here has agreed to."""


class SecretError(BrokenError):
    """A project's signing key is gone, damaged or too short."""


class ConfigError(LabellerError):
    """A setting has a value that cannot be used."""


class ImportSourceError(LabellerError):
    """A whole source cannot be imported (single bad files never raise)."""


class WorkerError(LabellerError):
    """A process that does part of the work cannot be started."""


class PredictionError(LabellerError):
    """Predictions cannot be made or written."""


class CleaningError(LabellerError):
    """Labels cannot be searched for errors, or a decision about one was refused."""


class ImageError(LabellerError):
    """One image cannot be read; `mend` says what would help."""

    def __init__(self, reason: str, mend: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.mend = mend


class ImageBusy(ImageError):
    """An image cannot be read just now; later it can."""


class TooManyOpenFiles(ImageError):
    """No more files may be open in this process; nothing is wrong with the one it asked for."""

    def __init__(self) -> None:
        super().__init__(
            "too many files are open in this process",
            "Raise the limit before you start it: ulimit -n 65536",
        )


class NoRoomError(LabellerError):
    """What was sent cannot be kept: the disk is full, or too much waits already."""


class ClassError(LabellerError):
    """A class is unknown, taken, or cannot be changed as asked."""


class LabelFileError(LabellerError):
    """A file of labels cannot be applied; nothing of it was."""


class BackupError(LabellerError):
    """A backup cannot be made, read or restored; nothing half of it is left."""


class BudgetError(LabellerError):
    """The labelling budget does not allow it."""


class RoundError(LabellerError):
    """A round cannot be started or finished."""


class ReplayError(LabellerError):
    """A replay cannot be started, or its folder cannot be used."""


class StreamRunError(LabellerError):
    """A run of generated labels cannot be started, go on, or be judged."""


class SynthesisError(LabellerError):
    """New items cannot be planned or made, or a run of them cannot be changed as asked."""


class EvaluationError(LabellerError):
    """What a model predicted for the audit set cannot be read or kept, or that model is gone."""


class LeakError(LabellerError):
    """Near-duplicates cannot be regrouped as asked."""


class TrainingDataError(RoundError):
    """There is not enough to train on; the text says what is missing."""


class BackboneError(LabellerError):
    """A backbone's weights or code are missing; the text names the mend."""


class WeightsError(BackboneError):
    """A backbone's weights are not on this machine and cannot be downloaded."""


class JobError(LabellerError):
    """A job cannot be started, found or ended."""


class JobCancelled(LabellerError):
    """Raised inside a job when somebody pressed Cancel."""


class JobLost(LabellerError):
    """Raised inside a job whose row is no longer its own (it was reaped)."""


class StepError(LabellerError):
    """What was done on a page cannot be taken back, or not be done again."""


class ExportError(LabellerError):
    """The export cannot be written."""


class SnapshotError(LabellerError):
    """A snapshot cannot be written, or a project cannot be made from it."""


class ScopeError(LabellerError):
    """A token is good, but not for this."""


class TokenError(LabellerError):
    """A token is missing, expired, forged, or for another project."""
