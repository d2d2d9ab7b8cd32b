"""Kinds of jobs and the functions that do them.

A handler is named, not imported: only the job process pays for torch.
"""

from __future__ import annotations

KINDS: dict[str, str] = {
    "import": "labeller.services.importing:run_import_job",
    "round": "labeller.learning.round_job:run_round_job",
    "replay": "labeller.learning.replay:run_replay_job",
}
