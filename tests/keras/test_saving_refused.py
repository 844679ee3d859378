"""Files made to do harm, and broken ones, are refused; nothing in a file is executed."""

import io
import json
import pickle
import stat
import zipfile

import h5py
import numpy as np
import pytest

from fastml import keras
from fastml.keras import layers
from fastml.keras.saving import _archive, _weights


@pytest.fixture
def members(tmp_path):
    """The members of a good file."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4, name="first"), layers.Dropout(0.5)])
    model.compile("adam", "mse", metrics=[keras.metrics.AUC()])
    model.save(tmp_path / "good.keras")
    with zipfile.ZipFile(tmp_path / "good.keras") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def refused(tmp_path):
    """Checks that loading a file of these members raises a ValueError."""

    def check(members, match):
        path = tmp_path / "bad.keras"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members:
                archive.writestr(name, data)
        before = sorted(tmp_path.iterdir())
        with pytest.raises(ValueError, match=match):
            keras.models.load_model(path)
        assert sorted(tmp_path.iterdir()) == before

    return check


def info(name, **attributes):
    entry = zipfile.ZipInfo(name)
    for attribute, value in attributes.items():
        setattr(entry, attribute, value)
    return entry


# The zip file


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../outside", "a/../../b", "a//b", "./a", "c:/windows", "a\\b", "..\\b", ".."]
)
def test_paths_that_leave_the_folder(members, refused, name):
    refused([*members.items(), (name, b"x")], "has a path that is absolute or leaves the folder")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices(members, refused, kind):
    link = info("config.json", external_attr=(kind | 0o777) << 16)
    members.pop("config.json")
    refused([*members.items(), (link, b"/etc/passwd")], "is a link or a device")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name(members, refused):
    refused([*members.items(), ("config.json", b"{}")], "'config.json' is there twice")


def test_an_encrypted_member(members, tmp_path):
    path = tmp_path / "bad.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="is encrypted"):
        keras.models.load_model(path)


def test_bombs(members, refused):
    zeros = info("assets/zeros", compress_type=zipfile.ZIP_DEFLATED)
    refused([*members.items(), (zeros, bytes(32 << 20))], r"would unpack \d+ bytes to 33554432")
    odd = info("assets/odd", compress_type=zipfile.ZIP_LZMA)
    refused([*members.items(), (odd, b"x")], "is compressed by method 14")


def test_too_many_members(members, refused):
    refused([*members.items(), *((str(i), b"") for i in range(_archive.MAX_MEMBERS))], "more than the 1000")


def test_a_configuration_that_is_too_long(members, refused, monkeypatch):
    monkeypatch.setattr(_archive, "MAX_JSON_BYTES", 100)
    refused(members.items(), r"'config.json' has \d+ bytes, more than the 100 allowed")


def test_files_that_are_broken(members, refused, tmp_path):
    for name in ("config.json", "model.weights.h5"):
        refused([entry for entry in members.items() if entry[0] != name], f"has no member '{name}'")
    refused([], "has no member 'config.json'")
    path = tmp_path / "broken.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    data = bytearray(path.read_bytes())
    data[data.index(b"Sequential")] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"'config.json' is damaged: Bad CRC"):
        keras.models.load_model(path)
    path.write_bytes(b"no zip file")
    with pytest.raises(ValueError, match=r"is no `\.keras` file"):
        keras.models.load_model(path)


def test_weights_in_another_format(members, refused):
    members["model.weights.npz"] = members.pop("model.weights.h5")
    refused(members.items(), "weights in an npz file")


# The configuration


def with_config(members, change):
    config = json.loads(members["config.json"])
    change(config)
    return {**members, "config.json": json.dumps(config)}.items()


def replace_layer(module, class_name, config):
    description = {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": class_name,
    }
    return lambda model: model["config"]["layers"].append(description)


def test_lambda_layers(members, refused, tmp_path):
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAAA", "defaults": None, "closure": None}}
    refused(
        with_config(members, replace_layer("keras.layers", "Lambda", {"name": "l", "function": code})),
        "Lambda layer or function, which is a program",
    )
    refused(
        with_config(members, lambda model: model["compile_config"].update(loss=code)),
        "Lambda layer or function, which is a program",
    )


class Harmful:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def test_pickles(members, refused):
    refused([("config.json", pickle.dumps(Harmful()))], "is no JSON text")
    with_pickle = {**members, "fastml_state.json": pickle.dumps(Harmful())}
    refused(with_pickle.items(), "'fastml_state.json' is no JSON text")
    h5 = {**members, "model.weights.h5": pickle.dumps(Harmful())}
    refused(h5.items(), "no weights that can be read")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keras.layers", "TFSMLayer"),
        ("keras.layers", "TorchModuleWrapper"),
        ("os", "system"),
        ("builtins", "eval"),
        ("keras.src.layers", "Dense"),
        ("keras", "Functional"),
    ],
)
def test_unknown_layers(members, refused, module, name):
    refused(with_config(members, replace_layer(module, name, {})), f"Could not locate class '{name}'")


def test_unknown_functions(members, refused):
    function = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
    refused(
        with_config(members, lambda model: model["compile_config"].update(loss=function)),
        "Could not locate function 'system'",
    )


def test_models_of_other_kinds(members, refused):
    refused(
        with_config(members, lambda model: model.update(class_name="Functional")),
        "no Sequential model, .* its class is 'Functional'",
    )
    refused({**members, "config.json": "[1]"}.items(), "no Sequential model")


def test_configurations_that_make_no_sense(members, refused):
    def config_of_first(model):
        return model["config"]["layers"][1]["config"]

    refused(with_config(members, lambda model: config_of_first(model).update(units="many")), "`units`")
    refused(
        with_config(members, lambda model: config_of_first(model).pop("units")), "does not describe a model"
    )
    refused(
        with_config(members, lambda model: config_of_first(model).update(self=1)), "does not describe a model"
    )
    refused(with_config(members, lambda model: model["config"].update(layers=7)), "does not describe a model")
    deep = '{"a":' * 100_000 + "1" + "}" * 100_000
    refused({**members, "config.json": deep}.items(), "is no JSON text")


@pytest.mark.parametrize("units", [2**20, 2**40, 2**70])
def test_configurations_of_more_weights_than_there_are(members, refused, units):
    change = with_config(members, lambda model: model["config"]["layers"][1]["config"].update(units=units))
    refused(change, r"would be larger than all that the file has values for")


def test_other_sizes_that_a_configuration_asks_for(members, refused):
    def metric(**config):
        return lambda model: model["compile_config"]["metrics"][0]["config"].update(config)

    refused(with_config(members, metric(num_thresholds=10**12)), "num_thresholds=1000000000000 is more than")
    refused(
        with_config(members, metric(num_thresholds=10**4, multi_label=True, num_labels=10**4)),
        r"of shape \(10000, 10000\) is larger than a file may ask for",
    )
    array = {"class_name": "__numpy__", "config": {"value": [""], "dtype": "U99999999"}}
    refused(
        with_config(members, replace_layer("keras.layers", "Rescaling", {"scale": array})),
        "Arrays must be of numbers",
    )


# The weights


def with_weights(members, change):
    file = io.BytesIO(members["model.weights.h5"])
    with h5py.File(file, "r+") as h5:
        change(h5)
    return {**members, "model.weights.h5": file.getvalue()}.items()


KERNEL = "layers/dense/vars/0"


def replace_kernel(make):
    def change(h5):
        del h5[KERNEL]
        make(h5)

    return change


@pytest.mark.parametrize(
    ("link", "match"),
    [
        (h5py.ExternalLink("/etc/passwd", "/"), "is a ExternalLink to elsewhere"),
        (h5py.SoftLink("/layers/dense/vars/1"), "is a SoftLink to elsewhere"),
    ],
)
@pytest.mark.parametrize("place", [KERNEL, "layers/dense/vars", "layers"])
def test_links_in_weights(members, refused, link, match, place):
    def change(h5):
        del h5[place]
        h5[place] = link

    refused(with_weights(members, change), match)


def test_weights_that_lie_in_other_files(members, refused, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(48))
    external = [(str(tmp_path / "secret"), 0, 48)]
    refused(
        with_weights(
            members, replace_kernel(lambda h5: h5.create_dataset(KERNEL, (3, 4), "f4", external=external))
        ),
        "lies in another file",
    )
    layout = h5py.VirtualLayout((3, 4), "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret"), "x", (3, 4))
    refused(
        with_weights(members, replace_kernel(lambda h5: h5.create_virtual_dataset(KERNEL, layout))),
        "lies in another file",
    )


def test_weights_of_other_shapes(members, refused):
    refused(
        with_weights(
            members, replace_kernel(lambda h5: h5.create_dataset(KERNEL, data=np.ones((4, 3), "f4")))
        ),
        r"first/kernel' has shape \(3, 4\), the file \(4, 3\)",
    )
    more = replace_kernel(lambda h5: h5.create_dataset("elsewhere", data=np.ones((3, 4), "f4")))
    refused(with_weights(members, more), "'first' has 2 variables, the file 1")

    def group(h5):
        h5.move(KERNEL, "elsewhere")
        h5.create_group(KERNEL)

    refused(with_weights(members, group), "is no array")


def test_weights_that_are_no_numbers(members, refused):
    words = np.full((3, 4), b"word", dtype=object)
    refused(
        with_weights(
            members,
            replace_kernel(lambda h5: h5.create_dataset(KERNEL, data=words, dtype=h5py.string_dtype())),
        ),
        "has dtype object",
    )


def test_arrays_that_are_declared_but_not_there(members, refused):
    def bomb(h5):
        h5.create_dataset("bomb", (2**20, 2**20), "f4", chunks=(1024, 1024), compression="gzip")

    refused(with_weights(members, bomb), "its arrays would take 4398046511")


def test_states_of_another_model(members, refused):
    state = json.loads(members["fastml_state.json"])
    state["generators"]["layers"] = []
    refused({**members, "fastml_state.json": json.dumps(state)}.items(), "0 of the file")
    refused({**members, "fastml_state.json": "{}"}.items(), "does not fit the training at hand: 'generators'")


def test_too_many_arrays(members, refused, monkeypatch):
    monkeypatch.setattr(_weights, "MAX_OBJECTS", 5)
    refused(members.items(), "more than 5 objects")
