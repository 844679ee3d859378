"""``python write.py FOLDER``: what ``python make.py check FOLDER`` reads with Keras."""

import sys
from pathlib import Path

import numpy as np

from fastml import keras

sys.path.insert(0, str(Path(__file__).parents[1]))
from saved_models import models

folder = Path(sys.argv[1])
for name, model, X in models(keras):
    model.save(folder / f"{name}.keras")
    np.savez(folder / f"{name}.npz", X=X, predicted=model.predict(X, verbose=0))
