"""Data sets of a user's class: what is asked of them and when, as Keras 3.15 does it on TensorFlow."""

import threading
import time

import numpy as np
import pytest

from fastml import keras
from fastml.keras import callbacks, layers
from fastml.keras.utils import PyDataset, Sequence


class Numbered(PyDataset):
    """Batches of two rows that are the batch's place; ``asked`` is what was asked for, and when epochs were."""

    def __init__(self, n=4, **options):
        super().__init__(**options)
        self.n, self.asked = n, []

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        self.asked.append(index)
        return np.full((2, 1), index, "f"), np.full((2, 1), 2.0 * index, "f")

    def on_epoch_begin(self):
        self.asked.append("begin")

    def on_epoch_end(self):
        self.asked.append("end")


def new_model(rate=0.0):
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


class Batches(callbacks.Callback):
    """The place of each batch, from its loss: the model is the identity, and targets are twice the place."""

    def __init__(self):
        super().__init__()
        self.places, self._seen = [], 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._seen = 0.0

    def on_train_batch_end(self, batch, logs=None):
        total = logs["loss"] * (batch + 1)
        self.places.append(round(np.sqrt(max(total - self._seen, 0.0))))
        self._seen = total


EPOCH = ["begin", 0, 1, 2, 3, "end"]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_fit_evaluate_predict(workers):
    """One batch comes before, to know shapes from; Keras asks for two."""
    data = Numbered(workers=workers)
    model = new_model()
    seen = Batches()
    model.fit(data, epochs=2, shuffle=False, verbose=0, callbacks=[seen])
    assert seen.places == [0, 1, 2, 3] * 2
    # Threads take batches in their order, but may be overtaken before they say so.
    of_epochs = [data.asked[1:7], data.asked[7:]]
    assert data.asked[0] == 0
    for of_epoch in of_epochs:
        assert (of_epoch[0], sorted(of_epoch[1:-1]), of_epoch[-1]) == ("begin", [0, 1, 2, 3], "end")
    data.asked.clear()
    assert model.evaluate(data, verbose=0) == pytest.approx(3.5)
    np.testing.assert_array_equal(model.predict(data, verbose=0)[:, 0], [0, 0, 1, 1, 2, 2, 3, 3])
    if workers < 2:
        assert data.asked == [0, *EPOCH] * 2


def test_fit_shuffles_batches():
    data, seen = Numbered(20), Batches()
    new_model().fit(data, epochs=2, verbose=0, callbacks=[seen])
    first, second = seen.places[:20], seen.places[20:]
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second
    assert list(range(20)) not in (first, second)
    keras.utils.set_random_seed(0)
    again = Batches()
    new_model().fit(Numbered(20, workers=4), epochs=2, verbose=0, callbacks=[again])
    assert again.places == seen.places


def test_validation_is_in_order():
    data, validation = Numbered(), Numbered(3)
    history = new_model().fit(data, validation_data=validation, epochs=2, verbose=0).history
    assert validation.asked == [0, *["begin", 0, 1, 2, "end"] * 2]
    assert history["val_loss"] == pytest.approx([5 / 3] * 2)


def test_an_epoch_of_so_many_steps_goes_on_where_the_last_one_ended():
    data = Numbered(6, workers=2, max_queue_size=1)
    seen = Batches()
    new_model().fit(data, epochs=3, steps_per_epoch=2, shuffle=False, verbose=0, callbacks=[seen])
    assert seen.places == [0, 1, 2, 3, 4, 5]
    assert data.asked.count("begin") == data.asked.count("end") == 3


def test_a_data_set_without_end():
    class Endless(Numbered):
        num_batches = None

    seen = Batches()
    new_model().fit(Endless(workers=2), epochs=2, steps_per_epoch=3, verbose=0, callbacks=[seen])
    assert seen.places == [0, 1, 2, 3, 4, 5]
    assert new_model().predict(Endless(), steps=2, verbose=0).shape == (4, 1)


def test_it_may_change_between_epochs():
    class Growing(Numbered):
        def on_epoch_end(self):
            self.n += 1

    seen = Batches()
    new_model().fit(Growing(1), epochs=3, shuffle=False, verbose=0, callbacks=[seen])
    assert seen.places == [0, 0, 1, 0, 1, 2]


def test_weights():
    class Weighted(Numbered):
        def __getitem__(self, index):
            return *super().__getitem__(index), np.array([0.0, 2.0])

    class Labelled(Numbered):
        def __getitem__(self, index):
            return np.ones((2, 1), "f"), np.array([[0.0], [index % 2]])

    assert new_model().evaluate(Weighted(), verbose=0) == pytest.approx(3.5)
    history = new_model().fit(Labelled(), class_weight={0: 1.0, 1: 5.0}, verbose=0).history
    assert history["loss"] == [pytest.approx(0.75)]
    with pytest.raises(ValueError, match="cannot `class_weight` and `sample_weight`"):
        new_model().fit(Weighted(), class_weight={0: 1.0}, verbose=0)


def test_workers_fetch_ahead_at_the_same_time():
    all_at_once = threading.Barrier(3, timeout=60)

    class Meeting(Numbered):
        def __getitem__(self, index):
            if "begin" in self.asked:
                all_at_once.wait()
            return super().__getitem__(index)

    new_model().fit(Meeting(6, workers=3), verbose=0)


def test_no_more_than_the_queue_takes_are_fetched():
    class Slow(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.05)
            places = [each for each in data.asked[1:] if isinstance(each, int)]
            assert len(places) <= batch + 1 + 2 + 1

    data = Numbered(12, workers=2, max_queue_size=2)
    new_model().fit(data, verbose=0, callbacks=[Slow()])


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_come_through_and_threads_end(workers):
    class Broken(Numbered):
        def __getitem__(self, index):
            if index == 2:
                raise RuntimeError("no such file")
            return super().__getitem__(index)

    for use in ("fit", "evaluate", "predict"):
        with pytest.raises(RuntimeError, match="no such file"):
            getattr(new_model(), use)(Broken(8, workers=workers), verbose=0)
    assert not [t for t in threading.enumerate() if t.name.startswith("fastml-dataset")]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_iteration_of_the_data_set_does_not_end_the_epoch(workers):
    class Stops(Numbered):
        def __getitem__(self, index):
            return super().__getitem__(index) if index != 2 else next(iter(()))

    for use in ("fit", "evaluate", "predict"):
        with pytest.raises(RuntimeError, match="generator raised StopIteration"):
            getattr(new_model(), use)(Stops(4, workers=workers), verbose=0)


def test_threads_end_with_the_training():
    class Stop(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    model, data = new_model(), Numbered(8, workers=2)
    model.fit(data, steps_per_epoch=3, verbose=0, callbacks=[Stop()])
    model.fit(data, epochs=2, verbose=0, callbacks=[Stop()])
    assert not [t for t in threading.enumerate() if t.name.startswith("fastml-dataset")]
    assert data.asked.count("begin") == 2
    assert data.asked.count("end") == 0  # of epochs that were stopped


class WithoutInit(Sequence):
    """As old scripts have it."""

    def __init__(self, shape=(2, 1)):
        self.shape = shape

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return np.ones(self.shape, "f"), np.ones(self.shape, "f")


def test_a_class_that_does_not_call_its_base():
    assert Sequence is PyDataset
    with pytest.warns(
        UserWarning, match=r"should call `super\(\).__init__\(\*\*kwargs\)` in its constructor"
    ):
        new_model().fit(WithoutInit(), verbose=0)


def test_it_is_iterable():
    assert [x[0, 0] for x, _ in Numbered(3)] == [0, 1, 2]


def broken(batch):
    data = Numbered()
    type_ = type("Broken", (Numbered,), {"__getitem__": lambda self, index: batch})
    data.__class__ = type_
    return data


REFUSED = [
    (lambda m: m.fit(Numbered(), np.ones(8)), "providing `x` as a PyDataset, `y` should not be passed"),
    (lambda m: m.fit(Numbered(), sample_weight=np.ones(8)), "`sample_weight` should not be passed"),
    (lambda m: m.fit(Numbered(), validation_split=0.5), "`validation_split` is only supported for"),
    (lambda m: m.fit(Numbered(0)), "The PyDataset has length 0"),
    (lambda m: m.fit(broken("x")), r"PyDataset.__getitem__\(\) must return a tuple.*Received: x"),
    (lambda m: m.fit(broken((1, 2, 3, 4))), "Data is expected to be in format"),
    (lambda m: Numbered(use_multiprocessing=True), "use_multiprocessing=True is not supported.*threads"),
    (lambda m: Numbered(workers=-1), "`workers` must be an integer of at least 0"),
    (lambda m: Numbered(max_queue_size=0), "`max_queue_size` must be an integer of at least 1"),
]


@pytest.mark.parametrize(("use", "message"), REFUSED)
def test_what_is_refused(use, message):
    with pytest.raises(ValueError, match=message):
        use(new_model())


def test_what_a_class_must_have():
    with pytest.raises(NotImplementedError, match=r"neither `__len__\(\)` nor the property `num_batches`"):
        new_model().fit(PyDataset())
    with pytest.raises(NotImplementedError, match="has no `__getitem__"):
        PyDataset()[0]
