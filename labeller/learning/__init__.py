"""Training, prediction and evaluation: the only package that imports torch and fastai.

Imported inside job processes alone. The environment is set here, before any module below imports
torch: threads that wait must sleep (an epoch took 10 s instead of 1.5 s beside one busy process
when they span), and cuBLAS needs a fixed workspace to give the same sums every time.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
