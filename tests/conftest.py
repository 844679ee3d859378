"""What every test of the suite shares."""

import sys
from pathlib import Path

from hypothesis_profiles import register_profiles

# The harness under compat/ is used by tests outside it, and by the processes that it starts.
sys.path.insert(0, str(Path(__file__).parent / "compat"))

# Before tests are collected: what they ask of Hypothesis is a share of the profile's.
register_profiles()
