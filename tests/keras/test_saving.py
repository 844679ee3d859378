"""Models as files: what is saved is loaded again, here and by Keras."""

import json
import os
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from saved_models import models

from fastml import _files, keras
from fastml.keras import layers

SAVED = Path(__file__).parent / "saved"
NAMES = ["images", "sequences", "nested"]


def predictions(name):
    with np.load(SAVED / "predictions.npz") as arrays:
        return arrays[f"{name}_X"], arrays[f"{name}_predicted"]


def small(optimizer="adam", **compile):
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, "relu"), layers.Dropout(0.5), layers.Dense(1)]
    )
    model.compile(optimizer, compile.pop("loss", "mse"), **compile)
    X = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    model.fit(X, X[:, :1], verbose=0)
    return model, X


def assert_same(model, other):
    for ours, theirs in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(ours.value, theirs.value, strict=True)
    for ours, theirs in zip(model.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours.value, theirs.value, strict=True)


# Files of Keras


@pytest.mark.parametrize("name", NAMES)
def test_models_saved_by_keras_predict_the_same(name):
    model = keras.models.load_model(SAVED / f"{name}.keras")
    X, expected = predictions(name)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, rtol=0, atol=1e-5)
    assert model.compiled
    assert int(model.optimizer.iterations) == 2
    assert any(np.any(variable.value) for variable in model.optimizer.variables[2:])


def test_training_goes_on_from_a_file_of_keras():
    model = keras.models.load_model(SAVED / "images.keras")
    X, expected = predictions("images")
    before = model.evaluate(X, expected, verbose=0, return_dict=True)
    assert set(before) == {"loss", "mae", "squares"}
    model.fit(X, expected, epochs=3, verbose=0)
    assert int(model.optimizer.iterations) == 5


@pytest.mark.parametrize("name", NAMES)
def test_the_layout_is_that_of_keras(name, tmp_path):
    """Members, groups, names, dtypes and shapes, and the configuration but for what is drawn by lot."""
    [model] = [model for other, model, _ in models(keras) if other == name]
    model.save(tmp_path / "ours.keras")
    with zipfile.ZipFile(tmp_path / "ours.keras") as ours, zipfile.ZipFile(SAVED / f"{name}.keras") as theirs:
        assert ours.namelist() == [*theirs.namelist(), "fastml_state.json"]
        assert (
            json.loads(ours.read("metadata.json")).keys() == json.loads(theirs.read("metadata.json")).keys()
        )
        configs = [json.loads(archive.read("config.json")) for archive in (ours, theirs)]
        arrays = []
        for archive in (ours, theirs):
            with archive.open("model.weights.h5") as file, h5py.File(file) as h5:
                found = {}
                h5.visititems(
                    lambda path, entry, found=found: found.update(
                        {path: (entry.dtype, entry.shape) if hasattr(entry, "shape") else list(entry.attrs)}
                    )
                )
                arrays.append(found)
    assert arrays[0] == arrays[1]
    assert _comparable(configs[0]) == _comparable(configs[1])


def _comparable(config):
    """Without names that count objects, Keras' numbers of shared objects, and Huber's delta, which Keras forgets."""
    if isinstance(config, list):
        return [_comparable(entry) for entry in config]
    if isinstance(config, float):
        return round(config, 6)
    if not isinstance(config, dict):
        return config
    left_out = {"shared_object_id", "delta"} | (
        {"name"} if "trainable" in config or "batch_shape" in config else set()
    )
    if config.get("compile_config") == {}:  # a model that was not compiled: Keras writes it or not
        left_out.add("compile_config")
    return {key: _comparable(value) for key, value in config.items() if key not in left_out}


# There and back


@pytest.mark.parametrize("name", NAMES)
def test_what_is_saved_is_loaded(name, tmp_path):
    [(model, X)] = [(model, X) for other, model, X in models(keras) if other == name]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_same(model, loaded)
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert loaded.get_config() == model.get_config()
    assert loaded.get_compile_config() == model.get_compile_config()


def test_training_goes_on_as_it_would_have(tmp_path):
    model, X = small()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for either in (model, loaded):
        either.fit(X, X[:, :1], epochs=2, shuffle=False, verbose=0)
    assert_same(model, loaded)


def test_weights(tmp_path):
    model, _ = small()
    model.save_weights(tmp_path / "model.weights.h5")
    model.save(tmp_path / "model.keras")
    for file in ("model.weights.h5", "model.keras"):
        other, _ = small()
        other.set_weights([np.zeros_like(values) for values in other.get_weights()])
        other.load_weights(tmp_path / file)
        for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert int(other.optimizer.iterations) == 1


def test_weights_for_a_model_that_differs_in_a_layer(tmp_path):
    model, _ = small()
    model.save_weights(tmp_path / "model.weights.h5")
    other = keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.Dense(2)])
    kept = other.layers[1].get_weights()
    with pytest.raises(ValueError, match=r"dense_.*/kernel' has shape \(4, 2\), the file \(4, 1\)"):
        other.load_weights(tmp_path / "model.weights.h5")
    with pytest.warns(UserWarning, match="keeps its weights"):
        other.load_weights(tmp_path / "model.weights.h5", skip_mismatch=True)
    np.testing.assert_array_equal(other.layers[0].kernel.value, model.layers[0].kernel.value)
    np.testing.assert_array_equal(other.layers[1].get_weights()[0], kept[0])


def test_another_optimizer_begins_anew(tmp_path):
    model, X = small("adam")
    model.save_weights(tmp_path / "model.weights.h5")
    other, _ = small("sgd")
    with pytest.warns(UserWarning, match="Skipping variable loading for optimizer 'sgd'"):
        other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(other.predict(X, verbose=0), model.predict(X, verbose=0))


def test_loading_without_compiling(tmp_path):
    model, X = small()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert not loaded.compiled
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_a_loss_that_no_file_can_hold(tmp_path):
    model, X = small()
    model.compile("adam", lambda y_true, y_pred: (y_true - y_pred) ** 2)
    with pytest.warns(UserWarning, match="saved without the arguments of `compile`"):
        model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert model.compiled
    assert not loaded.compiled
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_float64(tmp_path):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, dtype="float64")])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0], strict=True)


def test_a_model_that_is_not_built(tmp_path):
    model = keras.Sequential([layers.Dense(2)])
    with pytest.warns(UserWarning, match="has not yet been built"):
        model.save(tmp_path / "model.keras")
    assert not keras.models.load_model(tmp_path / "model.keras").built
    for method in (model.save_weights, model.load_weights):
        (tmp_path / "model.weights.h5").touch()
        with pytest.raises(ValueError, match="has not yet been built"):
            method(tmp_path / "model.weights.h5")


# Files


def test_names_of_files():
    model, _ = small()
    for path in ("model.h5", "model", "model.weights.h5"):
        with pytest.raises(ValueError, match=r"expected a `\.keras` extension"):
            model.save(path)
    with pytest.raises(ValueError, match=r"expected a `\.weights\.h5` extension"):
        model.save_weights("model.keras")
    with pytest.raises(ValueError, match=r"expected a `\.keras` extension"):
        keras.models.load_model("model.h5")
    with pytest.raises(ValueError, match=r"File not found: filepath=nowhere\.keras"):
        keras.models.load_model("nowhere.keras")
    with pytest.raises(ValueError, match="File format not supported"):
        model.load_weights("model.h5")
    with pytest.raises(ValueError, match="zipped=False"):
        model.save("model.keras", zipped=False)


def test_files_are_overwritten_unless_asked_not_to(tmp_path):
    model, _ = small()
    for save, name in ((model.save, "model.keras"), (model.save_weights, "model.weights.h5")):
        (tmp_path / name).write_text("old")
        with pytest.raises(FileExistsError, match="overwrite=False"):
            save(tmp_path / name, overwrite=False)
        assert (tmp_path / name).read_text() == "old"
        save(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    model, _ = small()
    path = tmp_path / "model.keras"
    path.write_text("old")

    def full(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        model.save(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    calls = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda *arguments: calls.append("fsync") or sync(*arguments))
    monkeypatch.setattr(os, "replace", lambda *arguments: calls.append("replace") or replace(*arguments))
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with _files.replacing(tmp_path / "link") as file:
        file.write(b"new")
        assert not (tmp_path / "file").exists()
        assert len(os.listdir(tmp_path)) == 2
    assert calls == ["fsync", "replace", "fsync"]
    assert (tmp_path / "file").read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~mask


def test_without_h5py(tmp_path, monkeypatch):
    model, _ = small()
    monkeypatch.setitem(sys.modules, "h5py", None)
    for save, name in ((model.save, "model.keras"), (model.save_weights, "model.weights.h5")):
        with pytest.raises(ImportError, match=r"pip install fastml\[keras\]"):
            save(tmp_path / name)
    with pytest.raises(ImportError, match=r"pip install fastml\[keras\]"):
        keras.models.load_model(SAVED / "images.keras")
    assert not list(tmp_path.iterdir())
