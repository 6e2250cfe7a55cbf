"""Read before any test: numpy and torch take the number of their threads from here when they are loaded."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the command; there are two processes, and threads spin while they wait
