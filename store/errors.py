"""Errors of the store; each text names the database, the reason and the mend."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot do what was asked; the text is meant for the person."""


class SchemaTooNew(StoreError):
    """The database was written by a newer version of the program."""


class StoreBusy(StoreError):
    """Another process kept the database locked for too long."""


class StoreFull(StoreError):
    """There is no room left on the disk."""


class StoreDamaged(StoreError):
    """The file is no database, or is damaged."""


class StoreReadOnly(StoreError):
    """The database was opened to be read only."""


class Conflict(StoreError):
    """A row that must be unique is there already, or a row it refers to is not."""


class NotFound(StoreError):
    """The row asked for does not exist."""


class JobActive(StoreError):
    """An exclusive job of the same kind already waits or runs."""


class VectorError(StoreError):
    """A vector file cannot be used as asked."""


class FileBusy(VectorError):
    """Another process writes to the file."""
