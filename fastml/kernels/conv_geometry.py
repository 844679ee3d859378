"""How a convolution's filters move over its images."""

from typing import NamedTuple


class Geometry(NamedTuple):
    """What the sizes of the arrays do not say.

    Attributes
    ----------
    strides : tuple of int
        Pixels from one position of the filters to the next, down and across.
    padding : tuple of int
        Rows of zeros above the image, columns of zeros left of it. Below and on the right, there are as many as the
        size of the output needs.
    dilation : tuple of int
        Pixels from one tap of a filter to the next, down and across.
    groups : int
        Input channels and filters are in so many groups, each filter of a group sees the channels of its own only.
    """

    strides: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
