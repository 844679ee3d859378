"""What every test of fastml.keras shares."""

import pytest

from fastml import keras


@pytest.fixture(autouse=True)
def _fresh_session():
    """Names and seeds begin anew."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
