"""Weights trained on ImageNet, from keras.applications, in the networks of this course."""

import os
import re
from pathlib import Path

import keras

from course_lib import zoo
from course_lib.arguments import check_choice
from course_lib.data import unreachable

HOST = "https://storage.googleapis.com/tensorflow/keras-applications/"
H5 = "_weights_tf_dim_ordering_tf_kernels.h5"

# Our name -> the builder in keras.applications, its file below HOST, and how its images are
# prepared: a mode of keras.applications.imagenet_utils.preprocess_input.
PRETRAINED = {
    "vgg_D": ("VGG16", f"vgg16/vgg16{H5}", "caffe"),
    "vgg_E": ("VGG19", f"vgg19/vgg19{H5}", "caffe"),
    "resnet50_keras": ("ResNet50", f"resnet/resnet50{H5}", "caffe"),
    "resnet101_keras": ("ResNet101", f"resnet/resnet101{H5}", "caffe"),
    "resnet152_keras": ("ResNet152", f"resnet/resnet152{H5}", "caffe"),
}

# How the path of a variable in keras.applications becomes ours: substitutions, in this order,
# for the networks whose name starts with the word.
RENAMED = {
    "vgg": (
        (r"^block(\d)_conv", r"conv\1_"),
        (r"^fc1/", "fc6/"),
        (r"^fc2/", "fc7/"),
        (r"^predictions/", "fc8/"),
    ),
    "resnet": (
        (r"^conv1_", "conv1/"),
        (r"^conv(\d)_block(\d+)_(\d)_", r"conv\1_\2/\3/"),
        (r"/0/", "/projection/"),
        (r"/1/", "/1x1a/"),
        (r"/2/", "/3x3/"),
        (r"/3/", "/1x1b/"),
        (r"/bn/", "/norm/"),
        (r"^predictions/", "fc/"),
    ),
}


def load_keras_applications(model, reference):
    """Copy every weight of a network of keras.applications into ours, and return ours.

    Args:
        model: our network, for example `zoo.build("resnet50_keras")`.
        reference: the same network from keras.applications, `include_top=True`.

    Raises:
        ValueError: the reference is of another family, or a weight has no counterpart of the same
            shape. Nothing is copied then.
    """
    word = next((word for word in RENAMED if reference.name.startswith(word)), None)
    if word is None:
        raise ValueError(
            f"reference is {reference.name!r}; allowed: {', '.join(RENAMED)} networks."
        )
    found = {}
    for weight in reference.weights:
        path = weight.path
        for pattern, replacement in RENAMED[word]:
            path = re.sub(pattern, replacement, path)
        found[path] = weight
    theirs = {path: tuple(weight.shape) for path, weight in found.items()}
    ours = {weight.path: tuple(weight.shape) for weight in model.weights}
    differ = sorted(p for p in theirs.keys() | ours.keys() if theirs.get(p) != ours.get(p))
    if differ:
        first = differ[0]
        raise ValueError(
            f"{len(differ)} weights of {reference.name!r} and {model.name!r} do not match, first "
            f"{first!r}: given {theirs.get(first)}, allowed {ours.get(first)}."
        )
    for weight in model.weights:
        weight.assign(found[weight.path])
    return model


def pretrained(name):
    """Build a network of the course with ImageNet weights; they are downloaded once.

    keras.applications keeps the file in its own cache (~/.keras/models) and checks its hash.

    Args:
        name: a key of `PRETRAINED`, for example "resnet50_keras".

    Returns:
        The network: images that went through `preprocess` -> 1000 logits.

    Raises:
        ValueError: the name is not in `PRETRAINED`.
        ConnectionError: the file is not in the cache and the host does not answer in 6 seconds.
    """
    check_choice("name", name, tuple(PRETRAINED))
    builder, file, _ = PRETRAINED[name]
    cache = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models" / Path(file).name
    if not cache.exists():
        problem = unreachable(HOST + file)
        if problem:
            raise ConnectionError(
                f"{HOST + file} cannot be read ({problem}). Connect to the network, or download "
                f"that file elsewhere and put it at {cache}."
            )
    return load_keras_applications(
        zoo.build(name), getattr(keras.applications, builder)(weights="imagenet")
    )


def preprocess(name, images):
    """Prepare images for `pretrained(name)`.

    Shapes: (batch, height, width, 3), RGB pixels from 0 to 255 -> the same.

    Raises:
        ValueError: the name is not in `PRETRAINED`.
    """
    check_choice("name", name, tuple(PRETRAINED))
    mode = PRETRAINED[name][2]
    return keras.applications.imagenet_utils.preprocess_input(images, "channels_last", mode)
