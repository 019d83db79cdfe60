"""Data sets as train / validation / test, for tf.data or as NumPy arrays.

Fashion-MNIST comes with the course and needs neither a network nor, as arrays, TensorFlow. Three
further sets are fetched by TensorFlow Datasets when they are asked for. data/README.md says where
each comes from and under what terms.

    from course_lib import data
    splits = data.load()                        # tf.data where TensorFlow is, standardised
    x, y = data.load(numpy=True).test           # arrays: (10000, 28, 28, 1) float32, (10000,) int32

Order and augmentation of a training pass are drawn by Philox4x32-10 from the seed and the number
of the pass, which TensorFlow and the few lines of NumPy below do alike: both ways give the same
batches, except where pictures differ in size.
"""

import functools
import hashlib
import importlib.util
import os
import struct
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from course_lib import tfrecord

_HERE = Path(__file__).resolve().parent
_SECONDS_TO_ANSWER = 6
# Of a set that is too large for memory, so many neighbours in the files are mixed at a time.
_SHUFFLED_TOGETHER = 4096
_PARTS = ("train", "validation", "test")
# Of the 60,000 official training images of Fashion-MNIST; the other 5,000 are for validation.
_FASHION_TRAIN = 55_000
_AUGMENT = {"shift": 2, "mirror": True, "cutout": 0}
# What is drawn for a photograph, where nothing else is said; `load` explains the keys.
CUT = {"scale": None, "square": False, "area": None, "mirror": True, "jitter": 0, "lighting": 0}
_RESTORE = "In a clone, `git checkout -- data` restores it; otherwise install the course again."


class DataError(RuntimeError):
    """A data set is missing, damaged, or out of reach; the message says what to do."""


@dataclass(frozen=True)
class _Source:
    """What is known of one data set before anything is read.

    `mean` and `std` (one number per channel, on the 0 to 1 scale) belong to the training split.
    `image_shape` is None where pictures differ in size. `splits` are train, validation and test
    in TensorFlow Datasets' words, `url` is what it downloads, and `by_hand` names the files
    that a person must download instead.
    """

    mean: tuple
    std: tuple
    image_shape: tuple | None = None
    splits: tuple = ()
    url: str | None = None
    by_hand: tuple = ()


# Fashion-MNIST: measured on the 55,000 training images (and again in tests/test_data.py).
# The others: the constants in common use for CIFAR-10 and ImageNet, not measured here.
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_SOURCES = {
    "fashion_mnist": _Source(mean=(0.2862,), std=(0.3530,), image_shape=(28, 28, 1)),
    "cifar10": _Source(
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        image_shape=(32, 32, 3),
        splits=("train[:45000]", "train[45000:]", "test"),
        url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    ),
    "imagenette/320px-v2": _Source(
        **_IMAGENET,
        splits=("train[:90%]", "train[90%:]", "validation"),
        url="https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz",
    ),
    "imagenet2012": _Source(
        **_IMAGENET,
        splits=("train[:99%]", "train[99%:]", "validation"),
        by_hand=("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"),
    ),
}
NAMES = tuple(_SOURCES)


@dataclass(frozen=True)
class Splits:
    """A data set, split.

    `train`, `validation`, `test`: tf.data.Dataset of batches (images, labels), or pairs of
    NumPy arrays. Images are float32 (n, height, width, channels), labels int32 (n,).
    A tf.data `train` shuffles itself: every iteration is the next pass, so give
    `fit(..., shuffle=False)`. Arrays are in file order; `train_pass` shuffles them.
    `sizes`: number of images by split name. `image_shape`: (height, width, channels).
    `mean`, `std`: float32 arrays (channels,), on the 0 to 1 scale, so that
    `images * std + mean` undoes the standardisation.
    `parts`: among how many processes `train` and `validation` are divided.
    """

    name: str
    train: object
    validation: object
    test: object
    class_names: tuple
    image_shape: tuple
    mean: np.ndarray
    std: np.ndarray
    sizes: dict
    parts: int = 1
    _recipe: object = None
    _passes: Callable | None = None
    _views: Callable | None = None

    @property
    def classes(self):
        """Number of classes."""
        return len(self.class_names)

    def train_from(self, epoch, spare=0):
        """Return `train` such that its first pass is pass number `epoch` (counted from 0).

        A run that is taken up again after `epoch` epochs sees the same batches as one that was
        never interrupted. `spare` passes come before it, for one who begins to read before
        training does. Raises ValueError for NumPy arrays; see `train_pass`.
        """
        if self._passes is None:
            raise ValueError(
                "train_from works on tf.data; these splits were loaded as NumPy, see train_pass"
            )
        return self._passes(_integer("epoch", epoch, 0, 10**6) - spare)

    def views(self, crops=1, scale=None):
        """Return the test pictures as squares cut out of each, where pictures differ in size.

        Args:
            crops: 1, the centre; or 10, the corners, the centre, and their mirror images.
            scale: pixels of the shorter side before they are cut; None: image_size * 256 / 224.

        Returns:
            tf.data.Dataset of batches: (n, crops, height, width, 3) float32 and (n,) int32.

        Raises:
            ValueError: the pictures are of one size, or an argument is not allowed.
        """
        if self._views is None:
            raise ValueError(
                f"views are for pictures that differ in size; those of {self.name} "
                "were loaded as they are"
            )
        return self._views(crops, scale)

    def train_pass(self, epoch, batch_size=None, seed=None):
        """Return the batches of pass number `epoch` (counted from 0) over the arrays of `train`.

        They are those of tf.data: the same pictures in the same order, augmented alike.

        Args:
            epoch: number of the pass.
            batch_size, seed: other ones than `load` was given.

        Returns:
            `Pass`, a sequence of (images, labels).

        Raises:
            ValueError: the splits were loaded for tf.data, or an argument is not allowed.
        """
        if not isinstance(self.train, tuple):
            raise ValueError(
                "train_pass works on arrays; these splits were loaded for tf.data, see train_from"
            )
        return Pass(
            *self.train,
            epoch,
            batch_size=self._recipe.batch_size if batch_size is None else batch_size,
            seed=self._recipe.seed if seed is None else seed,
            augment=self._recipe.augment,
            black=self._recipe.standardise(np.float32(0)),
        )


class Pass:
    """The batches of one training pass over arrays: a sequence of (images, labels).

    Args:
        images: (n, height, width, channels) float32.
        labels: (n,).
        epoch: number of the pass, counted from 0.
        batch_size: images per batch. The last batch may be smaller.
        seed: with the epoch it decides the order and what augmentation draws.
        augment: what `load` calls so, or False.
        black: what a black pixel is in `images`, one number or one a channel.

    Raises:
        ValueError: an argument is not allowed.
    """

    def __init__(self, images, labels, epoch, batch_size=128, seed=0, augment=False, black=0.0):
        self.images, self.labels = images, labels
        self.batch_size = _integer("batch_size", batch_size, 1, 10**6)
        self.augment = _augmentation(augment, min(images.shape[1:3]))
        self.black = np.asarray(black, images.dtype)
        key = _integer("seed", seed, 0, 2**31 - 1), _integer("epoch", epoch, 0, 10**6)
        drawn = _draw(key, (_rows(self.augment), len(labels)))
        self.order, self.moves = np.argsort(drawn[0]), drawn[1:]

    def __len__(self):
        return -(-len(self.labels) // self.batch_size)

    def __getitem__(self, i):
        first = range(0, len(self.labels), self.batch_size)[i]
        chosen = self.order[first : first + self.batch_size]
        images = self.images[chosen]
        if self.augment:
            moves = self.moves[:, first : first + self.batch_size]
            sides = images.shape[1:3]
            rows, columns, outside, cut = _places(moves, *sides, self.augment, np.where)
            picture = np.arange(len(chosen))[:, None, None]
            images = images[picture, rows[:, :, None], columns[:, None, :]]
            images = np.where(outside[..., None], self.black, images)
            images = np.where(cut[..., None], np.zeros_like(self.black), images)
        return images, self.labels[chosen]


def load(
    name="fashion_mnist",
    *,
    batch_size=128,
    image_size=None,
    train_limit=None,
    numpy=None,
    standardize=True,
    augment=False,
    seed=0,
    part=(0, 1),
    data_dir=None,
):
    """Load a data set by name.

    Splits (in the order of the prepared files, which TensorFlow Datasets fixes by a hash of
    each picture's number or name, so a slice holds all classes):

    - `fashion_mnist` (embedded, MIT licence): 28x28 grey, 10 classes. Train is `train[:55000]`
      of the official training set, validation `train[55000:]`, test the official 10,000.
    - `cifar10` (has no licence, so it is fetched only if you ask): 32x32 colour, 10 classes.
      45,000 / 5,000 / the official 10,000.
    - `imagenette/320px-v2`: ten classes of ImageNet, sizes differ. 90 % / 10 % of the official
      training set; test is the official validation set.
    - `imagenet2012`: 1,000 classes, sizes differ; you download it yourself, as its terms ask.
      99 % / 1 % of the training set; test is the official validation set (the labels of the
      official test set are not public).

    Args:
        name: one of `NAMES`.
        batch_size: images per batch (tf.data only). The last batch may be smaller.
        image_size: side of the square images in pixels. None keeps 28 or 32. Where sizes
            differ it must be given: the shorter side is scaled to image_size * 256 / 224 and
            the centre is cut out.
        train_limit: take only the first so many training images, class mix as it comes.
        numpy: True gives (images, labels) arrays instead of tf.data, train in file order. None
            does so where TensorFlow is not installed.
        standardize: True gives (pixel / 255 - mean) / std per channel; "mean" gives
            pixel - 255 * mean, as papers before 2015 did; False gives [0, 1].
        augment: True shifts training images by up to 2 pixels each way, after any resizing
            (black comes in), and mirrors half of them. A dictionary such as {"shift": 4,
            "mirror": True, "cutout": 8} changes that (a key left out is as for True): `shift` up
            to half the side, and `cutout`, the side of a square that is set to 0, the mean of
            standardised pictures, around a random pixel (DeVries and Taylor, arXiv:1708.04552).
            Where sizes differ (tf.data only): True cuts out a random square instead of the
            centre, mirrored or not. A dictionary says more, with one of the first two:
            `scale`, [low, high]: the shorter side is scaled to so many pixels, drawn for each
            picture; with `square` true, a square out of its middle square.
            `area`, [low, high]: a window of such a share of the picture, width to height from 3/4
            to 4/3, scaled to a square.
            `mirror`; `jitter`, 0.4 in most programs: by how much brightness, contrast and
            saturation may change; `lighting`, 0.1 in AlexNet: the deviation of its change of
            colour. `course_lib.photographs` has each as a function.
        seed: decides order and augmentation of every training pass. Pass number k is the same
            on every machine, in every process, for tf.data and in `Splits.train_pass`. (Where
            sizes differ, tf.data mixes 4,096 neighbours at a time; the files themselves are in
            shuffled order.)
        part: (which, of how many): the part of one of several processes that train together, where
            sizes differ. `train` and `validation` are divided evenly, batch_size with them. What
            does not fill a batch of all is left out of both; `test` is whole.
        data_dir: a TensorFlow Datasets folder to use instead of the usual ones: the variable
            COURSE_DATA_DIR, then data/ of the checkout, then the installed copy. Downloads
            go to the first of them that can be written, else to ~/tensorflow_datasets.

    Returns:
        `Splits`.

    Raises:
        ValueError: an argument is outside what is allowed.
        DataError: the set is damaged, or is not here and cannot be fetched.
        ImportError: TensorFlow is not installed, and tf.data or a set that TensorFlow Datasets
            fetches was asked for.
    """
    if numpy is None:
        numpy = importlib.util.find_spec("tensorflow") is None
    if name not in _SOURCES:
        raise ValueError(f"unknown data set {name!r}; known are: {', '.join(NAMES)}")
    source = _SOURCES[name]
    batch_size = _integer("batch_size", batch_size, 1, 10**6)
    seed = _integer("seed", seed, 0, 2**31 - 1)
    if image_size is not None:
        image_size = _integer("image_size", image_size, 8, 1024)
    elif source.image_shape is None:
        raise ValueError(
            f"the pictures of {name} differ in size; give image_size, a whole number from 8 to "
            "1024, for example 224"
        )
    if train_limit is not None:
        train_limit = _integer("train_limit", train_limit, 1, 10**9)
    if source.image_shape is not None:
        augment = _augmentation(augment, image_size or min(source.image_shape[:2]))
    elif augment and numpy:
        raise ValueError(f"augment is {augment!r}; allowed where sizes differ, as arrays: False")
    else:
        augment = _cut(augment, image_size)
    if standardize not in (True, False, "mean"):
        raise ValueError(f"standardize is {standardize!r}; allowed: True, False, 'mean'")
    which, processes = part
    processes = _integer("part[1]", processes, 1, 1 if source.image_shape else batch_size)
    if batch_size % processes:
        raise ValueError(
            f"batch_size is {batch_size}; allowed in {processes} parts: a multiple of it"
        )
    which = _integer("part[0]", which, 0, processes - 1)
    if not numpy:
        _import_tensorflow()
    std = (1 / 255,) if standardize == "mean" else source.std
    recipe = _Recipe(
        batch_size // processes,
        image_size,
        np.asarray(source.mean if standardize else (0.0,), np.float32),
        np.asarray(std if standardize else (1.0,), np.float32),
        augment,
        seed,
    )
    folders = _folders(data_dir)
    if name == "fashion_mnist":
        class_names, arrays = _read_embedded(folders)
        reader = _InMemory(arrays, train_limit, recipe)
    else:
        builder = _builder(name, source, folders)
        class_names = tuple(builder.info.features["label"].names)
        if source.image_shape:
            reader = _InMemory(_read_arrays(builder, source), train_limit, recipe)
        else:
            reader = _Streamed(builder, source, train_limit, recipe, which, processes)
    if numpy:
        parts = {part: reader.arrays(part) for part in _PARTS}
    else:
        parts = {part: reader.batches(part) for part in _PARTS[1:]}
        parts["train"] = reader.passes(0)
    height, width, channels = source.image_shape or (image_size, image_size, 3)
    return Splits(
        name=name,
        **parts,
        class_names=class_names,
        image_shape=(image_size or height, image_size or width, channels),
        mean=np.asarray(source.mean, np.float32),
        std=np.asarray(source.std, np.float32),
        sizes=reader.sizes,
        parts=processes,
        _recipe=recipe,
        _passes=None if numpy else reader.passes,
        _views=getattr(reader, "views", None),
    )


def _integer(name, value, low, high):
    """Return `value` as an int, or say which whole numbers are allowed."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | np.integer)
        or not low <= value <= high
    ):
        raise ValueError(f"{name} is {value!r}; allowed: whole numbers from {low} to {high}")
    return int(value)


def _augmentation(augment, side):
    """Return False or all of shift, mirror and cutout, or say which values are allowed."""
    if isinstance(augment, bool):
        return augment and dict(_AUGMENT)
    if not isinstance(augment, dict) or not set(augment) <= set(_AUGMENT):
        raise ValueError(
            f"augment is {augment!r}; allowed: True, False, or a dictionary with keys of "
            f"{', '.join(_AUGMENT)}"
        )
    whole = _AUGMENT | augment
    if not isinstance(whole["mirror"], bool):
        raise ValueError(f"mirror is {whole['mirror']!r}; allowed: True, False")
    _integer("shift", whole["shift"], 0, side // 2)
    _integer("cutout", whole["cutout"], 0, side)
    return whole


def _cut(augment, side):
    """Return False or all of `CUT`, or say which values are allowed."""
    if isinstance(augment, bool):
        usual = round(side * 256 / 224)
        return augment and {**CUT, "scale": (usual, usual)}
    if not isinstance(augment, dict) or not set(augment) <= set(CUT):
        raise ValueError(
            f"augment is {augment!r}; allowed where sizes differ: True, False, or a dictionary "
            f"with keys of {', '.join(CUT)}"
        )
    whole = CUT | augment
    if (whole["scale"] is None) == (whole["area"] is None):
        raise ValueError(f"augment is {augment!r}; allowed: one of scale and area")
    bounds, name = ((side, 4096), "scale") if whole["scale"] else ((0.01, 1), "area")
    low, high = whole[name]
    if not bounds[0] <= low <= high <= bounds[1]:
        raise ValueError(
            f"{name} is {whole[name]!r}; allowed: two numbers from {bounds[0]} to {bounds[1]}, the "
            "lower one first"
        )
    for name in ("square", "mirror"):
        if not isinstance(whole[name], bool):
            raise ValueError(f"{name} is {whole[name]!r}; allowed: True, False")
    if whole["square"] and whole["area"]:
        raise ValueError("square is True; allowed with area: False")
    for name in ("jitter", "lighting"):
        if not 0 <= whole[name] <= 1:
            raise ValueError(f"{name} is {whole[name]!r}; allowed: numbers from 0 to 1")
    return whole


def _import_tensorflow():
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(
            "tf.data needs TensorFlow, which is not installed; "
            'data.load("fashion_mnist", numpy=True) works without it'
        ) from error
    return tf


# ---- where the files are


def _folders(data_dir):
    """Return the folders that may hold data sets, the preferred one first."""
    asked = data_dir if data_dir is not None else os.environ.get("COURSE_DATA_DIR")
    if asked:
        folder = Path(asked).expanduser()
        if not folder.is_dir():
            origin = "data_dir" if data_dir is not None else "COURSE_DATA_DIR"
            raise DataError(f"{origin} is {str(asked)!r}, which is not a folder")
        if data_dir is not None:
            return [folder]
    usual = [_HERE / "embedded", Path("~/tensorflow_datasets").expanduser()]
    if (_HERE.parent / "pyproject.toml").is_file():  # a checkout, not site-packages
        usual.insert(0, _HERE.parent / "data")
    return ([folder] if asked else []) + [folder for folder in usual if folder.is_dir()]


def _download_folder(folders):
    """Return where a download goes: the first folder that can be written, else the home one."""
    for folder in folders:
        if folder != _HERE / "embedded" and os.access(folder, os.W_OK):
            return folder
    return Path("~/tensorflow_datasets").expanduser()


# ---- the embedded set


def _read_embedded(folders):
    """Return the class names and {part: (uint8 images, int32 labels)} of Fashion-MNIST."""
    for folder in folders:
        if (folder / "fashion_mnist").is_dir():
            return _read_fashion_mnist(folder)
    raise DataError(
        f"fashion_mnist is not in {', '.join(map(str, folders))}; it comes with the course, so "
        "leave data_dir and COURSE_DATA_DIR unset, or get a fresh copy of the course"
    )


@functools.lru_cache(maxsize=1)
def _read_fashion_mnist(folder):
    _check_sums(folder)
    found = sorted((folder / "fashion_mnist").glob("*/dataset_info.json"))
    if not found:
        raise DataError(f"{folder / 'fashion_mnist'}: no VERSION/dataset_info.json. {_RESTORE}")
    version = found[-1].parent
    class_names = tuple((version / "label.labels.txt").read_text(encoding="utf-8").split("\n")[:10])
    train = _read_shards(version, "train", 60_000, len(class_names))
    arrays = {
        "train": tuple(array[:_FASHION_TRAIN] for array in train),
        "validation": tuple(array[_FASHION_TRAIN:] for array in train),
        "test": _read_shards(version, "test", 10_000, len(class_names)),
    }
    return class_names, arrays


def _check_sums(folder):
    """Compare every file of fashion_mnist with folder/SHA256SUMS, where there is one."""
    sums = folder / "SHA256SUMS"
    if not sums.is_file():
        return  # a folder that TensorFlow Datasets prepared by itself
    for line in sums.read_text(encoding="utf-8").splitlines():
        expected, name = line.split(maxsplit=1)
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path} is missing. {_RESTORE}")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != expected:
            raise DataError(
                f"{path} is damaged: its {len(content)} bytes do not have the SHA-256 that is in "
                f"{sums}. {_RESTORE}"
            )


def _read_shards(folder, split, count, classes):
    """Return the images (count, 28, 28, 1) uint8 and labels (count,) int32 of one split."""
    images, labels = [], []
    paths = sorted(folder.glob(f"fashion_mnist-{split}.tfrecord*"))
    for path in paths:
        try:
            examples = [tfrecord.parse_example(record) for record in tfrecord.read_records(path)]
            images.append(tfrecord.decode_pngs([example["image"] for example in examples]))
            labels += [example["label"] for example in examples]
        except (ValueError, LookupError, struct.error, zlib.error) as error:
            raise DataError(f"{path} is damaged: {error}. {_RESTORE}") from error
    if len(labels) != count:
        raise DataError(
            f"{folder}: {len(labels)} {split} images in {len(paths)} files; {count} are expected. "
            f"{_RESTORE}"
        )
    images, labels = np.concatenate(images), np.array(labels, np.int32)
    if images.shape[1:] != (28, 28, 1):
        raise DataError(f"{folder}: {split} images are {images.shape[1:]}, not (28, 28, 1)")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"{folder}: {split} labels run from {labels.min()} to {labels.max()}; "
            f"allowed: 0 to {classes - 1}"
        )
    images.flags.writeable = labels.flags.writeable = False  # every later load shares them
    return images, labels


# ---- the sets that TensorFlow Datasets fetches


def _builder(name, source, folders):
    """Return the TensorFlow Datasets builder of a prepared set; prepare it first if need be."""
    for folder in folders:
        prepared = sorted((folder / name).glob("*/dataset_info.json"))
        if prepared:
            import tensorflow_datasets as tfds

            return tfds.builder_from_directory(prepared[-1].parent)
    target = _download_folder(folders)
    by_hand = [target / "downloads" / "manual" / file for file in source.by_hand]
    if not all(path.is_file() for path in by_hand):
        raise DataError(
            f"{name} must be downloaded by you, since its terms are between you and image-net.org. "
            f"Register at https://image-net.org/download-images and put {by_hand[0].name} and "
            f"{by_hand[1].name} into {by_hand[0].parent}. Or use fashion_mnist, which needs no "
            "download."
        )
    if source.url:
        problem = unreachable(source.url)
        if problem:
            raise DataError(
                f"{name} is not on this machine and cannot be fetched from {source.url}: "
                f"{problem}. Connect to the network and run this again; or copy a folder {name} "
                f"that TensorFlow Datasets prepared elsewhere into {target}; or use "
                "fashion_mnist, which needs no network."
            )
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=target)
        builder.download_and_prepare()
    except OSError as error:
        raise DataError(
            f"fetching {name} into {target} failed: {error}. Check the network and the free disk "
            "space, then run this again."
        ) from error
    return builder


def unreachable(url):
    """Return why `url` does not answer, or None if it does, within a few seconds.

    It runs in a thread since looking up a host's name has no time limit of its own.
    """
    outcome = [f"no answer in {_SECONDS_TO_ANSWER} seconds"]

    def ask():
        request = urllib.request.Request(url, method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=_SECONDS_TO_ANSWER).close()
            outcome[0] = None
        except urllib.error.HTTPError:
            outcome[0] = None  # a refusal is an answer
        except OSError as error:
            outcome[0] = str(getattr(error, "reason", error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_SECONDS_TO_ANSWER)
    return outcome[0]


def _read_arrays(builder, source):
    """Return {part: (uint8 images, int32 labels)} of a set whose images have one size."""
    arrays = {}
    for part, split in zip(_PARTS, source.splits, strict=True):
        count = builder.info.splits[split].num_examples
        examples = next(builder.as_dataset(split=split, batch_size=count).as_numpy_iterator())
        arrays[part] = examples["image"], examples["label"].astype(np.int32)
    return arrays


# ---- what a training pass draws


def _philox(counter, key):
    """Return four random words for each counter: (4, n) of 32 bits, held in uint64.

    Args:
        counter: (4, n) uint64 below 2**32.
        key: (2,) uint64 below 2**32.

    Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", sec. 3.3
    (Philox4x32-10).
    """
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    for _ in range(10):
        one, two = counter[0] * np.uint64(0xD2511F53), counter[2] * np.uint64(0xCD9E8D57)
        counter = np.stack(
            [
                (two >> half) ^ counter[1] ^ key[0],
                two & low,
                (one >> half) ^ counter[3] ^ key[1],
                one & low,
            ]
        )
        key = (key + np.array([0x9E3779B9, 0xBB67AE85], np.uint64)) & low
    return counter


def _draw(key, shape):
    """Return random int64 numbers over the whole range, those of `_draw_in_tensorflow`."""
    words = np.array(key, np.int64).view(np.uint32).astype(np.uint64)
    mixed = _philox(words[:, None], np.array([0x3EC8F720, 0x02461E29], np.uint64))[:, 0]
    count = shape[0] * shape[1]
    counter = np.zeros((4, -(-count // 2)), np.uint64)
    counter[0], counter[2:] = np.arange(counter.shape[1]), mixed[2:, None]
    drawn = _philox(counter, mixed[:2]).T.astype(np.uint32)
    return drawn.ravel().view(np.int64)[:count].reshape(shape)


def _draw_in_tensorflow(key, shape):
    tf = _import_tensorflow()
    return tf.random.stateless_uniform(
        shape, seed=key, minval=None, maxval=None, dtype=tf.int64, alg="philox"
    )


def _rows(augment):
    """Return how many numbers are drawn for each picture of a pass; the first gives the order."""
    return 6 if augment else 1


def _places(moves, height, width, augment, where):
    """Return where the pixels of augmented pictures come from.

    It is computed alike by NumPy and by TensorFlow.

    Args:
        moves: (5, n) int64 random numbers.
        height, width: of the pictures.
        augment: a dictionary of shift, mirror and cutout.
        where: np.where or tf.where.

    Returns:
        rows (n, height) and columns (n, width), the pixel's place in the picture; outside and
        cut, (n, height, width) bool: pixels that the picture does not have, or that cutout
        takes away.
    """
    shift, half = augment["shift"], augment["cutout"] // 2
    down, across, mirrored, top, left = (moves[k][:, None] for k in range(5))
    rows = down % (2 * shift + 1) - shift + np.arange(height)
    columns = across % (2 * shift + 1) - shift + np.arange(width)
    if augment["mirror"]:
        columns = where(mirrored % 2 == 0, columns[:, ::-1], columns)
    lost = [(place < 0) | (place >= side) for place, side in ((rows, height), (columns, width))]
    from_top, from_left = (
        np.arange(side) - first % side + half for first, side in ((top, height), (left, width))
    )
    inside = [(place >= 0) & (place < augment["cutout"]) for place in (from_top, from_left)]
    return (
        rows % height,
        columns % width,
        lost[0][:, :, None] | lost[1][:, None, :],
        inside[0][:, :, None] & inside[1][:, None, :],
    )


# ---- from pictures to what a network is fed


@dataclass(frozen=True)
class _Recipe:
    batch_size: int
    image_size: int | None
    mean: np.ndarray
    std: np.ndarray
    augment: dict | bool
    seed: int

    def passes(self, one_pass, size, first):
        """Return a tf.data.Dataset whose k-th iteration is pass `first` + k over `size` images.

        `one_pass(key)` makes the batches of one pass from the seed and the number of the pass,
        (2,) int64, and depends on nothing else.
        """
        tf = _import_tensorflow()
        with tf.device("cpu:0"):  # where tf.data runs, also on a machine with a GPU
            number = tf.Variable(first - 1, trainable=False, dtype=tf.int64)

        # A Python generator would be plainer, but TensorFlow then makes every process return
        # freed memory at once, which costs a third of the training speed.
        def count(_):
            return tf.stack([tf.constant(self.seed, tf.int64), number.assign_add(1)])

        steps = -(-size // self.batch_size)
        batches = tf.data.Dataset.from_tensors(0).map(count).flat_map(one_pass)
        return batches.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2)

    def resize(self, images, einsum):
        """Resize (n, h, w, c) float32 images in [0, 1]."""
        if self.image_size is None:
            return images
        down, across = (_resizing(side, self.image_size) for side in images.shape[1:3])
        images = einsum("oh,nhwc->nowc", down, images)
        return einsum("pw,nowc->nopc", across, images)

    def standardise(self, images):
        return (images - self.mean) / self.std


class _InMemory:
    """Sets of small images: decoded once, kept as bytes."""

    def __init__(self, arrays, train_limit, recipe):
        self.sizes = {part: len(labels) for part, (_, labels) in arrays.items()}
        if train_limit is not None:
            self.sizes["train"] = _integer("train_limit", train_limit, 1, self.sizes["train"])
        self.recipe = recipe
        self._arrays = {
            part: [array[: self.sizes[part]] for array in pair] for part, pair in arrays.items()
        }

    def arrays(self, part):
        images, labels = self._arrays[part]
        images = images.astype(np.float32) / np.float32(255)
        return self.recipe.standardise(self.recipe.resize(images, np.einsum)), labels.copy()

    def _tensors(self, part):
        tf = _import_tensorflow()
        with tf.device("cpu:0"):
            return [tf.constant(array) for array in self._arrays[part]]

    def _fed(self, images, chosen):
        """Return the chosen of some bytes as a network is fed with them."""
        tf = _import_tensorflow()
        pictures = tf.cast(tf.gather(images, chosen), tf.float32) / 255
        return self.recipe.standardise(self.recipe.resize(pictures, tf.einsum))

    def batches(self, part):
        tf = _import_tensorflow()
        images, labels = self._tensors(part)

        def batch(chosen):
            return self._fed(images, chosen), tf.gather(labels, chosen)

        numbers = tf.data.Dataset.range(self.sizes[part]).batch(self.recipe.batch_size)
        return numbers.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)

    def passes(self, first):
        tf = _import_tensorflow()
        images, labels = self._tensors("train")
        size, augment = self.sizes["train"], self.recipe.augment

        def batch(chosen, moves):
            pictures = self._fed(images, chosen)
            if augment:
                sides = pictures.shape[1:3]
                moves = tf.transpose(moves)
                rows, columns, outside, cut = _places(moves, *sides, augment, tf.where)
                pictures = tf.gather(pictures, rows, axis=1, batch_dims=1)
                pictures = tf.gather(pictures, columns, axis=2, batch_dims=1)
                black = self.recipe.standardise(np.float32(0))
                pictures = tf.where(outside[..., None], black, pictures)
                pictures = tf.where(cut[..., None], np.zeros_like(black), pictures)
            return pictures, tf.gather(labels, chosen)

        def one_pass(key):
            drawn = _draw_in_tensorflow(key, (_rows(augment), size))
            pictures = tf.data.Dataset.from_tensor_slices(
                (tf.argsort(drawn[0]), tf.transpose(drawn[1:]))
            )
            batches = pictures.batch(self.recipe.batch_size)
            return batches.map(batch, num_parallel_calls=tf.data.AUTOTUNE)

        return self.recipe.passes(one_pass, size, first)


class _Streamed:
    """Sets of photographs of any size: decoded, scaled and cut while they are read."""

    def __init__(self, builder, source, train_limit, recipe, which, parts):
        import tensorflow_datasets as tfds

        self.builder, self.recipe, self.parts, self.limit = builder, recipe, parts, train_limit
        self.splits = dict(zip(_PARTS, source.splits, strict=True))
        splits = self.splits.items()
        count = {part: builder.info.splits[split].num_examples for part, split in splits}
        if train_limit is not None:
            count["train"] = _integer("train_limit", train_limit, 1, count["train"])
        self.sizes = count
        for part in ("train", "validation") if parts > 1 else ():
            steps = count[part] // parts // recipe.batch_size
            if not steps:
                raise ValueError(
                    f"{self.splits[part]} has {count[part]} pictures, too few for a batch of "
                    f"{parts * recipe.batch_size}; allowed in parts: batches no larger than that"
                )
            self.sizes[part] = steps * recipe.batch_size
            self.splits[part] = tfds.even_splits(self.splits[part], n=parts)[which]

    def _encoded(self, part):
        import tensorflow_datasets as tfds

        examples = self.builder.as_dataset(
            split=self.splits[part], decoders={"image": tfds.decode.SkipDecoding()}
        )
        return examples.take(self.sizes[part])

    def _mixed(self, key):
        """Return the training examples, not decoded, the files in an order drawn from `key`.

        With a train_limit they are in order, since the first pictures are those meant.
        """
        import tensorflow_datasets as tfds

        tf = _import_tensorflow()
        wanted = self.builder.info.splits[self.splits["train"]].file_instructions
        files = (
            tf.constant([file.filename for file in wanted]),
            tf.constant([file.skip for file in wanted], tf.int64),
            tf.constant([file.take for file in wanted], tf.int64),  # -1 is all
        )
        order = tf.argsort(tf.random.stateless_uniform([len(wanted)], key, alg="philox"))
        if self.limit is None:
            files = tuple(tf.gather(column, order) for column in files)

        def records(name, skip, take):
            return tf.data.TFRecordDataset(name, buffer_size=8 << 20).skip(skip).take(take)

        def example(record):
            decoders = {"image": tfds.decode.SkipDecoding()}
            return self.builder.info.features.deserialize_example(record, decoders=decoders)

        read = tf.data.Dataset.from_tensor_slices(files).interleave(
            records,
            cycle_length=16,
            block_length=16,  # these and the buffer as in TensorFlow Datasets
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return read.map(example, num_parallel_calls=tf.data.AUTOTUNE).take(self.sizes["train"])

    def arrays(self, part):
        images, labels = zip(*self.batches(part).as_numpy_iterator(), strict=True)
        return np.concatenate(images), np.concatenate(labels)

    def batches(self, part):
        tf = _import_tensorflow()
        examples = self._encoded(part).map(self._squares(1), num_parallel_calls=tf.data.AUTOTUNE)
        one = examples.map(lambda images, label: (images[0], label))
        return one.batch(self.recipe.batch_size).prefetch(2)

    def views(self, crops, scale):
        tf = _import_tensorflow()
        if crops not in (1, 10):
            raise ValueError(f"crops is {crops!r}; allowed: 1, 10")
        if scale is not None:
            scale = _integer("scale", scale, self.recipe.image_size, 4096)
        squares = self._squares(crops, scale)
        examples = self._encoded("test").map(squares, num_parallel_calls=tf.data.AUTOTUNE)
        return examples.batch(max(1, self.recipe.batch_size // crops)).prefetch(2)

    def _squares(self, crops, scale=None):
        """Return a function from an example to squares of its scaled picture and its label."""
        from course_lib import photographs

        tf = _import_tensorflow()
        side = self.recipe.image_size
        scale = scale or round(side * 256 / 224)

        def squares(example):
            image = photographs.scaled(example["image"], scale)
            images = self.recipe.standardise(photographs.squares(image, side, crops))
            return images, tf.cast(example["label"], tf.int32)

        return squares

    def passes(self, first):
        from course_lib import photographs

        tf = _import_tensorflow()
        side, cut, whole = self.recipe.image_size, self.recipe.augment, self._squares(1)

        def one_pass(key):
            seed = tf.random.stateless_uniform([], key, maxval=2**31, dtype=tf.int64, alg="philox")

            def picture(number, example):
                if not cut:
                    images, label = whole(example)
                    return images[0], label
                key = tf.stack([seed, number])
                draws = tf.random.stateless_uniform([photographs.DRAWS], key, alg="philox")
                key = tf.stack([seed + 1, number])
                normal = tf.random.stateless_normal([3], key, alg="philox")
                image = photographs.drawn(example["image"], side, cut, draws, normal)
                return self.recipe.standardise(image), tf.cast(example["label"], tf.int32)

            def mix(number, chunk):
                count = tf.shape(chunk["label"])[0]
                key = tf.stack([seed, -1 - number])
                order = tf.argsort(tf.random.stateless_uniform([count], key, alg="philox"))
                mixed = {feature: tf.gather(value, order) for feature, value in chunk.items()}
                return tf.data.Dataset.from_tensor_slices(mixed)

            # The next pictures are read while these are trained on.
            chunks = self._mixed(key).batch(_SHUFFLED_TOGETHER).prefetch(1).enumerate()
            pictures = (
                chunks.flat_map(mix).enumerate().map(picture, num_parallel_calls=tf.data.AUTOTUNE)
            )
            return pictures.batch(self.recipe.batch_size)

        return self.recipe.passes(one_pass, self.sizes["train"], first)


@functools.cache
def _resizing(size, new_size):
    """Return the float32 matrix (new_size, size) of bilinear resizing along one axis.

    Pixels are squares with their value at the centre. When shrinking, the triangle is widened
    by the same factor, so that no pixel is passed over (as tf.image.resize with antialias).
    """
    ratio = size / new_size
    centres = (np.arange(new_size) + 0.5) * ratio - 0.5
    distance = np.abs(np.arange(size) - centres[:, None])
    weights = np.maximum(0, 1 - distance / max(ratio, 1))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
