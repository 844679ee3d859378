"""Keras' MNIST script, with ``fastml.keras`` in its import lines in place of ``tensorflow.keras``.

    python examples/mnist_cnn.py [--epochs 5] [--output mnist_cnn.png]

Trains the small convolutional network, prints the test accuracy and plots how loss and accuracy went.
"""

import argparse
import time
from pathlib import Path

from fastml.keras import datasets, layers, models


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("mnist_cnn.png"), help="where the plot goes")
    arguments = parser.parse_args()

    (x_train, y_train), (x_test, y_test) = datasets.mnist.load_data()
    x_train = x_train.reshape(-1, 28, 28, 1).astype("float32") / 255
    x_test = x_test.reshape(-1, 28, 28, 1).astype("float32") / 255

    model = models.Sequential(
        [
            layers.Conv2D(32, kernel_size=(3, 3), activation="relu", input_shape=(28, 28, 1)),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.summary()

    start = time.perf_counter()
    history = model.fit(
        x_train, y_train, epochs=arguments.epochs, batch_size=128, validation_data=(x_test, y_test)
    )
    print(f"fit: {time.perf_counter() - start:.1f} s")
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    predicted = model.predict(x_test, verbose=0).argmax(axis=1)
    print(
        f"test: loss {loss:.4f}, accuracy {accuracy:.4f}, {(predicted != y_test).sum()} of {len(y_test)} wrong"
    )
    plot(history, arguments.output)
    print(f"plot: {arguments.output}")


def plot(history, path: Path) -> None:
    """Loss and accuracy by epoch, of training and test images."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    epochs = [epoch + 1 for epoch in history.epoch]
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for axis, name in zip(axes, ("loss", "accuracy")):
        axis.plot(epochs, history.history[name], "o-", label="training")
        axis.plot(epochs, history.history[f"val_{name}"], "s-", label="test")
        axis.set(xlabel="epoch", ylabel=name, xticks=epochs)
        axis.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
