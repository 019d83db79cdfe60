"""The registry: every network of the course by name.

A paper's module ends with VARIANTS, a mapping from name to (builder, arguments).
"""

import difflib
import importlib

import numpy as np

from course_lib import weights as trained
from course_lib.arguments import check_choice

TITLES = {  # as the papers write them, in the order of the chapters
    "alexnet": "AlexNet",
    "vgg": "VGG",
    "googlenet": "GoogLeNet",
    "resnet": "ResNet",
    "densenet": "DenseNet",
    "mobilenet": "MobileNet",
    "squeezenet": "SqueezeNet",
    "shufflenet": "ShuffleNet",
}
PAPERS = tuple(TITLES)
MODULES = ("mlp", "convolution", *PAPERS)  # in the order of the chapters


def variants(word=None):
    """Return {name: (builder, arguments)} of one module, or of all, in the order of the chapters.

    Raises:
        ValueError: the word is not one of `MODULES`.
    """
    if word is not None and word not in MODULES:
        raise ValueError(f"word is {word!r}; allowed: {', '.join(MODULES)}.")
    found = {}
    for module in MODULES if word is None else (word,):
        found.update(importlib.import_module(f"course_lib.{module}").VARIANTS)
    return found


def names(word=None):
    """Return the names that `build` knows, of one module or of all."""
    return list(variants(word))


def build(name, weights=None, **changes):
    """Build the network of that name.

    Args:
        name: a variant's name, for example "alexnet_small".
        weights: None: random ones. "fashion_mnist": those that the course ships, for pictures as
            `course_lib.data.load` gives them; the network has the arguments of its training.
        changes: builder arguments that replace the variant's own, for example classes=100.

    Raises:
        ValueError: the name is unknown, and the message lists the nearest ones; there are no such
            weights, they are damaged, or arguments are given with them.
    """
    check_choice("weights", weights, (None, trained.DATA))
    if weights:
        if changes:
            raise ValueError(
                f"changes are {changes}; allowed with weights={weights!r}: none. They fit the "
                "network that was trained."
            )
        arrays, record = trained.read(name)
        model = build(name, **record["changes"])
        trained.load(model, arrays)
        return model
    for word in MODULES:  # imports no more modules than it needs
        known = variants(word)
        if name in known:
            builder, arguments = known[name]
            return builder(**{**arguments, **changes})
    near = difflib.get_close_matches(name, names(), n=4, cutoff=0.4)
    raise ValueError(
        f"no network is called {name!r}. Nearest: {', '.join(near) or 'none'}. "
        "All names: python -m course_lib.audit --list"
    )


def begin(name, classes, input_shape):
    """Build a network for other pictures that begins with the shipped weights wherever they fit.

    A kernel that reads one grey channel reads three colours with a third of its weights each. The
    classifier, and what depends on the pictures' size, keep their random start.

    Args:
        name: a network with shipped weights, see `course_lib.weights.shipped`.
        classes: the number of logits.
        input_shape: (height, width, 1 or 3).

    Returns:
        (model, the names of the layers that have a random start).

    Raises:
        ValueError: as `build`.
    """
    arrays, record = trained.read(name)
    changes = {**record["changes"], "input_shape": input_shape}
    other = build(name, **changes, classes=classes + 1)
    model = build(name, **changes, classes=classes)
    random = set()
    for weight, wider in zip(model.weights, other.weights):
        array, shape = arrays.get(weight.path), tuple(weight.shape)
        if array is not None and array.ndim == 4 and (array.shape[2], shape[2]) == (1, 3):
            array = np.repeat(array, 3, axis=2) / 3
        if array is None or array.shape != shape or shape != tuple(wider.shape):
            random.add(weight.path.partition("/")[0])
        else:
            weight.assign(array.astype("float32"))
    return model, sorted(random)
