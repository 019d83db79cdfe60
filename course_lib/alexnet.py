"""AlexNet: Krizhevsky, Sutskever and Hinton, ImageNet Classification with Deep Convolutional
Neural Networks, NIPS 2012. Section numbers are the paper's.
"""

import keras

from course_lib.layers import (
    GroupedConv2D,
    LocalResponseNormalization,
    check_choice,
    check_image_input,
)

MIDDLE_LAYERS = ("conv2", "conv3", "conv4")


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
    pool_first=False,
    overlapping=True,
    dropout=0.5,
    dropout_first=False,
    initialization="paper",
    without=None,
    name="alexnet",
):
    """Build AlexNet; the defaults are the paper's network.

    Shapes: (batch, height, width, channels), pixels with zero mean -> (batch, classes), logits.

    Args:
        input_shape: (height, width, channels). The paper prints 224, its arithmetic needs 227.
        classes: number of classes.
        widths: channels of the five convolutions (sec. 3.5).
        hidden: units of the two hidden fully connected layers (sec. 3.5).
        stem: conv1's (kernel, stride, padding) in pixels. (11, 4, 0) is the paper's.
        groups: 2 splits conv2, conv4 and conv5 over "two GPUs" (sec. 3.2); 1 is one tower.
        activation: "relu" (sec. 3.1) or "tanh", its ablation.
        normalization: "lrn" after conv1 and conv2 (sec. 3.3), or None.
        pool_first: pool before normalising, as CaffeNet does.
        overlapping: pooling windows of 3 at stride 2 (sec. 3.4); False makes them 2 at stride 2.
        dropout: share of hidden units dropped in training (sec. 4.2); 0 drops none.
        dropout_first: drop the inputs of fc6 and fc7 instead of their outputs, as torchvision.
        initialization: "paper": N(0, 0.01^2), biases 1 in conv2, conv4, conv5, fc6, fc7 (sec. 5);
            or a Keras initializer's name for the weights, with biases 0.
        without: a middle convolution to leave out: "conv2", "conv3" or "conv4" (sec. 7).

    Raises:
        ValueError: an argument is not one of the above; the image is too small for the network.
    """
    kernel, stride, padding = stem
    check_image_input(input_shape, classes, _smallest_side(stem, overlapping), "AlexNet")
    check_choice("activation", activation, ("relu", "tanh"))
    check_choice("normalization", normalization, ("lrn", None))
    check_choice("without", without, (None, *MIDDLE_LAYERS))
    if len(widths) != 5:
        raise ValueError(f"widths is {widths!r}; allowed: five channel counts, conv1 to conv5.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is {dropout!r}; allowed: 0 <= dropout < 1.")
    if not isinstance(groups, int) or groups < 1 or any(width % groups for width in widths):
        raise ValueError(
            f"groups is {groups!r}; allowed: a positive integer that divides every one of the "
            f"widths {widths}."
        )
    weights = keras.initializers.RandomNormal(stddev=0.01)
    if initialization != "paper":
        weights = keras.initializers.get(initialization)
    if weights is None:
        raise ValueError("initialization is None; allowed: 'paper' or a Keras initializer.")

    def start(bias):
        bias = bias if initialization == "paper" else 0
        return {
            "kernel_initializer": weights.clone(),
            "bias_initializer": keras.initializers.Constant(bias),
        }

    def convolution(x, number, size, step=1, pad=None, split=1, bias=0):
        if f"conv{number}" == without:
            return x
        if pad:
            x = keras.layers.ZeroPadding2D(pad, name=f"pad{number}")(x)
        return GroupedConv2D(
            widths[number - 1],
            size,
            step,
            "same" if pad is None else "valid",
            groups=split,
            activation=activation,
            name=f"conv{number}",
            **start(bias),
        )(x)

    def pool(x, number):
        return keras.layers.MaxPooling2D(3 if overlapping else 2, 2, name=f"pool{number}")(x)

    def normalize_and_pool(x, number):
        norm = LocalResponseNormalization(name=f"norm{number}") if normalization else lambda x: x
        return norm(pool(x, number)) if pool_first else pool(norm(x), number)

    def hidden_layer(x, number):
        layer = keras.layers.Dense(hidden, activation=activation, name=f"fc{number}", **start(1))
        drop = keras.layers.Dropout(dropout, name=f"drop{number}") if dropout else lambda x: x
        return layer(drop(x)) if dropout_first else drop(layer(x))

    image = keras.Input(input_shape, name="image")
    x = convolution(image, 1, kernel, stride, padding)
    x = normalize_and_pool(x, 1)
    x = convolution(x, 2, 5, split=groups, bias=1)
    x = normalize_and_pool(x, 2)
    x = convolution(x, 3, 3)
    x = convolution(x, 4, 3, split=groups, bias=1)
    x = convolution(x, 5, 3, split=groups, bias=1)
    x = pool(x, 5)
    x = keras.layers.Flatten(name="flatten")(x)
    x = hidden_layer(x, 6)
    x = hidden_layer(x, 7)
    logits = keras.layers.Dense(classes, name="fc8", **start(0))(x)
    return keras.Model(image, logits, name=name)


def _smallest_side(stem, overlapping):
    """Return the smallest image side in pixels that leaves one pixel after pool5."""
    kernel, stride, padding = stem
    side = 1
    for _ in range(3):
        side = 2 * side + (1 if overlapping else 0)
    return (side - 1) * stride + kernel - 2 * padding


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
    "alexnet_caffenet": (AlexNet, {"pool_first": True}),
    "alexnet_onetower_nogroups": (AlexNet, {"groups": 1}),
    "alexnet_torchvision": (
        AlexNet,
        {
            "input_shape": (224, 224, 3),
            "widths": (64, 192, 384, 256, 256),
            "stem": (11, 4, 2),
            "groups": 1,
            "normalization": None,
            "dropout_first": True,
        },
    ),
    "alexnet_224_valid": (AlexNet, {"input_shape": (224, 224, 3)}),
    "alexnet_onegpu_halfkernels": (AlexNet, {"widths": (48, 128, 192, 192, 256), "groups": 1}),
    "alexnet_small": (AlexNet, SMALL),
}
