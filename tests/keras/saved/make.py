"""Write the files of this folder, with Keras 3.15.1 on TensorFlow 2.21.0: ``python make.py``.

Keras' own files, but for the compression of the zip, without which they are far larger; and what Keras predicts.
With ``python make.py check FOLDER`` it reads files that write.py wrote there, and compares predictions.
"""

import sys
import zipfile
from pathlib import Path

import keras
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from saved_models import models  # noqa: E402


def make():
    keras.utils.set_random_seed(0)
    predictions = {}
    for name, model, X in models(keras):
        whole, packed = HERE / "whole.keras", HERE / f"{name}.keras"
        model.save(whole)
        with zipfile.ZipFile(whole) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
            for member in source.namelist():
                target.writestr(member, source.read(member))
        whole.unlink()
        predictions |= {f"{name}_X": X, f"{name}_predicted": model.predict(X, verbose=0)}
    np.savez_compressed(HERE / "predictions.npz", **predictions)


def check(folder):
    for path in sorted(Path(folder).glob("*.keras")):
        expected = np.load(path.with_suffix(".npz"))
        model = keras.models.load_model(path)
        difference = np.abs(model.predict(expected["X"], verbose=0) - expected["predicted"]).max()
        print(f"{path.name}: {difference:.1e}, {int(model.optimizer.iterations)} steps")
        assert difference < 1e-5


if __name__ == "__main__":
    check(sys.argv[2]) if sys.argv[1:2] == ["check"] else make()
