"""course_lib.data: the embedded set against TFDS and Debian's files, and every way it may fail."""

import dataclasses
import gzip
import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import reference
import tensorflow as tf
import tensorflow_datasets as tfds

from course_lib import data

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
VERSION = Path("fashion_mnist/3.0.1")
TRAIN_SHARD = VERSION / "fashion_mnist-train.tfrecord-00000-of-00001"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture(autouse=True)
def usual_folders(monkeypatch):
    monkeypatch.delenv("COURSE_DATA_DIR", raising=False)


@pytest.fixture(scope="module")
def plain():
    return data.load(numpy=True, standardize=False)


def run_python(code, **environment):
    """Run code in a fresh interpreter; return (exit code, stdout, last line of stderr)."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    last = (done.stderr.strip().splitlines() or [""])[-1]
    return done.returncode, done.stdout.strip(), last


def passes(dataset, count=1):
    """Return the labels and images of `count` passes over a tf.data set, as arrays."""
    result = []
    for _ in range(count):
        images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
        result.append((np.concatenate(images), np.concatenate(labels)))
    return result


def keyed(images, labels):
    """Return each picture with its label as one string of bytes, sorted."""
    return sorted(
        bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True)
    )


# ---- what is embedded


def test_splits_are_the_documented_ones(plain):
    assert plain.sizes == {"train": 55_000, "validation": 5_000, "test": 10_000}
    assert plain.classes == 10 and plain.class_names[9] == "Ankle boot"
    assert plain.image_shape == (28, 28, 1)
    for part, size in plain.sizes.items():
        images, labels = getattr(plain, part)
        assert images.shape == (size, 28, 28, 1) and images.dtype == np.float32
        assert labels.shape == (size,) and labels.dtype == np.int32
        assert images.min() == 0 and images.max() == 1
    assert np.bincount(plain.test[1]).tolist() == [1000] * 10
    together = np.concatenate([plain.train[1], plain.validation[1]])
    assert np.bincount(together).tolist() == [6000] * 10


def test_constants_are_those_of_the_training_split(plain):
    assert plain.mean == pytest.approx(plain.train[0].mean(dtype=np.float64), abs=5e-5)
    assert plain.std == pytest.approx(plain.train[0].std(dtype=np.float64), abs=5e-5)
    standard = data.load(numpy=True)
    assert np.allclose(standard.test[0] * plain.std + plain.mean, plain.test[0], atol=1e-6)
    assert abs(standard.train[0].mean()) < 1e-3 and abs(standard.train[0].std() - 1) < 1e-3


def test_data_card_states_what_is_measured(plain):
    card = (DATA / "README.md").read_text(encoding="utf-8")
    counts = [np.bincount(getattr(plain, part)[1]) for part in ("train", "validation", "test")]
    for label, class_name in enumerate(plain.class_names):
        row = " | ".join(f"{count[label]:,}" for count in counts)
        assert f"| {label} | {class_name} | {row} |" in card
    assert f"mean {plain.mean[0]:.4f}" in card
    assert f"deviation {plain.std[0]:.4f}" in " ".join(card.split())


@pytest.mark.parametrize(
    ("split", "part"),
    [("train[:55000]", "train"), ("train[55000:]", "validation"), ("test", "test")],
)
def test_tfds_reads_the_same_files(plain, split, part):
    """TFDS itself, told not to download, finds the same pictures in the same order."""
    size = 2000
    loaded = tfds.load(
        "fashion_mnist", split=split, data_dir=DATA, download=False, as_supervised=True
    )
    images, labels = next(loaded.batch(size).as_numpy_iterator())
    ours = getattr(plain, part)
    assert (np.round(ours[0][:size] * 255).astype(np.uint8) == images).all()
    assert (ours[1][:size] == labels).all()


def prepare_module():
    spec = importlib.util.spec_from_file_location("prepare", DATA / "prepare_fashion_mnist.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def need_debian_files():
    if not DEBIAN.is_dir():
        assert not os.environ.get("CI"), "install the Debian package dataset-fashion-mnist"
        pytest.skip("needs the files of the Debian package dataset-fashion-mnist (apt-get install)")


def test_every_picture_is_one_of_the_published_ones(plain):
    need_debian_files()

    def read(name, header):
        content = gzip.decompress((DEBIAN / f"{name}.gz").read_bytes())
        return np.frombuffer(content, np.uint8, offset=header)

    train_labels = np.concatenate([plain.train[1], plain.validation[1]])
    train_images = np.concatenate([plain.train[0], plain.validation[0]])
    for word, images, labels in [("train", train_images, train_labels), ("t10k", *plain.test)]:
        published = read(f"{word}-images-idx3-ubyte", 16).reshape(-1, 28, 28)
        ours = np.round(images * 255).astype(np.uint8)
        assert keyed(ours, labels) == keyed(published, read(f"{word}-labels-idx1-ubyte", 8))


def test_debian_files_with_the_published_header_have_the_published_sums(tmp_path):
    need_debian_files()
    prepare = prepare_module()
    infos = tfds.builder("fashion_mnist", data_dir=tmp_path).url_infos.values()
    checksums = {info.filename: info.checksum for info in infos}
    (tmp_path / "out").mkdir()
    prepare.restore(DEBIAN, tmp_path / "out", checksums)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(checksums)
    card = (DATA / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}` | `{checksum}`" in card for name, checksum in checksums.items())

    name = "t10k-labels-idx1-ubyte.gz"
    changed = bytearray((DEBIAN / name).read_bytes())
    changed[100] ^= 1
    for other in checksums:
        (tmp_path / other).symlink_to(DEBIAN / other)
    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes(changed)
    with pytest.raises(ValueError, match=f"{name}: SHA-256"):
        prepare.restore(tmp_path, tmp_path / "out", checksums)
    (tmp_path / name).write_bytes(gzip.compress(b"x")[:3] + b"\x08" + bytes(20))
    with pytest.raises(ValueError, match="gzip file without a file name"):
        prepare.published_bytes(tmp_path / name)


# ---- tf.data


def test_tf_data_gives_the_arrays_in_batches(plain):
    splits = data.load(standardize=False, batch_size=256)
    spec = splits.test.element_spec
    assert spec[0].shape.as_list() == [None, 28, 28, 1] and spec[0].dtype == tf.float32
    assert spec[1].dtype == tf.int32
    assert len(splits.train) == 215 and len(splits.test) == 40
    for part in ("validation", "test"):
        [(images, labels)] = passes(getattr(splits, part))
        assert (images == getattr(plain, part)[0]).all()
        assert (labels == getattr(plain, part)[1]).all()
    [(images, labels)] = passes(splits.train)
    assert (labels != plain.train[1]).any()
    assert keyed(images, labels) == keyed(*plain.train)


def test_philox_draws_what_tensorflow_draws():
    for key, shape in [((0, 0), (1, 1)), ((2**31 - 1, 10**6), (6, 1001)), ((5, 3), (6, 256))]:
        expected = data._draw_in_tensorflow(tf.constant(key, tf.int64), shape).numpy()
        assert (data._draw(key, shape) == expected).all()


def arrays_passes(splits, count, first=0, **options):
    """As `passes`, over arrays."""
    result = []
    for epoch in range(first, first + count):
        images, labels = zip(*splits.train_pass(epoch, **options), strict=True)
        result.append((np.concatenate(images), np.concatenate(labels)))
    return result


def same(some, others):
    """Say whether passes hold the same pictures and labels, to the bit."""
    return len(some) == len(others) and all(
        (one[0] == other[0]).all() and (one[1] == other[1]).all()
        for one, other in zip(some, others)
    )


MOVES = [
    False,
    True,
    {"shift": 4, "mirror": False},
    {"shift": 0, "cutout": 9},
    {"shift": 14, "cutout": 28},
]


@pytest.mark.slow
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("augment", MOVES, ids=str)
def test_one_seed_gives_the_same_batches_for_tf_data_and_numpy(augment, standardize):
    options = {"train_limit": 300, "batch_size": 64, "seed": 3}
    options |= {"augment": augment, "standardize": standardize}
    dataset, arrays = data.load(**options), data.load(**options, numpy=True)
    expected = passes(dataset.train, 3)
    assert same(arrays_passes(arrays, 3), expected)
    assert not same(expected[:1], expected[1:2])
    # taken up again after two passes
    assert same(passes(dataset.train_from(2)), expected[2:])
    assert same(arrays_passes(arrays, 1, first=2), expected[2:])
    sizes = [len(labels) for _, labels in arrays.train_pass(0)]
    assert sizes == [len(labels) for _, labels in dataset.train.as_numpy_iterator()]
    assert sizes == [64, 64, 64, 64, 44] and len(arrays.train_pass(0)) == 5


def test_resized_pictures_are_moved_alike_for_tf_data_and_numpy():
    options = {"train_limit": 100, "image_size": 40, "augment": {"shift": 5, "cutout": 8}}
    [(images, labels)] = passes(data.load(**options).train)
    [(others, same_labels)] = arrays_passes(data.load(**options, numpy=True), 1)
    assert (labels == same_labels).all()
    assert np.allclose(images, others, atol=1e-5)  # the sums of resizing are in another order


TRAIN = """
import sys
import keras, numpy as np
from course_lib import data, training

options = {"train_limit": 200, "batch_size": 64, "seed": 3, "augment": True}
states = []
for numpy, stops in [(False, [3]), (True, [3]), (True, [1, 3]), (False, [1, 3])]:
    splits = data.load(**options, numpy=numpy)
    file = f"{sys.argv[1]}/{numpy}{stops}.npz"
    for stop in stops:  # a run in two parts is taken up from the file
        keras.utils.set_random_seed(0)
        layers = [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
        model = keras.Sequential(layers)
        training.fit(model, splits, epochs=stop, schedule="constant", resume=file, progress=False)
    saved = np.load(file)
    states.append([saved[name] for name in saved if name.startswith("state")])
for other in states[1:]:
    print(len(other), all(np.array_equal(a, b) for a, b in zip(states[0], other, strict=True)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_network_trains_alike_on_tf_data_and_on_arrays(tmp_path, backend):
    """Keras reads ahead in ways of its own; every pass must reach the network all the same."""
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(tmp_path)],
        env={**os.environ, **reference.ON_JAX, "KERAS_BACKEND": backend},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.stdout.splitlines() == ["8 True"] * 3, done.stderr


def test_a_pass_over_arrays_takes_its_own_batch_size_seed_and_pictures():
    splits = data.load(numpy=True, train_limit=100, batch_size=40)
    other = data.load(numpy=True, train_limit=100, seed=7)
    assert same(arrays_passes(splits, 2, seed=7), arrays_passes(other, 2))
    assert [len(labels) for _, labels in splits.train_pass(0, batch_size=30)] == [30, 30, 30, 10]
    images, labels = splits.train
    halved = dataclasses.replace(splits, train=(images / 2, labels))
    [(plain_images, _)], [(half_images, _)] = arrays_passes(splits, 1), arrays_passes(halved, 1)
    assert (half_images == plain_images / 2).all()
    with pytest.raises(ValueError, match="batch_size is 0; allowed: whole numbers from 1"):
        splits.train_pass(0, batch_size=0)
    with pytest.raises(ValueError, match="epoch is -1; allowed: whole numbers from 0"):
        splits.train_pass(-1)
    with pytest.raises(ValueError, match="loaded for tf.data, see train_from"):
        data.load(train_limit=10).train_pass(0)


@pytest.mark.slow
def test_passes_follow_from_the_seed_alone():
    options = {"train_limit": 1000, "augment": True}
    tf.random.set_seed(1)
    first, second = passes(data.load(**options).train, 2)
    tf.random.set_seed(2)
    again = passes(data.load(**options).train, 2)
    assert same([first, second], again)
    assert (np.sort(first[1]) == np.sort(second[1])).all()
    assert (first[1] != second[1]).any()
    [other_seed] = passes(data.load(**options, seed=1).train)
    assert (other_seed[1] != first[1]).any()


def test_train_from_takes_up_a_run_where_it_stopped():
    splits = data.load(train_limit=500, augment=True)
    expected = passes(splits.train, 4)[2:]
    assert same(passes(splits.train_from(2), 2), expected)
    with pytest.raises(ValueError, match="epoch is -1; allowed: whole numbers from 0"):
        splits.train_from(-1)
    with pytest.raises(ValueError, match="loaded as NumPy, see train_pass"):
        data.load(numpy=True, train_limit=10).train_from(0)


def test_augmentation_shifts_and_mirrors_training_images_only(plain):
    options = {"train_limit": 600, "standardize": False, "batch_size": 200}
    splits = data.load(**options, augment=True)
    [(images, labels)] = passes(splits.train)
    [(originals, same_labels)] = passes(data.load(**options).train)
    assert (labels == same_labels).all()
    used = set()
    for image, original in zip(images, originals, strict=True):
        padded = np.pad(original, ((2, 2), (2, 2), (0, 0)))
        candidates = {
            (top, left, mirrored): padded[top : top + 28, left : left + 28]
            for top in range(5)
            for left in range(5)
            for mirrored in (False, True)
        }
        matches = [
            move
            for move, cut in candidates.items()
            if (image == (cut[:, ::-1] if move[2] else cut)).all()
        ]
        assert matches
        if len(matches) == 1:
            used.add(matches[0])
    assert len(used) == 50  # every shift, mirrored and not
    [(untouched, _)] = passes(splits.validation)
    assert (untouched == plain.validation[0]).all()


def test_cutout_takes_a_square_away_around_every_pixel():
    options = {"numpy": True, "train_limit": 4000, "standardize": False}
    splits = data.load(**options, augment={"shift": 0, "mirror": False, "cutout": 3})
    splits.train[0][:] = 1
    [(images, _)] = arrays_passes(splits, 1)
    assert set(np.unique(images)) == {0, 1}
    centres = set()
    for image in images[..., 0]:
        rows, columns = (np.flatnonzero(image.min(axis) == 0) for axis in (1, 0))
        assert (image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] == 0).all()
        assert (image == 0).sum() == len(rows) * len(columns)
        for found in (rows, columns):  # 3 wide, less at the edge
            assert len(found) == (2 if found[0] == 0 and found[-1] == 1 or found[0] == 26 else 3)
        centres.add((max(rows[-1] - 1, 0), max(columns[-1] - 1, 0)))
    assert len(centres) > 700  # of 784


@pytest.mark.slow
@pytest.mark.parametrize("size", [8, 14, 27, 32, 56])
def test_resizing_is_bilinear_with_antialias(plain, size):
    resized = data.load(numpy=True, standardize=False, image_size=size, train_limit=1)
    assert resized.image_shape == (size, size, 1)
    expected = tf.image.resize(plain.test[0][:200], (size, size), antialias=True)
    assert np.allclose(resized.test[0][:200], expected, atol=1e-5)
    batches = data.load(standardize=False, image_size=size, train_limit=1, batch_size=200)
    images, _ = next(batches.test.as_numpy_iterator())
    assert np.allclose(images, expected, atol=1e-5)
    assert next(batches.train.as_numpy_iterator())[0].shape == (1, size, size, 1)


def test_train_limit_takes_the_first(plain):
    limited = data.load(numpy=True, standardize=False, train_limit=70)
    assert limited.sizes == {"train": 70, "validation": 5_000, "test": 10_000}
    assert (limited.train[1] == plain.train[1][:70]).all()
    assert (limited.train[0] == plain.train[0][:70]).all()


def test_arrays_are_the_callers_own(plain):
    images, labels = data.load(numpy=True, standardize=False).test
    images[:], labels[:] = 0.5, 3
    again = data.load(numpy=True, standardize=False).test
    assert (again[0] == plain.test[0]).all() and (again[1] == plain.test[1]).all()


# ---- wrong arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"name": "mnist"},
            "unknown data set 'mnist'; known are: fashion_mnist, cifar10, "
            "imagenette/320px-v2, imagenet2012",
        ),
        ({"batch_size": 0}, "batch_size is 0; allowed: whole numbers from 1 to 1000000"),
        ({"batch_size": 12.5}, "batch_size is 12.5; allowed: whole numbers from 1"),
        ({"batch_size": True}, "batch_size is True; allowed: whole numbers from 1"),
        ({"image_size": 7}, "image_size is 7; allowed: whole numbers from 8 to 1024"),
        ({"image_size": (28, 28)}, r"image_size is \(28, 28\); allowed: whole numbers from 8"),
        ({"train_limit": 0}, "train_limit is 0; allowed: whole numbers from 1"),
        ({"train_limit": 55_001}, "train_limit is 55001; allowed: whole numbers from 1 to 55000"),
        ({"seed": -1}, "seed is -1; allowed: whole numbers from 0"),
        ({"seed": None}, "seed is None; allowed: whole numbers from 0"),
        ({"augment": None}, "augment is None; allowed: True, False, or a dictionary with keys of"),
        ({"augment": {"shfit": 4}}, "'shfit': 4.*; allowed: .* shift, mirror, cutout"),
        ({"augment": {"shift": -1}}, "shift is -1; allowed: whole numbers from 0 to 14"),
        ({"augment": {"shift": 15}}, "shift is 15; allowed: whole numbers from 0 to 14"),
        ({"augment": {"mirror": 1}}, "mirror is 1; allowed: True, False"),
        ({"augment": {"cutout": 2.5}}, "cutout is 2.5; allowed: whole numbers from 0 to 28"),
        ({"augment": {"cutout": 41}, "image_size": 40}, "allowed: whole numbers from 0 to 40"),
        (
            {"name": "imagenette/320px-v2", "image_size": 64, "augment": True, "numpy": True},
            "augment is True; allowed where sizes differ, as arrays: False",
        ),
        (
            {"name": "imagenette/320px-v2", "image_size": 64, "augment": {"shift": 4}},
            "allowed where sizes differ: .* keys of scale, square, area, mirror, jitter",
        ),
        *(
            (
                {"name": "imagenette/320px-v2", "image_size": 64, "augment": augment},
                message,
            )
            for augment, message in (
                ({"mirror": True}, "allowed: one of scale and area"),
                ({"scale": [64, 80], "area": [0.5, 1]}, "allowed: one of scale and area"),
                ({"scale": [60, 80]}, r"scale is \[60, 80\]; allowed: two numbers from 64 to 4096"),
                ({"area": [1, 0.5]}, r"area is \[1, 0.5\]; allowed: .* the lower one first"),
                ({"area": [0.5, 1], "square": True}, "square is True; allowed with area: False"),
                ({"area": [0.5, 1], "jitter": 2}, "jitter is 2; allowed: numbers from 0 to 1"),
            )
        ),
        ({"standardize": "std"}, "standardize is 'std'; allowed: True, False, 'mean'"),
        ({"part": (0, 2)}, r"part\[1\] is 2; allowed: whole numbers from 1 to 1"),
        ({"name": "imagenet2012"}, "imagenet2012 differ in size; give image_size"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.load(**arguments)


# ---- damaged files


@pytest.fixture
def copy(tmp_path):
    """A data folder whose files are links to the real ones; `replace` breaks one of them."""
    (tmp_path / VERSION).mkdir(parents=True)
    for path in [*(DATA / VERSION).iterdir(), DATA / "SHA256SUMS"]:
        (tmp_path / path.relative_to(DATA)).symlink_to(path)

    def replace(name, content):
        (tmp_path / name).unlink()
        if content is not None:
            (tmp_path / name).write_bytes(content)

    return tmp_path, replace


@pytest.mark.parametrize("name", [TRAIN_SHARD, VERSION / "features.json"])
@pytest.mark.parametrize("harm", ["truncated", "one bit", "missing", "empty"])
def test_a_damaged_file_is_named(copy, name, harm):
    folder, replace = copy
    content = bytearray((DATA / name).read_bytes())
    middle = len(content) // 2
    if harm == "truncated":
        content = content[:middle]
    elif harm == "one bit":
        content[middle] ^= 1
    replace(name, {"missing": None, "empty": b""}.get(harm, bytes(content)))
    with pytest.raises(data.DataError) as error:
        data.load(numpy=True, data_dir=folder)
    assert str(folder / name) in str(error.value)
    assert ("is missing" if harm == "missing" else "is damaged") in str(error.value)
    assert "git checkout -- data" in str(error.value)


def test_damage_is_found_without_sums(copy):
    folder, replace = copy
    replace("SHA256SUMS", None)
    replace(TRAIN_SHARD, (DATA / TRAIN_SHARD).read_bytes()[:-1])
    with pytest.raises(data.DataError, match="00000-of-00001 ends inside record 59999"):
        data.load(numpy=True, data_dir=folder)
    replace(TRAIN_SHARD, None)
    with pytest.raises(data.DataError, match="0 train images in 0 files; 60000 are expected"):
        data.load(numpy=True, data_dir=folder)
    replace(VERSION / "dataset_info.json", None)
    with pytest.raises(data.DataError, match="no VERSION/dataset_info.json"):
        data.load(numpy=True, data_dir=folder)


def write_shard(folder, labels, height=28):
    image = np.zeros((height, 28, 1), np.uint8)
    path = folder / "fashion_mnist-train.tfrecord-00000-of-00001"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for label in labels:
            features = {
                "image": tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[tf.io.encode_png(image).numpy()])
                ),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())
    return path


def test_contents_of_a_shard_are_checked(tmp_path):
    write_shard(tmp_path, [0, 9, 300])
    with pytest.raises(ValueError, match="labels run from 0 to 300; allowed: 0 to 9"):
        data._read_shards(tmp_path, "train", 3, 10)
    write_shard(tmp_path, [0, 9])
    assert data._read_shards(tmp_path, "train", 2, 10)[1].tolist() == [0, 9]
    with pytest.raises(data.DataError, match="2 train images in 1 files; 3 are expected"):
        data._read_shards(tmp_path, "train", 3, 10)
    write_shard(tmp_path, [0], height=27)
    with pytest.raises(data.DataError, match=r"are \(27, 28, 1\), not \(28, 28, 1\)"):
        data._read_shards(tmp_path, "train", 1, 10)
    path = write_shard(tmp_path, [0, 1])
    content = path.read_bytes()
    at = content.index(b"IDAT") + 6  # inside the compressed pixels
    path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
    with pytest.raises(data.DataError, match="00000-of-00001 is damaged: "):
        data._read_shards(tmp_path, "train", 2, 10)


# ---- which folder


def test_folders_are_searched_in_the_documented_order(tmp_path, monkeypatch):
    assert data._folders(None)[0] == DATA
    assert data._folders(tmp_path) == [tmp_path]
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
    assert data._folders(None)[:2] == [tmp_path, DATA]
    with monkeypatch.context() as patch:
        patch.setattr(data, "_read_fashion_mnist", lambda folder: folder)
        assert data._read_embedded([tmp_path, DATA]) == DATA
    with pytest.raises(data.DataError, match="fashion_mnist is not in .*leave data_dir"):
        data.load(data_dir=tmp_path)
    with pytest.raises(data.DataError, match="data_dir is '.*nowhere', which is not a folder"):
        data.load(data_dir=tmp_path / "nowhere")
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(data.DataError, match="COURSE_DATA_DIR is '.*nowhere', which is not a"):
        data.load()


def test_an_installed_package_uses_its_own_copy(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "course_lib"
    (package / "embedded").mkdir(parents=True)
    (package.parent / "data").mkdir()  # some other package's
    monkeypatch.setattr(data, "_HERE", package)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data._folders(None) == [package / "embedded"]
    assert data._download_folder(data._folders(None)) == tmp_path / "tensorflow_datasets"


def test_downloads_go_home_when_data_is_read_only(tmp_path, monkeypatch):
    assert data._download_folder([DATA]) == DATA
    monkeypatch.setattr(os, "access", lambda folder, mode: False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data._download_folder([DATA]) == tmp_path / "tensorflow_datasets"


# ---- fresh processes: no TensorFlow, no writing, two at once, no network

WATCHED_LOAD = """
import os, sys
sys.modules["tensorflow"] = None  # importing it fails
def watch(event, arguments):
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        raise SystemExit(f"opened for writing: {arguments[0]}")
    if event in ("os.mkdir", "os.remove", "os.rename", "socket.connect"):
        raise SystemExit(f"{event}: {arguments[0]}")
sys.dont_write_bytecode = True
sys.addaudithook(watch)
from course_lib import data
x, y = data.load(numpy=True).train
print(x.shape, x.dtype, y.sum())
"""


@pytest.mark.slow
def test_two_processes_load_without_tensorflow_and_write_nothing(plain):
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", WATCHED_LOAD],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for run in runs:
        out, err = run.communicate(timeout=120)
        assert run.returncode == 0, err
        assert out.strip() == f"(55000, 28, 28, 1) float32 {plain.train[1].sum()}"


def test_tf_data_without_tensorflow_says_what_to_do():
    code = "import sys; sys.modules['tensorflow'] = None; from course_lib import data; "
    code += "data.load(numpy=False)"
    status, _, error = run_python(code)
    assert status == 1 and error.startswith("ImportError: tf.data needs TensorFlow")
    assert 'data.load("fashion_mnist", numpy=True) works without it' in error


LOAD_CIFAR = """
import time
from course_lib import data
start = time.monotonic()
try:
    data.load("cifar10", data_dir={folder!r}, numpy=True)
except data.DataError as error:
    print(int(time.monotonic() - start), error)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("listens", "reason"), [(False, "refused"), (True, "in 6 seconds")])
def test_no_network_is_an_error_within_seconds(tmp_path, listens, reason):
    """The way out is a port of this machine: one that refuses, or one that never answers."""
    with socket.socket() as gate:
        gate.bind(("127.0.0.1", 0))
        if listens:
            gate.listen()
        proxy = f"http://127.0.0.1:{gate.getsockname()[1]}"
        status, out, error = run_python(
            LOAD_CIFAR.format(folder=str(tmp_path)), https_proxy=proxy, no_proxy=""
        )
    assert status == 0, error
    seconds, message = out.split(maxsplit=1)
    assert int(seconds) < 10
    assert message.startswith(
        "cifar10 is not on this machine and cannot be fetched from https://www.cs.toronto.edu"
    )
    assert reason in message or "Network is unreachable" in message
    assert "Connect to the network" in message and "or use fashion_mnist" in message


def test_a_refusal_counts_as_an_answer(monkeypatch):
    def refuse(request, timeout):
        raise data.urllib.error.HTTPError(request.full_url, 403, "Forbidden", {}, None)

    monkeypatch.setattr(data.urllib.request, "urlopen", refuse)
    assert data.unreachable("https://example.org/set.tgz") is None


# ---- sets that TFDS prepares, with small stand-ins that TFDS writes


def store(folder, name, shape, pictures, config=None):
    """Write a stand-in for a TFDS set: {split: [(image, label)]}."""
    features = {
        "image": tfds.features.Image(shape=shape, encoding_format="jpeg" if config else "png"),
        "label": tfds.features.ClassLabel(names=[f"class {k}" for k in range(10)]),
    }
    return tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        config=config,
        features=tfds.features.FeaturesDict(features),
        split_datasets={
            split: [
                (number, {"image": image, "label": label})
                for number, (image, label) in enumerate(examples)
            ]
            for split, examples in pictures.items()
        },
        data_dir=folder,
    )


def with_splits(monkeypatch, name, *splits):
    source = dataclasses.replace(data._SOURCES[name], splits=splits)
    monkeypatch.setitem(data._SOURCES, name, source)


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    pictures = {
        split: [(random.integers(0, 256, (32, 32, 3), np.uint8), k % 10) for k in range(count)]
        for split, count in [("train", 30), ("test", 10)]
    }
    with_splits(monkeypatch, "cifar10", "train[:20]", "train[20:]", "test")
    return tmp_path, pictures


def check_cifar(splits, pictures):
    assert splits.sizes == {"train": 20, "validation": 10, "test": 10}
    assert splits.image_shape == (32, 32, 3) and splits.classes == 10
    images, labels = splits.test
    assert images.dtype == np.float32 and labels.dtype == np.int32
    found = {bytes(np.round(image * 255).astype(np.uint8)) for image in images}
    assert found == {bytes(image) for image, _ in pictures["test"]}


def test_a_prepared_set_is_read_without_a_network(cifar, monkeypatch):
    folder, pictures = cifar
    store(folder, "cifar10", (32, 32, 3), pictures)
    monkeypatch.setattr(data, "unreachable", lambda url: pytest.fail("asked the network"))
    check_cifar(data.load("cifar10", data_dir=folder, numpy=True, standardize=False), pictures)
    splits = data.load("cifar10", data_dir=folder, image_size=40, augment=True, batch_size=8)
    images, labels = next(splits.train.as_numpy_iterator())
    assert images.shape == (8, 40, 40, 3) and labels.shape == (8,)
    assert splits.mean.shape == splits.std.shape == (3,)


def test_a_set_is_fetched_when_the_network_answers(cifar, monkeypatch):
    folder, pictures = cifar

    class Builder:
        def __init__(self, name, data_dir):
            assert (name, data_dir) == ("cifar10", folder)
            self.stored = None

        def download_and_prepare(self):
            self.stored = store(folder, "cifar10", (32, 32, 3), pictures)

        def __getattr__(self, name):
            return getattr(self.stored, name)

    monkeypatch.setattr(data, "unreachable", lambda url: None)
    monkeypatch.setattr(tfds, "builder", Builder)
    check_cifar(data.load("cifar10", data_dir=folder, numpy=True, standardize=False), pictures)


def test_a_failing_download_is_explained(tmp_path, monkeypatch):
    def builder(name, data_dir):
        raise ConnectionResetError("connection reset by peer")

    monkeypatch.setattr(data, "unreachable", lambda url: None)
    monkeypatch.setattr(tfds, "builder", builder)
    with pytest.raises(data.DataError, match="fetching cifar10 into .* failed: connection reset"):
        data.load("cifar10", data_dir=tmp_path)


def test_imagenet_must_be_downloaded_by_hand(tmp_path):
    with pytest.raises(data.DataError) as error:
        data.load("imagenet2012", image_size=224, data_dir=tmp_path)
    assert "https://image-net.org/download-images" in str(error.value)
    assert f"ILSVRC2012_img_val.tar into {tmp_path / 'downloads' / 'manual'}" in str(error.value)


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """Pictures of 60x90 and 120x80, left half black and right half of one grey value."""

    def picture(number):
        image = np.zeros((60, 90, 3) if number % 2 else (120, 80, 3), np.uint8)
        image[:, image.shape[1] // 2 :] = 200
        return image

    pictures = {
        split: [(picture(number), number % 10) for number in range(count)]
        for split, count in [("train", 40), ("validation", 12)]
    }
    store(tmp_path, "imagenette", (None, None, 3), pictures, config="320px-v2")
    with_splits(monkeypatch, "imagenette/320px-v2", "train[:30]", "train[30:]", "validation")
    return tmp_path


@pytest.mark.slow
def test_photographs_are_scaled_and_cut(photographs):
    options = {"name": "imagenette/320px-v2", "data_dir": photographs, "standardize": False}
    splits = data.load(**options, image_size=32, batch_size=8)
    assert splits.sizes == {"train": 30, "validation": 10, "test": 12}
    assert splits.image_shape == (32, 32, 3) and len(splits.train) == 4
    [(images, labels)] = passes(splits.test)
    assert images.shape == (12, 32, 32, 3) and labels.dtype == np.int32
    # The centre is cut out: the edge of the picture stays in the middle.
    assert np.abs(images[:, :, :13]).max() < 0.1
    assert np.abs(images[:, :, 19:] - 200 / 255).max() < 0.1
    arrays = data.load(**options, image_size=32, numpy=True)
    assert (arrays.test[0] == images).all() and arrays.train[0].shape == (30, 32, 32, 3)
    assert data.load(**options, image_size=32, train_limit=7).sizes["train"] == 7


def test_photographs_are_augmented_from_the_seed(photographs, monkeypatch):
    monkeypatch.setattr(data, "_SHUFFLED_TOGETHER", 16)
    options = {"name": "imagenette/320px-v2", "data_dir": photographs, "standardize": False}
    splits = data.load(**options, image_size=32, augment=True)
    (first, labels), (second, other_labels) = passes(splits.train, 2)
    assert sorted(labels) == sorted(other_labels)
    assert (first != second).any() and (labels != other_labels).any()
    [(again, same_labels)] = passes(splits.train_from(1))
    assert (second == again).all() and (other_labels == same_labels).all()
    assert first.min() >= 0 and first.max() <= 1
    right = first[:, :, -1].mean(axis=(1, 2))  # bright unless mirrored
    assert 0 < (right < 0.2).sum() < 30
