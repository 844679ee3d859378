"""What is known of the arrays between two layers before there are any: shape, type and name."""

from typing import Any, NoReturn

from fastml.keras._naming import auto_name

ONLY_SEQUENTIAL = (
    "fastml.keras has Sequential models only: nothing can be computed with a KerasTensor, nor a model be made of some. "
    "Put layers into a Sequential model; Sequential(model.layers[:k]) has the first k layers of a model, and shares "
    "their weights."
)


class KerasTensor:
    """The input or output of a layer, as ``layer.output`` and ``model.inputs`` have it.

    It tells shape, type and name. Nothing can be computed with it: there are no functional models here.

    Parameters
    ----------
    shape : tuple of int
        With the batch; None stands for a size that is not known.
    dtype : str, default="float32"
    name : str, default=None

    Attributes
    ----------
    sparse, ragged : bool
        False.
    """

    # NumPy's operators leave it to this class to refuse.
    __array_ufunc__ = None
    sparse = ragged = False

    def __init__(self, shape: Any, dtype: str = "float32", *, name: str | None = None):
        self.shape, self.dtype = tuple(shape), dtype
        self.name = auto_name(type(self).__name__) if name is None else name

    @property
    def ndim(self) -> int:
        """The number of axes, that of the batch among them."""
        return len(self.shape)

    def __repr__(self) -> str:
        return (
            f"<KerasTensor shape={self.shape}, dtype={self.dtype}, sparse={self.sparse}, ragged={self.ragged}, "
            f"name={self.name}>"
        )

    def _has_no_value(self, *_: Any, **__: Any) -> NoReturn:
        raise ValueError(
            "A KerasTensor is symbolic: it has a shape and a dtype, and no value. For values call the model, or a "
            "layer, with an array."
        )

    __array__ = __float__ = __int__ = __complex__ = _has_no_value

    def __bool__(self) -> NoReturn:
        raise TypeError("A symbolic KerasTensor cannot be used as a boolean.")

    def _is_not_computed_with(self, *_: Any) -> NoReturn:
        raise NotImplementedError(f"{ONLY_SEQUENTIAL} Received: {self}")

    __iter__ = __getitem__ = _is_not_computed_with
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _is_not_computed_with
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _is_not_computed_with
    __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __neg__ = __abs__ = _is_not_computed_with
    __lt__ = __le__ = __gt__ = __ge__ = _is_not_computed_with
