"""Facts and transactions: tables, repositories and memory-mapped vectors.

Import what is needed from the modules: this package stays empty, so that
``store.vectors`` and ``store.records`` do not pull in SQLAlchemy.
"""

from store.errors import (
    Conflict,
    JobActive,
    NotFound,
    SchemaTooNew,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreReadOnly,
    VectorError,
)

__all__ = [
    "Conflict",
    "JobActive",
    "NotFound",
    "SchemaTooNew",
    "StoreBusy",
    "StoreDamaged",
    "StoreError",
    "StoreFull",
    "StoreReadOnly",
    "VectorError",
]
