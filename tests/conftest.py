"""What every test of the suite shares."""

import sys
from pathlib import Path

from hypothesis import settings

# The harness under compat/ is used by tests outside it, and by the processes that it starts.
sys.path.insert(0, str(Path(__file__).parent / "compat"))

# No test is timed: on a busy machine Hypothesis' deadline would fail a right answer for being late.
settings.register_profile("fastml", deadline=None)
settings.load_profile("fastml")
