"""VGG: Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image
Recognition, ICLR 2015, arXiv:1409.1556. Section and table numbers are the paper's.
"""

from numbers import Real

import keras

from course_lib.arguments import check, check_choice, check_image_input
from course_lib.layers import BatchNormalization, LocalResponseNormalization

CHANNELS = (64, 128, 256, 512, 512)
CONFIGURATIONS = {  # table 1: kernel sides of the convolutions, block by block
    "A": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "A-LRN": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "B": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    "C": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "D": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "E": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}
DEPTHS = {11: "A", 13: "B", 16: "D", 19: "E"}  # what the course and others call VGG-16
INITIALIZATIONS = ("paper", "paper_deviation", "he_normal", "glorot_uniform")


def one_for(sides):
    """Return the side of the one kernel that sees as many pixels as a stack of stride 1 does."""
    return 1 + sum(side - 1 for side in sides)


def VGG(
    depth="D",
    input_shape=(224, 224, 3),
    classes=1000,
    *,
    stacked=True,
    normalization=None,
    initialization="glorot_uniform",
    width=1.0,
    hidden=4096,
    dropout=0.5,
    pool_padding="valid",
    name=None,
):
    """Build a configuration of table 1; the defaults are the paper's network D (VGG-16).

    Shapes: (batch, height, width, channels), pixels with zero mean -> (batch, classes), logits.

    Args:
        depth: "A", "A-LRN", "B", "C", "D" or "E": 11, 11, 13, 16, 16 or 19 weighted layers. 11,
            13, 16 and 19 mean A, B, D and E.
        stacked: False puts one convolution that sees as many pixels in place of each block's
            stack: 5x5 for two 3x3, 7x7 for three. With "B" it is the shallow network of sec. 4.1.
        normalization: None (the paper), or "batch": after each convolution, which keeps its bias,
            as torchvision has it.
        initialization: "paper": N(0, variance 0.01), sec. 3.1. "paper_deviation": the standard
            deviation is 0.01, as many read it. "glorot_uniform": the authors' later advice, which
            needs no pre-training. "he_normal". Or a number: the standard deviation of a normal
            distribution. Biases start at 0.
        width: multiplies the channels of every convolution; 1 is the paper's.
        hidden: units of the two hidden fully connected layers (sec. 2.1).
        dropout: share of the hidden units dropped in training (sec. 3.1); 0 drops none.
        pool_padding: "valid" (the paper: the image must have 32 pixels), or "same": a pooling
            window may reach over the edge, so that smaller images pass all five blocks.
    """
    check_choice("depth", depth, (*CONFIGURATIONS, *DEPTHS))
    depth = DEPTHS.get(depth, depth)
    check_choice("normalization", normalization, ("batch", None))
    drawn = isinstance(initialization, Real) and not isinstance(initialization, bool)
    if drawn:
        check("initialization", initialization, initialization > 0, "a number above 0")
    else:
        check_choice("initialization", initialization, INITIALIZATIONS)
    check_choice("pool_padding", pool_padding, ("valid", "same"))
    check_image_input(input_shape, classes, 32 if pool_padding == "valid" else 1, "VGG", dropout)
    check("width", width, width * min(CHANNELS) >= 1, f"at least {1 / min(CHANNELS)}")

    def start():
        spread = {"paper": 0.1, "paper_deviation": 0.01}.get(initialization, initialization)
        return spread if isinstance(spread, str) else keras.initializers.RandomNormal(stddev=spread)

    def unit(x, channels, side, name):
        first = {"padding": "same", "kernel_initializer": start(), "name": name}
        if normalization is None:
            return keras.layers.Conv2D(channels, side, activation="relu", **first)(x)
        x = keras.layers.Conv2D(channels, side, **first)(x)
        x = BatchNormalization(name=f"{name}_norm")(x)
        return keras.layers.Activation("relu", name=f"{name}_relu")(x)

    def fully_connected(x, units, name, activation=None):
        return keras.layers.Dense(units, activation, kernel_initializer=start(), name=name)(x)

    image = keras.Input(input_shape, name="image")
    x = image
    for block, (channels, sides) in enumerate(zip(CHANNELS, CONFIGURATIONS[depth]), start=1):
        for layer, side in enumerate(sides if stacked else (one_for(sides),), start=1):
            x = unit(x, int(width * channels), side, f"conv{block}_{layer}")
            if depth == "A-LRN" and block == 1:
                x = LocalResponseNormalization(name="lrn")(x)
        x = keras.layers.MaxPooling2D(2, 2, pool_padding, name=f"pool{block}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    for number in (6, 7):
        x = fully_connected(x, hidden, f"fc{number}", "relu")
        if dropout:
            x = keras.layers.Dropout(dropout, name=f"drop{number}")(x)
    logits = fully_connected(x, classes, "fc8")
    return keras.Model(image, logits, name=name or f"vgg_{depth}")


def start_from(model, trained):
    """Begin a deeper network with layers of the trained network A, and return it (sec. 3.1).

    A's first four convolutions and its fully connected layers are copied by name; every other
    layer of `model` keeps its random weights.

    Raises:
        ValueError: a layer has another shape in `model` than in `trained`.
    """
    for name in ("conv1_1", "conv2_1", "conv3_1", "conv3_2", "fc6", "fc7", "fc8"):
        model.get_layer(name).set_weights(trained.get_layer(name).get_weights())
    return model


def dense_evaluation(model, input_shape=(None, None, 3)):
    """Turn a trained VGG into a fully convolutional network for images of any size (sec. 3.2).

    fc6 becomes a convolution as large as the map of pool5, fc7 and fc8 become 1x1 convolutions,
    with the same numbers. The result is a copy; `model` stays as it is.

    Shapes: (batch, height, width, channels) -> (batch, rows, columns, classes), logits. At the
    model's own image size the map is 1 x 1 and holds the model's logits; each 32 pixels more add
    a row or a column. The paper averages the map.

    Args:
        model: what `VGG` returned.
        input_shape: (height, width, channels), at least the model's own; None leaves a side open.
    """
    least = model.input_shape[1:3]
    fits = all(side is None or side >= own for side, own in zip(input_shape, least))
    check("input_shape", tuple(input_shape), fits, f"at least the model's own {least} pixels")
    image = keras.Input(input_shape, name="image")
    x, window = image, None
    for layer in model.layers[1:]:
        weights = layer.get_weights()
        if isinstance(layer, keras.layers.Flatten):
            window = layer.input.shape[1:]
            continue
        if isinstance(layer, keras.layers.Dense):
            copy = keras.layers.Conv2D(
                layer.units, window[:2], activation=layer.activation, name=layer.name
            )
            weights[0] = weights[0].reshape(*window, layer.units)
            window = (1, 1, layer.units)
        else:
            copy = type(layer).from_config(layer.get_config())
        x = copy(x)
        copy.set_weights(weights)
    return keras.Model(image, x, name=f"{model.name}_dense")


VARIANTS = {f"vgg_{depth}": (VGG, {"depth": depth}) for depth in CONFIGURATIONS}
for _depth in ("A", "B", "D", "E"):
    VARIANTS[f"vgg_{_depth}_bn"] = (VGG, {"depth": _depth, "normalization": "batch"})
SMALL = {
    "depth": "A",
    "input_shape": (28, 28, 1),
    "classes": 10,
    "initialization": "he_normal",
    "width": 0.1875,  # 354,842 parameters, 4.8 million multiply-adds
    "hidden": 128,
    "pool_padding": "same",
}
VARIANTS["vgg_small"] = (VGG, SMALL)
VARIANTS["vgg_medium"] = (VGG, {**SMALL, "depth": "B", "normalization": "batch"})
