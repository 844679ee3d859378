"""Optimizers: the state that they keep for a network, and the step that they add to a program.

What changes between two steps lies in ``settings``, which recorded steps point to.
"""

from collections.abc import Callable
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastml._config import effective_n_threads
from fastml.solvers.backprop._averaging import Averaging
from fastml.solvers.backprop._node import Parameter, Recording, copy_into

if TYPE_CHECKING:
    from fastml.solvers.backprop._network import Network


# States that any optimizer may have.
AVERAGE, ACCUMULATOR = "average", "gradient_accumulator"


class Clipping(NamedTuple):
    """Bounds on gradients, of which at most one is given.

    Attributes
    ----------
    norm : float or None
        Of the Euclidean norm of each parameter's gradient.
    value : float or None
        Of each element's size.
    global_norm : float or None
        Of the Euclidean norm of all gradients together.
    """

    norm: float | None = None
    value: float | None = None
    global_norm: float | None = None


class Optimizer:
    """What all optimizers share.

    Parameters
    ----------
    weight_decay : float, default=0.0
    clipping : Clipping, default=None
    accumulation : int, default=None
        Weights are updated in every so many steps only, by the mean of the gradients since.
    averaging : Averaging, default=None

    Attributes
    ----------
    iterations : int
        Steps taken.
    state : dict of str to array
        Vectors laid out as the network's weights.
    """

    state_names: tuple[str, ...] = ()
    # Of the states that a kind of optimizer has of its own.
    initial_state = 0.0

    def __init__(
        self,
        weight_decay: float = 0.0,
        clipping: Clipping | None = None,
        accumulation: int | None = None,
        averaging: Averaging | None = None,
    ):
        self.weight_decay, self.clipping = weight_decay, clipping or Clipping()
        self.accumulation, self.averaging = accumulation, averaging
        if averaging is not None:
            self.state_names += (AVERAGE,)
        if accumulation is not None:
            self.state_names += (ACCUMULATOR,)
        self.iterations = 0
        self._n_updates_before = 0
        self.state: dict[str, Any] = {}
        self._network: Network | None = None
        # Of parameters that the network at hand does not train.
        self._waiting: dict[tuple[str, Parameter], Any] = {}
        self._settings = np.zeros(self.n_settings)
        self._without_decay = np.zeros(self.n_settings)

    n_settings = 2  # learning rate first, weight decay last

    def settings(self, learning_rate: float) -> list[float]:
        """What the kernel takes, for update number ``n_updates + 1``; weight decay last."""
        raise NotImplementedError

    def record_update(
        self, recording: Recording, w: Any, g: Any, state: dict[str, Any], settings: Any
    ) -> None:
        """Record the update of a part of the weights."""
        raise NotImplementedError

    def attach(self, network: "Network") -> None:
        """Keep state for a network; what is there for its parameters stays, as does what is there for others."""
        if self._network is network:
            return
        before, old = self._network, self.state
        if before is not None:
            left = [parameter for parameter in before.trained if not network.trains(parameter)]
            self._waiting |= {(name, p): before.part(old[name], p) for name in old for p in left}
        self.state = {name: network.vector() for name in self.state_names}
        for name, vector in self.state.items():
            vector[...] = self._initial(name)
            for parameter in network.trained:
                part = network.part(vector, parameter)
                if before is not None and before.trains(parameter):
                    copy_into(part, before.part(old[name], parameter))
                elif (name, parameter) in self._waiting:
                    copy_into(part, self._waiting.pop((name, parameter)))
        self._network = network

    def state_of(self, name: str, parameter: Parameter) -> Any:
        """The part of a state that belongs to a parameter; where no network trains it, one that will."""
        if self._network is None or not self._network.trains(parameter):
            initial = np.full_like(parameter.numpy(), self._initial(name))
            return self._waiting.setdefault((name, parameter), initial)
        return self._network.part(self.state[name], parameter)

    def _initial(self, name: str) -> float:
        return 0.0 if name in (AVERAGE, ACCUMULATOR) else self.initial_state

    @property
    def n_updates(self) -> int:
        """How often weights have been updated."""
        return self.iterations // (self.accumulation or 1)

    def begin_step(self, learning_rate: float) -> None:
        """Set what the next step depends on besides gradients."""
        self._n_updates_before = self.n_updates
        self._settings[:] = self._without_decay[:] = self.settings(learning_rate)
        self._without_decay[-1] = 0.0
        self.iterations += 1

    def record(self, recording: Recording, network: "Network") -> None:
        """Record what comes of gradients: clipping and the update, averages, constraints."""
        if self.accumulation is None:
            self._record_step(recording, network)
        else:
            self._record_accumulation(recording, network)
        if self.averaging is not None:
            recording(self._average, network.weights, self.state[AVERAGE])
        for parameter in network.trained:
            if parameter.constraint is not None:
                project = partial(_project, parameter.constraint)
                recording.on_host(project, (parameter.value,), (parameter.value,))

    def _record_accumulation(self, recording: Recording, network: "Network") -> None:
        """The update is a plan of its own, which some steps run and others do not."""
        step = recording.apart()
        self._record_step(step, network)
        kernels = recording.kernels
        plan = kernels.plan.compile(step.steps, effective_n_threads())
        update = partial(kernels.plan.run, plan)
        recording(self._accumulate, network.gradients, self.state[ACCUMULATOR], update)

    def _accumulate(self, gradients: Any, accumulator: Any, update: Callable[[], None]) -> None:
        accumulator += gradients
        if self.n_updates == self._n_updates_before:
            return
        gradients[...] = accumulator
        gradients /= self.accumulation
        accumulator[...] = 0.0
        update()

    def _average(self, weights: Any, average: Any) -> None:
        assert self.averaging is not None
        self.averaging.update(weights, average, self._n_updates_before)

    def _record_step(self, recording: Recording, network: "Network") -> None:
        self._record_clipping(recording, network)
        for decays, span in _spans(network, by_decay=self.weight_decay != 0):
            state = {name: vector[span] for name, vector in self.state.items()}
            settings = self._settings if decays else self._without_decay
            self.record_update(recording, network.weights[span], network.gradients[span], state, settings)

    def _record_clipping(self, recording: Recording, network: "Network") -> None:
        kernels, clipping = recording.kernels.optimizer, self.clipping
        if clipping.value:
            recording(kernels.clip, network.gradients, clipping.value)
        limit = clipping.norm or clipping.global_norm
        if not limit:
            return
        parts = [network.gradients]
        if clipping.norm:
            parts = [network.part(network.gradients, parameter).reshape(-1) for parameter in network.trained]
        for part in parts:
            squared = recording.array((1,), np.float64)
            recording(kernels.squared_norm, part, squared)
            recording(kernels.scale_by_norm, part, squared, limit)


def _project(constraint: Callable[[Any], Any], value: Any, out: Any) -> None:
    made = np.asarray(constraint(value))
    if made.shape != out.shape:
        raise ValueError(
            f"A constraint must return an array of the shape of its argument, {out.shape}. Received from {constraint}: "
            f"{str(made)[:100]} of shape {made.shape}"
        )
    out[...] = made


def _spans(network: "Network", by_decay: bool) -> list[tuple[bool, slice]]:
    """The whole vector of weights, or neighbours that weight decay applies to alike."""
    if not by_decay:
        return [(True, slice(0, len(network.weights)))]
    spans = []
    for decays, group in groupby(network.trained, key=_decays):
        parameters = list(group)
        first, last = network.span(parameters[0]), network.span(parameters[-1])
        spans.append((decays, slice(first.start, last.stop)))
    return spans


def _decays(parameter: Parameter) -> bool:
    return parameter.decays


class SGD(Optimizer):
    """Gradient descent, with momentum."""

    n_settings = 4

    def __init__(self, momentum: float = 0.0, nesterov: bool = False, **shared: Any):
        self.momentum, self.nesterov = momentum, nesterov
        self.state_names = ("momentum",) if momentum else ()
        super().__init__(**shared)

    def settings(self, learning_rate):
        return [learning_rate, self.momentum, float(self.nesterov), self.weight_decay]

    def record_update(self, recording, w, g, state, settings):
        recording(recording.kernels.optimizer.sgd, w, g, state.get("momentum"), settings)


class RMSprop(Optimizer):
    """Steps divided by the root of a moving mean of squared gradients."""

    n_settings = 5

    def __init__(self, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False, **shared: Any):
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered
        names = [("velocity", True), ("momentum", momentum > 0), ("average_gradient", centered)]
        self.state_names = tuple(name for name, wanted in names if wanted)
        super().__init__(**shared)

    def settings(self, learning_rate):
        return [learning_rate, self.rho, self.momentum, self.epsilon, self.weight_decay]

    def record_update(self, recording, w, g, state, settings):
        means = state.get("average_gradient"), state.get("momentum")
        recording(recording.kernels.optimizer.rmsprop, w, g, state["velocity"], *means, settings)


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of squared gradients."""

    n_settings = 3
    state_names = ("accumulator",)

    def __init__(self, initial_accumulator_value=0.1, epsilon=1e-7, **shared: Any):
        self.initial_state, self.epsilon = initial_accumulator_value, epsilon
        super().__init__(**shared)

    def settings(self, learning_rate):
        return [learning_rate, self.epsilon, self.weight_decay]

    def record_update(self, recording, w, g, state, settings):
        recording(recording.kernels.optimizer.adagrad, w, g, state["accumulator"], settings)


class Adam(Optimizer):
    """Adam, with weight decay AdamW."""

    n_settings = 7

    def __init__(self, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False, **shared: Any):
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad
        self.state_names = ("momentum", "velocity", *(("velocity_hat",) if amsgrad else ()))
        super().__init__(**shared)

    def settings(self, learning_rate):
        step = self.n_updates + 1
        powers = [self.beta_1**step, self.beta_2**step]
        return [learning_rate, self.beta_1, self.beta_2, self.epsilon, *powers, self.weight_decay]

    def record_update(self, recording, w, g, state, settings):
        moments = state["momentum"], state["velocity"], state.get("velocity_hat")
        recording(recording.kernels.optimizer.adam, w, g, *moments, settings)
