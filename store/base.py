"""What the tables have in common.

Amounts of budget are whole thousandths, so that sums are exact on every database.
"""

from __future__ import annotations

from typing import Any, get_args

from sqlalchemy import JSON, BigInteger, CheckConstraint, Double, Integer, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# SQLite numbers rows by itself only where the column type is exactly INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")
Word = String(32)


class Base(DeclarativeBase):
    """Root of the tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {float: Double, dict[str, Any]: JSON, str: Text}  # noqa: RUF012


def one_of(column: str, words: object) -> CheckConstraint:
    """Return the check that `column` holds one of the words of a Literal type."""
    listed = ", ".join(f"'{word}'" for word in get_args(words))
    return CheckConstraint(f"{column} IN ({listed})", name=column)
