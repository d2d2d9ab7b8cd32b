"""What all tests share."""

from __future__ import annotations

import os
import tempfile

# Each test process and each job it starts gets one core: threads of torch that wait for a core
# that another process has spin, and made the suite last more than half as long again.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test writes into the account's own list of projects.
if "LABELLER_STATE" not in os.environ:
    _state = tempfile.TemporaryDirectory(prefix="labeller-tests-")
    os.environ["LABELLER_STATE"] = _state.name
