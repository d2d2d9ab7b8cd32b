"""What all tests share."""

from __future__ import annotations

import os

# Each test process and each job it starts gets one core: threads of torch that wait for a core
# that another process has spin, and made the suite last more than half as long again.
os.environ.setdefault("OMP_NUM_THREADS", "1")
