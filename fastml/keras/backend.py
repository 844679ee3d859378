"""What scripts ask of Keras' backend."""

from fastml.keras.config import epsilon, floatx, image_data_format, set_floatx
from fastml.keras.utils import clear_session

__all__ = ["clear_session", "epsilon", "floatx", "image_data_format", "set_floatx"]
