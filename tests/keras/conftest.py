"""What every test of fastml.keras shares."""

import pytest

from fastml import keras
from fastml.keras import _device


@pytest.fixture(autouse=True)
def _fresh_session(monkeypatch):
    """Names and seeds begin anew; the arithmetic is the reference's."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    monkeypatch.setattr(_device, "device", lambda: "reference")
