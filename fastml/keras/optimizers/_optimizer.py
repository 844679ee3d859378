"""What optimizers share: names and values of their variables, the learning rate, clipping, weight decay."""

import operator
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastml.keras._naming import auto_name
from fastml.keras._serialization import deserialize_keras_object, serialize_keras_object
from fastml.keras._variable import Variable
from fastml.keras.optimizers.schedules import LearningRateSchedule
from fastml.solvers import backprop


class Optimizer:
    """What updates weights by their gradients.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    weight_decay : float, default=None
        What is taken off each weight before a step, times it and the learning rate.
    clipnorm, clipvalue, global_clipnorm : float, default=None
        Bounds on the norm of each variable's gradient, on each element, or on the norm of all gradients.
    use_ema : bool, default=False
        Whether to average weights over the steps. They become their average when ``fit`` ends.
    ema_momentum : float, default=0.99
        How much of the average stays in a step.
    ema_overwrite_frequency : int, default=None
        Weights become their average after every so many steps, too.
    loss_scale_factor : float, default=None
        Accepted, and without effect: gradients would be divided by what the loss was multiplied by, which is for
        float16.
    gradient_accumulation_steps : int, default=None
        Weights are updated after every so many batches only, by the mean of their gradients.
    name : str, default=None

    Attributes
    ----------
    iterations : Variable or int
        Steps taken; with ``gradient_accumulation_steps`` updates made, a number.
    variables : list of Variable
        The state, in Keras' order.
    trainable_variables : list of Variable
        What it was built for.
    """

    # Groups of kinds of state: Keras makes those of one group variable by variable.
    state_order: tuple[tuple[str, ...], ...] = ()
    # The constructor's own arguments, for ``get_config``.
    arguments: tuple[str, ...] = ()

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        if kwargs.pop("decay", None) is not None:
            warnings.warn(
                "Argument `decay` is no longer supported and will be ignored. A `LearningRateSchedule` is what it was.",
                stacklevel=3,
            )
        if kwargs:
            raise ValueError(f"Argument(s) not recognized: {kwargs}")
        _check_accumulation(gradient_accumulation_steps)
        if use_ema:
            _check_averaging(ema_momentum, ema_overwrite_frequency)
        if loss_scale_factor is not None and not loss_scale_factor > 0:
            raise ValueError(
                f"`loss_scale_factor` must be positive. Received: loss_scale_factor={loss_scale_factor}"
            )
        if sum(clip is not None for clip in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(
                "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set. Received: "
                f"clipnorm={clipnorm}, clipvalue={clipvalue}, global_clipnorm={global_clipnorm}"
            )
        self.name = auto_name(type(self).__name__) if name is None else name
        self.weight_decay, self.clipnorm, self.clipvalue = weight_decay, clipnorm, clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum, self.ema_overwrite_frequency = ema_momentum, ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._excluded: tuple[set[int], list[str]] = (set(), [])
        self._iterations = Variable(np.zeros((), np.int64), "iteration", f"{self.name}/iteration")
        self._learning_rate: Any = learning_rate
        if not callable(learning_rate):
            if not isinstance(learning_rate, float):
                raise ValueError(
                    "Argument `learning_rate` should be float, or an instance of LearningRateSchedule, or a callable "
                    "(that takes in the current iteration value and returns the corresponding learning rate value). "
                    f"Received instead: learning_rate={learning_rate}"
                )
            values = np.array(learning_rate, np.float32)
            self._learning_rate = Variable(values, "learning_rate", f"{self.name}/learning_rate")
        self._state_variables: list[Variable] = []
        self.trainable_variables: list[Any] = []
        self.rule: backprop.Optimizer | None = None

    def _make_rule(self, **shared: Any) -> backprop.Optimizer:
        """What a network takes, for the arguments at hand."""
        raise NotImplementedError

    # Variables

    def build(self, variables: Sequence[Any]) -> None:
        """Make the state for the variables of layers, which a network has laid out or will.

        Raises
        ------
        ValueError
            If it was built for others.
        """
        if self.built:
            known = {id(variable) for variable in self.trainable_variables}
            for variable in variables:
                if id(variable) not in known:
                    raise ValueError(
                        f"Unknown variable: {variable}. This optimizer can only be called for the variables it was "
                        "originally built with. When working with a new set of variables, you should recreate a new "
                        "optimizer instance."
                    )
            return
        bounds = self.clipnorm, self.clipvalue, self.global_clipnorm
        self.rule = self._make_rule(
            weight_decay=self.weight_decay or 0.0,
            # As in Keras, a bound that is not above 0 is none.
            clipping=backprop.Clipping(*(bound if bound and bound > 0 else None for bound in bounds)),
            accumulation=self.gradient_accumulation_steps or None,
            averaging=backprop.Averaging(self.ema_momentum, self.ema_overwrite_frequency or None)
            if self.use_ema
            else None,
        )
        self.trainable_variables = list(variables)
        for variable in variables:
            variable.parameter.decays = self._decays(variable)
        for kinds in (("average",), ("gradient_accumulator",), *self.state_order):
            wanted = [kind for kind in kinds if kind in self.rule.state_names]
            for variable in variables:
                self._state_variables += [self._state_variable(kind, variable) for kind in wanted]
        self.built = True

    def _state_variable(self, kind: str, variable: Any) -> Variable:
        rule, parameter = self.rule, variable.parameter
        assert rule is not None
        name = f"{variable.path.replace('/', '_')}_{kind}"
        return Variable(lambda: rule.state_of(kind, parameter), name, f"{self.name}/{name}")

    @property
    def variables(self) -> list[Variable]:
        rate = [self._learning_rate] if isinstance(self._learning_rate, Variable) else []
        return [self._iterations, *rate, *self._state_variables]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Set all variables."""
        if not self.built:
            raise ValueError(
                "You are calling `set_weights()` on an optimizer that has not yet been built. Please call "
                "`optimizer.build(trainable_variables)` to create the optimizer weights before calling "
                "`set_weights()`."
            )
        for variable, values in zip(self.variables, weights):
            variable.assign(values)

    # The learning rate

    @property
    def iterations(self) -> Any:
        if self.gradient_accumulation_steps:
            return int(self._iterations) // self.gradient_accumulation_steps
        return self._iterations

    def count_step(self) -> None:
        """One more has been taken."""
        self._iterations.value[()] += 1

    @property
    def learning_rate(self) -> Any:
        """The next step's: a variable, or a number if it has a schedule."""
        if isinstance(self._learning_rate, LearningRateSchedule):
            return self._learning_rate(int(self._iterations))
        return self._learning_rate if isinstance(self._learning_rate, Variable) else self._learning_rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if callable(value):
            self._learning_rate = value
        elif isinstance(self._learning_rate, LearningRateSchedule):
            raise TypeError(
                "This optimizer was created with a `LearningRateSchedule` object as its `learning_rate` constructor "
                "argument, hence its learning rate is not settable. If you need the learning rate to be settable, you "
                "should instantiate the optimizer with a float `learning_rate` argument."
            )
        elif isinstance(self._learning_rate, Variable):
            self._learning_rate.assign(np.float32(value))
        else:
            self._learning_rate = Variable(np.array(value, np.float32), "learning_rate")

    def next_rate(self) -> float:
        """The learning rate of the step to come, which is counted once it is done."""
        assert self.rule is not None
        self.rule.iterations = int(self._iterations)
        return float(self.learning_rate)

    # Averages of weights

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """Have variables take their averages, if there are any: what ``fit`` ends with.

        Raises
        ------
        ValueError
            If one is none of those that the optimizer was built for.
        """
        if not self.use_ema or not int(self._iterations):
            return
        assert self.rule is not None
        known = {id(variable) for variable in self.trainable_variables}
        for variable in var_list:
            if id(variable) not in known:
                raise ValueError(
                    f"The optimizer keeps no average of {variable}. Please check if the optimizer was called on your "
                    "model."
                )
            variable.parameter.assign(self.rule.state_of("average", variable.parameter))

    # Weight decay

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Leave variables, or those whose names match a pattern, out of weight decay."""
        if self.built:
            raise ValueError(
                "`exclude_from_weight_decay()` can only be configured before the optimizer is built."
            )
        self._excluded = {id(variable) for variable in var_list or ()}, list(var_names or ())

    def _decays(self, variable: Any) -> bool:
        variables, patterns = self._excluded
        return id(variable) not in variables and not any(re.search(p, variable.name) for p in patterns)

    # Configuration

    def get_config(self) -> dict[str, Any]:
        rate = self._learning_rate
        config = {
            "name": self.name,
            "learning_rate": float(rate) if isinstance(rate, Variable) else serialize_keras_object(rate),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }
        return {**config, **{name: getattr(self, name) for name in self.arguments}}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Optimizer":
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = deserialize_keras_object(config["learning_rate"], custom_objects)
        return cls(**config)


def _check_accumulation(steps: Any) -> None:
    if not steps:
        return
    try:
        accepted = operator.index(steps) >= 2
    except TypeError:
        accepted = False
    if not accepted:
        raise ValueError(
            "`gradient_accumulation_steps` must be an integer >= 2. "
            f"Received: gradient_accumulation_steps={steps}"
        )


def _check_averaging(momentum: Any, overwrite_frequency: Any) -> None:
    if not 0 <= momentum <= 1:
        raise ValueError(f"`ema_momentum` must be in the range [0, 1]. Received: ema_momentum={momentum}")
    if overwrite_frequency and (not isinstance(overwrite_frequency, int) or overwrite_frequency < 1):
        raise ValueError(
            "`ema_overwrite_frequency` must be an integer >= 1 or None. "
            f"Received: ema_overwrite_frequency={overwrite_frequency}"
        )
