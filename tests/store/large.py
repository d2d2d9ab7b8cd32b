"""Fill a database with many rows quickly, as imports and labelling would have left it."""

from __future__ import annotations

from sqlalchemy import text

from store.engine import database
from store.store import Store

SQLITE = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :items)
"""
POSTGRES = "WITH n AS (SELECT generate_series(1, :items) AS i)"

STATEMENTS = (
    """INSERT INTO item (id, sha256, path, copied, width, height, format, bytes, group_key, split,
    added_at, state) {n} SELECT i, {hash}, '/images/' || i || '.jpg', {false}, 64, 64, 'JPEG', 1000,
    'g' || i, CASE i % 10 WHEN 0 THEN 'audit' WHEN 1 THEN 'valid' ELSE 'train' END, 1.0,
    CASE WHEN i <= :labels THEN 'labelled' ELSE 'unlabelled' END FROM n""",
    """INSERT INTO event (id, key, kind, item_id, class_id, annotator_id, source, at, undone,
    current, opinion, cost) {n} SELECT i, 'k' || i, 'label', i, 1 + i % 10, 1, 'page', i, {false},
    {true}, {false}, 1000 FROM n WHERE i <= :labels""",
    """INSERT INTO label (item_id, class_id, annotator_id, at, source, event_id)
    SELECT item_id, class_id, annotator_id, at, source, id FROM event""",
    """INSERT INTO item_tally (state, split, items)
    SELECT state, split, count(*) FROM item GROUP BY state, split""",
    """INSERT INTO class_tally (class_id, split, labels) SELECT class_id, split, count(*)
    FROM label JOIN item ON item.id = item_id GROUP BY class_id, split""",
)


def fill_large(store: Store, items: int, labels: int) -> None:
    """Add ten classes, `items` items, the first `labels` of them labelled."""
    with store.write() as unit:
        unit.annotators.ensure("ann")
        for position in range(10):
            unit.classes.add(f"class {position}", str(position), "#000000", position)
    sqlite = store.dialect == "sqlite"
    words = {
        "n": SQLITE if sqlite else POSTGRES,
        "hash": "printf('%064x', i)" if sqlite else "lpad(to_hex(i), 64, '0')",
        "false": "0" if sqlite else "false",
        "true": "1" if sqlite else "true",
    }
    numbers = {"items": items, "labels": labels}
    with database(store.url).engine.connect().execution_options(writes=True) as connection:
        with connection.begin():
            for statement in STATEMENTS:
                connection.execute(text(statement.format(**words)), numbers)
            if not sqlite:
                for table in ("item", "event"):
                    connection.execute(
                        text(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))")
                    )
        if not sqlite:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
