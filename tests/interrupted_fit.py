"""A fit that Ctrl-C stops, in a process of its own."""

import os
import signal
import subprocess
import sys
import time

from fresh_interpreter import PACKAGE_FOLDER

SECONDS_TO_STOP = 1.0
# A machine that is busy with other things may hold up one attempt; a fit that cannot be stopped holds up each.
ATTEMPTS = 3

PROGRAM = """
import pickle, signal, time
import numpy as np
from scipy import sparse
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
{set_up}
before = {{name: pickle.dumps(value) for name, value in vars(model).items()}}
print("fitting", flush=True)
try:
    model.fit(X, y)
except KeyboardInterrupt:
    print(time.monotonic(), flush=True)
    assert {{name: pickle.dumps(value) for name, value in vars(model).items()}} == before
    print("unchanged", flush=True)
"""


def assert_stopped_and_unchanged(set_up, seconds=0.6):
    """Ctrl-C after some time ends ``model.fit(X, y)`` at once, and leaves the attributes of ``model`` as they were.

    Parameters
    ----------
    set_up : str
        Code that makes X, y and model; np and sparse are there.
    seconds : float
        From the call of ``fit`` on.
    """
    delays = []
    while not delays or (min(delays) >= SECONDS_TO_STOP and len(delays) < ATTEMPTS):
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(set_up=set_up)],
            env={**os.environ, "PYTHONPATH": PACKAGE_FOLDER},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout.readline() == "fitting\n"
                time.sleep(seconds)
                sent = time.monotonic()
                process.send_signal(signal.SIGINT)
                printed, _ = process.communicate(timeout=60)
            finally:
                process.kill()
        stopped, outcome = printed.split()
        assert outcome == "unchanged"
        assert process.returncode == 0
        delays.append(float(stopped) - sent)
    assert min(delays) < SECONDS_TO_STOP
