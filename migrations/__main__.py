"""Draft the next revision from the difference between the tables and the newest one.

``python -m migrations "what changes"`` writes a file into ``migrations/versions``; read it, put it
right, and set `store.schema.HEAD` to its revision.
"""

from __future__ import annotations

import sys

from store.schema import draft

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit('Say what changes: python -m migrations "what changes"')
    sys.stdout.write(f"{draft(sys.argv[1])}\n")
