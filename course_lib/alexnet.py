"""AlexNet: Krizhevsky, Sutskever and Hinton, ImageNet Classification with Deep Convolutional
Neural Networks, NIPS 2012. Section numbers are the paper's.
"""

import keras
from keras.initializers import Constant

from course_lib.arguments import check, check_choice, check_image_input
from course_lib.layers import GroupedConv2D, LocalResponseNormalization

# What other code does in another order: Caffe's CaffeNet pools before it normalises, torchvision
# drops the inputs of fc6 and fc7, not their outputs.
CAFFENET = (("norm1", "pool1"), ("norm2", "pool2"))
TORCHVISION = (("fc6", "drop6"), ("fc7", "drop7"))


def AlexNet(
    input_shape=(227, 227, 3),
    classes=1000,
    *,
    widths=(96, 256, 384, 384, 256),
    hidden=4096,
    stem=(11, 4, 0),
    groups=2,
    activation="relu",
    normalization="lrn",
    overlapping=True,
    dropout=0.5,
    initialization="paper",
    without=None,
    swapped=(),
    name="alexnet",
):
    """Build AlexNet; the defaults are the paper's network.

    Shapes: (batch, height, width, channels), pixels with zero mean -> (batch, classes), logits.

    Args:
        input_shape: (height, width, channels). The paper prints 224, its arithmetic needs 227.
        widths: channels of the five convolutions (sec. 3.5).
        hidden: units of the two hidden fully connected layers (sec. 3.5).
        stem: conv1's (kernel, stride, padding) in pixels. (11, 4, 0) is the paper's.
        groups: 2 splits conv2, conv4 and conv5 over "two GPUs" (sec. 3.2); 1 is one tower.
        activation: "relu" (sec. 3.1) or "tanh", its ablation.
        normalization: "lrn" after conv1 and conv2 (sec. 3.3), or None.
        overlapping: pooling windows of 3 at stride 2 (sec. 3.4); False makes them 2 at stride 2.
        dropout: share of hidden units dropped in training (sec. 4.2); 0 drops none.
        initialization: "paper": N(0, 0.01^2), biases 1 in conv2, conv4, conv5, fc6, fc7 (sec. 5);
            or a Keras initializer's name for the weights, with biases 0.
        without: a middle convolution to leave out: "conv2", "conv3" or "conv4" (sec. 7).
        swapped: pairs of neighbours that change places: `CAFFENET` or `TORCHVISION`.
    """
    kernel, stride, padding = stem
    before_pools = 15 if overlapping else 8  # pixels of a side that the three poolings turn into 1
    smallest = (before_pools - 1) * stride + kernel - 2 * padding
    check_image_input(input_shape, classes, smallest, "AlexNet", dropout)
    check_choice("activation", activation, ("relu", "tanh"))
    check_choice("normalization", normalization, ("lrn", None))
    check_choice("without", without, (None, "conv2", "conv3", "conv4"))
    check_choice("swapped", swapped, ((), CAFFENET, TORCHVISION))
    check("widths", widths, len(widths) == 5, "five channel counts, conv1 to conv5")
    divides = isinstance(groups, int) and groups > 0 and not any(w % groups for w in widths)
    allowed = f"a positive integer that divides every one of the widths {widths}"
    check("groups", groups, divides, allowed)
    named = initialization is not None
    check("initialization", initialization, named, "'paper' or a Keras initializer")

    def start(bias):
        if initialization == "paper":
            weights = keras.initializers.RandomNormal(stddev=0.01)
            return {"kernel_initializer": weights, "bias_initializer": Constant(bias)}
        return {"kernel_initializer": keras.initializers.get(initialization).clone()}

    def conv(number, size, stride=1, padding="same", groups=1, bias=0):
        own = {"groups": groups, "activation": activation, "name": f"conv{number}", **start(bias)}
        return GroupedConv2D(widths[number - 1], size, stride, padding, **own)

    def norm(number):
        return LocalResponseNormalization(name=f"norm{number}")

    def pool(number):
        return keras.layers.MaxPooling2D(3 if overlapping else 2, 2, name=f"pool{number}")

    def fc(number):
        return keras.layers.Dense(hidden, activation, name=f"fc{number}", **start(1))

    def drop(number):
        return keras.layers.Dropout(dropout, name=f"drop{number}")

    row = [
        keras.layers.ZeroPadding2D(padding, name="pad1"),
        conv(1, kernel, stride, "valid"),
        norm(1),
        pool(1),
        conv(2, 5, groups=groups, bias=1),
        norm(2),
        pool(2),
        conv(3, 3),
        conv(4, 3, groups=groups, bias=1),
        conv(5, 3, groups=groups, bias=1),
        pool(5),
        keras.layers.Flatten(name="flatten"),
        fc(6),
        drop(6),
        fc(7),
        drop(7),
        keras.layers.Dense(classes, name="fc8", **start(0)),
    ]
    wanted = {"pad": padding, "norm": normalization, "drop": dropout}
    row = [la for la in row if wanted.get(la.name[:-1], True) and la.name != without]
    for pair in swapped:
        places = [i for i, layer in enumerate(row) if layer.name in pair]
        row[places[0]], row[places[-1]] = row[places[-1]], row[places[0]]
    image = x = keras.Input(input_shape, name="image")
    for layer in row:
        x = layer(x)
    return keras.Model(image, x, name=name)


SMALL = {
    "input_shape": (28, 28, 1),
    "classes": 10,
    "widths": (12, 32, 48, 48, 32),
    "hidden": 256,
    "stem": (5, 1, 2),
    "initialization": "he_normal",
}

VARIANTS = {
    "alexnet_paper": (AlexNet, {}),
    "alexnet_caffenet": (AlexNet, {"swapped": CAFFENET}),
    "alexnet_onetower_nogroups": (AlexNet, {"groups": 1}),
    "alexnet_torchvision": (
        AlexNet,
        {
            "input_shape": (224, 224, 3),
            "widths": (64, 192, 384, 256, 256),
            "stem": (11, 4, 2),
            "groups": 1,
            "normalization": None,
            "swapped": TORCHVISION,
        },
    ),
    "alexnet_224_valid": (AlexNet, {"input_shape": (224, 224, 3)}),
    "alexnet_onegpu_halfkernels": (AlexNet, {"widths": (48, 128, 192, 192, 256), "groups": 1}),
    "alexnet_small": (AlexNet, SMALL),
    "alexnet_medium": (AlexNet, {**SMALL, "widths": (24, 64, 96, 96, 64), "hidden": 384}),
}
