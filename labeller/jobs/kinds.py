"""Kinds of jobs and the functions that do them.

A handler is named, not imported: only the job process pays for torch.
"""

from __future__ import annotations

# Their jobs differ so much in size that the last one says nothing of how long the next takes.
UNLIKE = frozenset({"import", "predict"})

KINDS: dict[str, str] = {
    "import": "labeller.services.importing:run_import_job",
    "round": "labeller.learning.round_job:run_round_job",
    "stream": "labeller.learning.stream_job:run_stream_job",
    "propagation": "labeller.learning.propagation_job:run_propagation_job",
    "predict_pool": "labeller.learning.pool_job:run_pool_job",
    "predict": "labeller.services.prediction_job:run_predict_job",
    "replay": "labeller.learning.replay:run_replay_job",
    "export_model": "labeller.learning.export_job:run_export_job",
    "backup": "labeller.services.backups:run_backup_job",
    "snapshot": "labeller.services.snapshots:run_snapshot_job",
    "cleaning": "labeller.learning.cleaning_job:run_cleaning_job",
    "synthesis": "labeller.learning.synthesis_job:run_synthesis_job",
}
