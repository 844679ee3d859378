"""Keras' MNIST script, whose import line names ``fastml.keras`` instead of ``tensorflow.keras``; then a plot.

python examples/mnist_cnn.py        writes mnist_cnn.png
"""

import matplotlib.pyplot as plt

from fastml.keras import datasets, layers, models

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
history = model.fit(x_train, y_train, epochs=5, batch_size=128, validation_data=(x_test, y_test))
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
mistakes = (model.predict(x_test, verbose=0).argmax(axis=1) != y_test).sum()
print(
    f"test loss {loss:.4f}, accuracy {accuracy:.4f}: {mistakes} of {len(y_test):,} images taken for another digit"
)

figure, panels = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
epochs = [epoch + 1 for epoch in history.epoch]
for panel, name in zip(panels, ("loss", "accuracy")):
    panel.plot(epochs, history.history[name], "o-", label="training")
    panel.plot(epochs, history.history[f"val_{name}"], "s-", label="test")
    panel.set(xlabel="epoch", ylabel=name, xticks=epochs)
    panel.legend()
figure.savefig("mnist_cnn.png", dpi=120)
