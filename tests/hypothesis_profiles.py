"""How many examples a run of the tests draws: what each asks for, or by ``--hypothesis-profile`` a share of that.

What several runs of the same tests draw adds up: one run draws in full, and those that look at something else
(another instruction-set level, an installed wheel) draw less.
"""

from hypothesis import settings

# Hypothesis' own number for tests that ask for none: a profile's max_examples is so many in a hundred.
_IN_FULL = 100
_FEWEST = 5


def register_profiles():
    # No test is timed: on a busy machine Hypothesis' deadline would fail a right answer for being late.
    settings.register_profile("full", deadline=None, max_examples=_IN_FULL)
    settings.register_profile("third", deadline=None, max_examples=33)
    settings.register_profile("brief", deadline=None, max_examples=10)
    settings.load_profile("full")


def examples(number):
    """``max_examples`` of a test that asks for this number: the profile's share of it."""
    return max(_FEWEST, number * settings().max_examples // _IN_FULL)


def in_full():
    """Whether lists of cases should be gone through in full."""
    return settings().max_examples == _IN_FULL
