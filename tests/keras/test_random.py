"""Numbers of a seed, beside those that TensorFlow 2.21.0 drew with Keras 3.15.1."""

import random

import numpy as np
import pytest
from fresh_interpreter import output_of

from fastml import keras
from fastml.keras import _philox
from fastml.keras.random import SeedGenerator, draw_seed

# `tf.random.stateless_*([n], seed, dtype=dtype)`
DRAWS = [
    (
        "uniform",
        "float32",
        (0, 0),
        [0.21101546, 0.70601, 0.8000634, 0.77079225, 0.38858867, 0.8703594, 0.8081875],
    ),
    (
        "uniform",
        "float32",
        (1, 0),
        [0.8784882, 0.45998025, 0.60029125, 0.39259768, 0.25319326, 0.44429922, 0.3429134],
    ),
    (
        "uniform",
        "float32",
        (123456789, 3),
        [0.17077672, 0.71413636, 0.364452, 0.35744536, 0.72959816, 0.15609562, 0.5436256],
    ),
    (
        "uniform",
        "float32",
        (2147483645, 70000),
        [0.6734425, 0.26913846, 0.6549785, 0.24901628, 0.8555566, 0.8539475, 0.21909928],
    ),
    (
        "uniform",
        "float64",
        (0, 0),
        [0.6881243022270687, 0.4005076135896002, 0.1087096778123815, 0.4655003663095476, 0.7941659363735021],
    ),
    (
        "uniform",
        "float64",
        (123456789, 3),
        [0.36621423571209677, 0.9156164552223782, 0.8367853446977132, 0.3490048705637545, 0.6619795906359041],
    ),
    (
        "normal",
        "float32",
        (0, 0),
        [-1.697034, -0.4813767, -0.6622369, 0.08701119, -1.0001622, 0.94347405, 0.61669475],
    ),
    (
        "normal",
        "float32",
        (2147483645, 70000),
        [0.8827948, -0.106671184, 0.91993123, 0.005686019, -0.4436151, 0.33942837, -0.89106274],
    ),
    (
        "normal",
        "float64",
        (1, 0),
        [
            *(-2.532086665725669, 0.8639223700404525, -2.7058288048789785),
            *(-0.11384604476849447, 0.03190205167490372),
        ],
    ),
    (
        "truncated_normal",
        "float32",
        (0, 0),
        [-1.697034, -0.4813767, -0.6622369, 0.08701119, -0.26579794, 0.09044946, -0.8529002],
    ),
    (
        "truncated_normal",
        "float32",
        (123456789, 3),
        [-1.8325739, -0.4200829, 1.1091537, -0.8879746, -1.6385772, 0.1357293, -1.0229242],
    ),
    # Of the normal numbers above, two are too large.
    (
        "truncated_normal",
        "float64",
        (1, 0),
        [
            *(0.8639223700404525, -0.11384604476849447, -1.4419755844972761),
            *(0.23072459178376856, 0.4469118354371448),
        ],
    ),
]

# The numbers at 32767, 32768 and 70000 of 70001, and the sum, for the seed (5, 1).
LONG_DRAWS = [
    ("uniform", "float32", [0.9743099, 0.5757581, 0.88154984], 35088.06105315685),
    (
        "uniform",
        "float64",
        [0.5298458505711381, 0.030089439757202463, 0.08941719664651937],
        35029.65169702674,
    ),
    ("normal", "float32", [0.8621904, -0.5439274, 0.2703409], 386.5916331742076),
    ("normal", "float64", [-0.6385875035506953, 2.2892116224275845, 2.0678290381456037], 307.76645051267326),
    ("truncated_normal", "float32", [-0.97175974, -0.49487945, 0.14443457], 120.99017393425493),
    (
        "truncated_normal",
        "float64",
        [-0.5492624539016729, -0.8850274966507546, 0.2884841029011832],
        -177.06192658719021,
    ),
]


def assert_drawn(values, expected, exactly):
    """To the last bit; or to 4 units in the last place, as logarithms and sines are rounded differently."""
    expected = np.array(expected, values.dtype)
    if exactly:
        np.testing.assert_array_equal(values, expected, strict=True)
    else:
        np.testing.assert_array_max_ulp(values, expected, 4)


@pytest.mark.parametrize(("name", "dtype", "seed", "expected"), DRAWS)
def test_draws(name, dtype, seed, expected):
    draw = getattr(_philox, name)
    for n in range(1, len(expected) + 1):
        assert_drawn(draw(seed, n, dtype), expected[:n], name == "uniform")


@pytest.mark.parametrize(("name", "dtype", "expected", "total"), LONG_DRAWS)
def test_long_draws(name, dtype, expected, total):
    values = getattr(_philox, name)((5, 1), 70001, dtype)
    assert_drawn(values[[32767, 32768, 70000]], expected, name == "uniform")
    assert values.sum(dtype=np.float64) == pytest.approx(total, rel=1e-12 if name == "uniform" else 1e-4)


def test_seeds_of_64_bits_are_scrambled_whole():
    draws = [_philox.uniform(seed, 4, "float32") for seed in ((1, 0), (1 + 2**32, 0), (1, 2**32), (-1, 0))]
    assert len({draw.tobytes() for draw in draws}) == 4
    np.testing.assert_array_equal(draws[-1], _philox.uniform((2**64 - 1, 0), 4, "float32"))


@pytest.mark.parametrize(
    ("seed", "expected"),
    [(0, 0), (5, 5), (-2, 2**31 - 4), (2**31 - 2, 0), (2**33 + 1, 9), (2**64 - 2, 2**31 - 4)],
)
def test_a_seed_is_taken_modulo(seed, expected):
    assert draw_seed(seed) == (expected, 0)
    generator = SeedGenerator(seed)
    assert [draw_seed(generator), draw_seed(generator)] == [(expected, 0), (expected, 1)]


def test_a_generator_goes_on():
    generator = SeedGenerator(5)
    first, second = (keras.random.uniform((2,), seed=generator) for _ in range(2))
    assert_drawn(first, [0.06185329, 0.8316691], exactly=True)
    assert_drawn(second, [0.6156385, 0.9509727], exactly=True)


def test_without_a_seed():
    drawn = [keras.random.uniform((2,)) for _ in range(3)]
    expected = [[0.51568437, 0.309062], [0.20931089, 0.21893394], [0.16067767, 0.82037663]]
    np.testing.assert_array_equal(drawn, np.array(expected, np.float32), strict=True)
    keras.utils.set_random_seed(0)
    np.testing.assert_array_equal(keras.random.uniform((2,)), drawn[0])


def test_scale():
    numbers = keras.random.normal((4, 3), seed=2)
    np.testing.assert_array_equal(
        keras.random.normal((4, 3), 2.0, 0.3, seed=2), numbers * np.float32(0.3) + np.float32(2), strict=True
    )
    truncated = keras.random.truncated_normal((50, 40), -1.0, 0.5, "float64", seed=2)
    assert truncated.dtype == np.float64
    assert -2 < truncated.min() < -1.99
    assert -0.01 < truncated.max() < 0
    uniform = keras.random.uniform((50, 40), 3, 5, seed=2)
    assert 3 <= uniform.min() < 3.01
    assert 4.99 < uniform.max() < 5


@pytest.mark.parametrize("draw", [keras.random.uniform, keras.random.normal, keras.random.truncated_normal])
def test_shapes_dtypes_and_seeds(draw):
    for shape in ((), (0, 3), [2, 3], (np.int64(2), 1)):
        values = draw(shape)
        assert isinstance(values, np.ndarray)
        assert values.shape == tuple(shape)
        assert values.dtype == np.float32
    with pytest.raises(ValueError, match="draws float32 and float64"):
        draw((2,), dtype="int32")
    with pytest.raises(ValueError, match="must be either an integer or an instance of `SeedGenerator`"):
        draw((2,), seed=1.5)


# What Keras' initializers gave in float32 and float64.
INITIALIZERS = [
    (
        keras.initializers.GlorotUniform(seed=1),
        (2, 3),
        [0.82922614, -0.08767891, 0.21972716, -0.23530674, -0.5407265, -0.12203431],
        [
            *(-1.034306098448151, 0.662373829210888, -1.0394744720876754),
            *(0.5330602705299929, -0.3045284540613369, -1.0876518628009755),
        ],
    ),
    (
        keras.initializers.RandomUniform(-0.1, 0.1, seed=3),
        (3,),
        [-0.06081743, 0.087869056, 0.0064550415],
        [0.01346060502446049, -0.048359538276992804, -0.007501246102577297],
    ),
    (
        keras.initializers.HeNormal(seed=1),
        (2, 3),
        [0.14398205, -0.5604845, 0.71756744, -0.896798, -1.0343677, -0.45378962],
        [
            *(0.9821477570636994, -0.12942556113544643, -1.6393059552194518),
            *(0.2622986140632697, 0.5080704841098862, 0.24923888219651313),
        ],
    ),
    (
        keras.initializers.RandomNormal(1.0, 0.5, seed=-2),
        (5,),
        [0.45146382, 1.4763196, 1.4709398, 1.143105, -0.031650186],
        [
            *(0.8473584303500625, 1.3136223097815818, 1.4366713967184093),
            *(1.2364244514370952, 1.43756724816041),
        ],
    ),
    (
        keras.initializers.TruncatedNormal(seed=2**33 + 1),
        (5,),
        [-0.027754104, -0.02485169, -0.037396617, -0.007324928, 0.019944223],
        [
            *(-0.049303078058561906, -0.03874518325748402, -0.07038923965706802),
            *(0.034231150141396646, 0.013965593968846418),
        ],
    ),
    (
        keras.initializers.Orthogonal(2.0, seed=4),
        (4, 3),
        [
            *(-1.6565533, 0.93211466, -0.5949074, 0.5632576, 1.6285439, 1.0110788),
            *(0.9686466, 0.65125835, -1.6086929, -0.017209692, 0.23424155, -0.18950386),
        ],
        [
            *(0.8017293017137002, 0.12596465707377488, -1.8153757053780322, -1.2286491317114379),
            *(-0.813417323641833, -0.7329868634678783, -0.7330366268253717, -0.9387347258279122),
            *(-0.20100347842215316, -1.144687180696488, 1.5624539280543401, -0.3560040842025962),
        ],
    ),
    (
        keras.initializers.Orthogonal(seed=4),
        (2, 4),
        [
            *(-0.31792498, -0.8557727, 0.36334205, 0.18590225),
            *(0.6287989, -0.44040135, -0.6009387, 0.22255594),
        ],
        [
            *(0.7232490100613347, -0.16591228059068128, -0.1099635574902894, -0.6612805763203533),
            *(-0.3320326684813362, -0.6410119465390275, -0.6863533746531127, -0.08818750794581773),
        ],
    ),
]


@pytest.mark.parametrize(("initializer", "shape", *("single", "double")), INITIALIZERS)
def test_initializers(initializer, shape, single, double):
    is_uniform = "Uniform" in type(initializer).__name__
    for dtype, expected, atol in (("float32", single, 2e-6), ("float64", double, 1e-14)):
        values = initializer(shape, dtype)
        expected = np.array(expected, dtype).reshape(shape)
        np.testing.assert_allclose(values, expected, rtol=0, atol=0 if is_uniform else atol, strict=True)


def test_a_model():
    """Seeds are taken by layers in order, by Dropout too."""
    keras.utils.set_random_seed(7)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3), layers.Dropout(0.5), layers.Dropout(0.0), layers.Dense(2)]
    )
    first = [
        *(-0.3380742, 0.42563713, 0.84048843, -0.31564182, -0.20789051, 0.031118691),
        *(-0.37955213, 0.28642786, 0.14114225, 0.8278092, 0.8264513, -0.15041828),
    ]
    second = [1.0709682, -0.4270516, 0.099656105, -0.17927694, -0.21897054, 0.64377105]
    np.testing.assert_array_equal(model.layers[0].kernel.value.ravel(), np.array(first, np.float32))
    np.testing.assert_array_equal(model.layers[-1].kernel.value.ravel(), np.array(second, np.float32))
    assert model.layers[1].seed_generator.state.value.tolist() == [161973070, 0]
    assert not hasattr(model.layers[2], "seed_generator")
    assert len(model.variables) == 5


def test_a_generator_as_an_initializers_seed_comes_back():
    initializer = keras.initializers.HeUniform(seed=SeedGenerator(5, name="mine"))
    config = initializer.get_config()
    assert config["seed"] == {
        "module": "keras.random",
        "class_name": "SeedGenerator",
        "config": {"seed": 5, "name": "mine"},
        "registered_name": None,
    }
    again = keras.initializers.deserialize(keras.initializers.serialize(initializer))
    assert again.get_config() == config
    for _ in range(2):
        np.testing.assert_array_equal(again((3, 4)), initializer((3, 4)))
    with pytest.raises(ValueError, match="`seed` argument should be an instance"):
        keras.initializers.HeUniform(seed=keras.initializers.serialize(keras.initializers.Zeros()))


def test_an_order_of_samples_takes_no_seed_from_python():
    """Where nothing was seeded, either."""
    code = """
import random
from fastml.keras.random import shuffling_generator
random.seed(3)
before = random.getstate()
first = shuffling_generator().state.value.tolist()
print(random.getstate() == before, first[0] == random.randint(1, 10**9))
"""
    assert output_of(code) == "True True"


def test_a_block_of_its_own_draws_as_after_set_random_seed():
    keras.utils.set_random_seed(4)
    expected = keras.random.uniform((3,)), keras.initializers.HeUniform()((2, 2)), random.random()
    keras.utils.set_random_seed(9)
    state = random.getstate()
    with keras.random.seeded(4):
        drawn = keras.random.uniform((3,)), keras.initializers.HeUniform()((2, 2))
    assert random.getstate() == state
    for mine, other in zip(drawn, expected):
        np.testing.assert_array_equal(mine, other)
