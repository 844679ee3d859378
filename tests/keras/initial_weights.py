"""``python initial_weights.py FOLDER``: what Keras on TensorFlow begins with, as ``fastml.keras`` should.

Each scenario takes the package, a seed having been set, and gives arrays. ``outcomes`` adds what Python's generator
gives next, which tells whether as many seeds were taken from it. FOLDER has the model of ``with_generators``, saved by
``fastml.keras``, and gets it back, saved by Keras.
"""

import copy
import pickle
import random
import sys
import tempfile
from pathlib import Path

import numpy as np

SHAPES = [(3, 5), (2, 3, 4, 7), (9, 4), (1, 1)]
NAMES = [
    *("glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal"),
    *("random_normal", "random_uniform", "truncated_normal", "variance_scaling", "OrthogonalInitializer"),
    *("normal", "uniform"),
]
SEEDS = [0, 5, -3, 2**31 - 2, 2**31, 2**33 + 7, 2**62]


def mnist(keras):
    """The network of Keras' MNIST script."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def small(keras, n=3):
    """Something to copy, with both kinds of what takes seeds."""
    layers = keras.layers
    return keras.Sequential([keras.Input((4,)), layers.Dense(n), layers.Dropout(0.3), layers.Dense(2)])


def with_generators(keras):
    """Generators as seeds, and layers that have some."""
    layers, generator = keras.layers, keras.random.SeedGenerator(3, name="mine")
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(3, kernel_initializer=keras.initializers.HeNormal(seed=generator)),
            *(layers.Dropout(0.0), layers.Dropout(0.5), layers.Dropout(0.5, seed=2**40)),
            layers.Dense(2, kernel_initializer=keras.initializers.Orthogonal(seed=generator)),
        ]
    )


def mnist_script(keras):
    return mnist(keras).get_weights()


def several_models(keras):
    return [w for n in (3, 70) for w in small(keras, n).get_weights()]


def every_argument(keras):
    """All initializers of all layers: the order in which a constructor makes them matters."""
    layers = keras.layers
    image = keras.Sequential(
        [
            keras.Input((9, 9, 4)),
            layers.Conv2D(
                6, 3, groups=2, bias_initializer="random_uniform", kernel_initializer="random_uniform"
            ),
            layers.DepthwiseConv2D(
                2,
                depth_multiplier=2,
                depthwise_initializer="he_uniform",
                bias_initializer="random_uniform",
            ),
            layers.SeparableConv2D(
                3,
                2,
                depthwise_initializer="lecun_uniform",
                pointwise_initializer="he_uniform",
                bias_initializer="random_uniform",
            ),
            layers.BatchNormalization(
                beta_initializer="random_uniform",
                gamma_initializer="uniform",
                moving_mean_initializer="random_uniform",
                moving_variance_initializer="uniform",
            ),
            layers.LayerNormalization(beta_initializer="random_uniform", gamma_initializer="uniform"),
            layers.Flatten(),
            layers.Dense(5, bias_initializer="random_uniform"),
        ]
    )
    sequence = keras.Sequential([keras.Input((9, 3)), layers.Conv1D(4, 3, bias_initializer="uniform")])
    return image.get_weights() + sequence.get_weights()


def other_layers(keras):
    """None of these takes a seed, but for Dropout with a rate and without a seed of its own."""
    layers = keras.layers
    made = [
        *(layers.Dropout(0.0), layers.Dropout(0.4), layers.Dropout(1.0), layers.Dropout(0.4, seed=3)),
        *(layers.ReLU(), layers.LeakyReLU(0.1), layers.ELU(), layers.Softmax(), layers.Activation("tanh")),
        *(layers.MaxPooling2D(), layers.AveragePooling1D(2), layers.GlobalMaxPooling2D(), layers.Flatten()),
        *(layers.Reshape((4,)), layers.Permute((2, 1)), layers.ZeroPadding2D(), layers.UpSampling2D()),
        *(layers.Rescaling(0.5), layers.BatchNormalization(), layers.LayerNormalization()),
    ]
    return [np.array(layer.seed_generator.state) for layer in made if hasattr(layer, "seed_generator")]


def built_later(keras):
    """Seeds are taken when layers are made, whenever they are built."""
    layers = keras.layers
    found = []
    for build in (
        lambda model: model.build((None, 4)),
        lambda model: model(np.zeros((2, 4), "float32")),
        lambda model: model.predict(np.zeros((2, 4), "float32"), verbose=0),
    ):
        model = keras.Sequential([layers.Dense(3), layers.Dropout(0.2)])
        model.add(layers.Dense(2))
        build(model)
        found += model.get_weights()
    return found


def rebuilt(keras):
    model = small(keras)
    model.add(keras.layers.Dense(6))
    model.pop()
    model.pop()
    model.add(keras.layers.Dense(5, kernel_initializer=keras.initializers.HeUniform))
    return model.get_weights()


def nested(keras):
    inner = small(keras, 4)
    model = keras.Sequential([keras.Input((4,)), inner, keras.layers.Dense(3)])
    return [*model.get_weights(), *keras.models.clone_model(model).get_weights()]


def identifiers(keras):
    """An initializer that two layers have in common gives both the same values; names and classes make new ones."""
    initializers = keras.initializers
    one = initializers.RandomUniform(-1, 2)
    described = initializers.serialize(initializers.HeUniform())
    given = (one, one, one.clone(), described, described, initializers.LecunUniform, "uniform")
    made = [keras.layers.Dense(3, kernel_initializer=identifier) for identifier in given]
    return keras.Sequential([keras.Input((4,)), *made]).get_weights()


def copies(keras):
    model = small(keras)
    found = model.get_weights()
    clone = keras.models.clone_model(model)
    again = keras.Sequential.from_config(model.get_config())
    parsed = keras.models.model_from_json(model.to_json())
    layer = keras.layers.Dense.from_config(model.layers[0].get_config())
    layer.build((None, 4))
    for other in (clone, again, parsed, layer):
        found += other.get_weights()
    return found


def files(keras):
    """Reading a model makes its layers, which take seeds before weights replace what they give."""
    model = small(keras)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.models.load_model(path)
        model.save_weights(Path(folder) / "model.weights.h5")
        model.load_weights(Path(folder) / "model.weights.h5")
    return [*loaded.get_weights(), *small(keras).get_weights()]


def pickles(keras):
    model = small(keras)
    return [*pickle.loads(pickle.dumps(model)).get_weights(), *copy.deepcopy(model).get_weights()]


def trained(keras):
    """Training takes no seeds."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 4)).astype("float32"), rng.integers(0, 2, 40)
    model = small(keras)
    metrics = ["accuracy", keras.metrics.AUC(), keras.metrics.Precision()]
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=metrics)
    one_hot = np.eye(2)[y]
    model.fit(X, one_hot, epochs=2, batch_size=16, validation_split=0.2, verbose=0)
    model.evaluate(X, one_hot, verbose=0)
    model.predict(X, verbose=0)
    return small(keras).get_weights()


def python_seeded(keras):
    """The same where only Python's generator was seeded."""
    random.seed(5)
    return trained(keras)


def doubles(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((7, 4)),
            layers.Conv1D(3, 2, dtype="float64"),
            layers.Flatten(dtype="float64"),
            layers.Dense(3, dtype="float64", kernel_initializer="he_uniform"),
        ]
    )
    return model.get_weights()


def own_layer(keras):
    """``add_weight`` without an initializer."""

    class Own(keras.layers.Layer):
        def build(self, input_shape):
            self.first = self.add_weight((3, 4))
            self.second = self.add_weight((2, 2), "he_uniform")

    layers = [Own(), Own()]
    for layer in layers:
        layer.build((None, 3))
    return [np.array(variable) for layer in layers for variable in (layer.first, layer.second)]


def seeds(keras):
    found = []
    for seed in SEEDS:
        found.append(keras.initializers.GlorotUniform(seed=seed)((5, 7)))
        generator = keras.random.SeedGenerator(seed)
        initializer = keras.initializers.RandomUniform(-1, 1, seed=generator)
        found += [initializer((3,)), initializer((3, 2)), np.array(generator.state) % 2**32]
        if seed >= 0:
            continue
        model = keras.Sequential([keras.Input((4,))])
        for _ in range(2):
            model.add(keras.layers.Dense(3, kernel_initializer=initializer, bias_initializer=initializer))
        found += model.get_weights()
        again = keras.Sequential.from_config(model.get_config())
        found += again.get_weights()
    unseeded = keras.initializers.LecunUniform(seed=keras.random.SeedGenerator())
    return [*found, unseeded((4, 4)), unseeded((4, 4))]


def bounds(keras):
    uniform = keras.initializers.RandomUniform
    cases = [(-0.3, 0.7), (0, 1), (-1e-3, 5), (np.float64(-0.1), np.float64(0.1))]
    return [
        uniform(low, high, seed=2)((3, 5), dtype) for low, high in cases for dtype in ("float32", "float64")
    ]


def drawn(keras):
    draws = keras.random
    generator = draws.SeedGenerator(8)
    return [
        draws.uniform((3,)),
        draws.uniform((2, 3), -2.5, 0.1, "float64"),
        draws.uniform((5,), seed=3),
        draws.uniform((5,), seed=generator),
        draws.uniform((5,), seed=generator),
        draws.uniform(()),
        draws.uniform((0, 3)),
    ]


def normals(keras):
    """Not to the last bit."""
    draws = keras.random
    found = [draws.normal((3, 3), 2.0, 0.3), draws.truncated_normal((3, 3), 2.0, 0.3, "float64", 5)]
    found += [initializer((50, 40)) for initializer in map(keras.initializers.get, ("normal", "he_normal"))]
    return found + [
        keras.initializers.VarianceScaling(scale, mode, distribution, seed=scale)((7, 9), dtype)
        for scale in (1, 3)
        for mode in ("fan_in", "fan_out", "fan_avg")
        for distribution in ("normal", "untruncated_normal", "uniform")
        for dtype in ("float32", "float64")
    ]


def initializers(keras):
    """By every name."""
    return [keras.initializers.get(name)(shape) for name in NAMES for shape in SHAPES]


# Of uniform numbers alone, or of nothing drawn: the same bits.
EXACT = [
    *(mnist_script, several_models, every_argument, other_layers, built_later, rebuilt, nested, identifiers),
    *(copies, files, pickles, trained, python_seeded, doubles, own_layer, seeds, bounds, drawn),
]
CLOSE = [normals, initializers]


def outcomes(keras, scenario, seed=0):
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    return [*map(np.array, scenario(keras)), np.array(random.random())]


def main(folder):
    import keras

    keras.models.load_model(folder / "ours.keras").save(folder / "theirs.keras")

    found = {
        f"{scenario.__name__} {i}": array
        for scenario in (*EXACT, *CLOSE)
        for i, array in enumerate(outcomes(keras, scenario))
    }
    for seed in range(5):
        for i, array in enumerate(outcomes(keras, mnist_script, seed)):
            found[f"seed {seed} {i}"] = array
    np.savez(folder / "outcomes.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
