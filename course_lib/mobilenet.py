"""MobileNet: Howard et al., MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications, arXiv:1704.04861 (2017). Section numbers are the paper's.
"""

import keras

from course_lib.arguments import check, check_choice, check_image_input
from course_lib.layers import BatchNormalization, Block, ConvUnit

EPSILON = 1e-3  # not in the paper: the authors' TensorFlow code and keras.applications

# Table 1: output channels and stride of each depthwise separable layer. The stride printed beside
# the last one is a misprint: its input and output are both 7 x 7.
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *5 * ((512, 1),),
    (1024, 2),
    (1024, 1),
)


def start():
    """The first weights of every convolution, as in the authors' TensorFlow code."""
    return keras.initializers.TruncatedNormal(stddev=0.09)


def unit(filters, strides=1, activation="relu", **others):
    """What a separable layer replaces: a full 3x3 convolution, normalisation, activation.

    Shapes and arguments are those of `DepthwiseSeparable`. Source: fig. 3 left.
    """
    others = {"kernel_initializer": start(), "epsilon": EPSILON, **others}
    return ConvUnit(filters, 3, strides, activation=activation, **others)


class DepthwiseSeparable(Block):
    """A 3x3 filter for each channel, then a 1x1 convolution that mixes the channels.

    Both are followed by batch normalisation and the activation. "same" padding; on even sides a
    stride of 2 pads one pixel on the bottom and right, as the authors' code does.

    Shapes: (batch, height, width, in) -> (batch, height / strides, width / strides, filters), sides
    rounded up.

    Args:
        filters: output channels.
        strides: of the depthwise convolution: 1 or 2.
        activation: a Keras activation, after each normalisation.

    Source: sec. 3.1, fig. 2 and fig. 3 right.
    """

    def __init__(self, filters, strides=1, activation="relu", **kwargs):
        super().__init__(**kwargs)
        own = {"dtype": self.dtype_policy}
        bare = {"use_bias": False, **own}
        self.activation = keras.layers.Activation(activation, name="activation", **own)
        self.depthwise = keras.layers.DepthwiseConv2D(
            3, strides, "same", depthwise_initializer=start(), name="depthwise", **bare
        )
        self.depthwise_norm = BatchNormalization(epsilon=EPSILON, name="depthwise_norm", **own)
        self.pointwise = keras.layers.Conv2D(
            filters, 1, kernel_initializer=start(), name="pointwise", **bare
        )
        self.pointwise_norm = BatchNormalization(epsilon=EPSILON, name="pointwise_norm", **own)

    def call(self, x):
        x = self.activation(self.depthwise_norm(self.depthwise(x)))
        return self.activation(self.pointwise_norm(self.pointwise(x)))


def MobileNet(
    input_shape=(224, 224, 3),
    classes=1000,
    *,
    alpha=1.0,
    separable=True,
    shallow=False,
    activation="relu",
    stem_strides=2,
    dropout=0.0,
    name="mobilenet",
):
    """Build MobileNet; the defaults are the paper's network.

    Shapes: (batch, height, width, channels) -> (batch, classes), logits.

    Args:
        input_shape: (height, width, channels). The paper's resolution multiplier rho (sec. 3.4)
            is this argument: 224, 192, 160 or 128 pixels.
        alpha: width multiplier (sec. 3.3), more than 0; no layer gets fewer than 8 channels.
        separable: False puts one full 3x3 convolution in the place of each separable layer, the
            Conv MobileNet of table 4.
        shallow: leave out the five 14 x 14 layers of 512 channels, as in table 5.
        activation: "relu" (the paper) or "relu6" (the authors' code, keras.applications).
        stem_strides: stride of the first convolution: 2, or 1 for images of 28 to 64 pixels.
        dropout: share of pooled features dropped in training; the paper names none.
    """
    check_image_input(input_shape, classes, 1, "MobileNet", dropout)
    check_choice("activation", activation, ("relu", "relu6"))
    check_choice("stem_strides", stem_strides, (1, 2))
    check("alpha", alpha, alpha > 0, "a number above 0 (the paper has 0.25 to 1)")

    def channels(full):
        return max(int(alpha * full), 8)

    image = keras.Input(input_shape, name="image")
    x = unit(channels(32), stem_strides, activation, name="conv1")(image)
    for number, (filters, strides) in enumerate(BLOCKS, 1):
        if shallow and 7 <= number <= 11:
            continue
        block, label = unit, f"conv{number + 1}"
        if separable:
            block, label = DepthwiseSeparable, f"separable{number}"
        x = block(channels(filters), strides, activation, name=label)(x)
    x = keras.layers.GlobalAveragePooling2D(name="avgpool")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    logits = keras.layers.Dense(classes, name="fc")(x)
    return keras.Model(image, logits, name=name)


# For 28-pixel images: the first convolution keeps the resolution, so the last map is 2 x 2.
SMALL = {"input_shape": (28, 28, 1), "classes": 10, "alpha": 0.25, "stem_strides": 1}

VARIANTS = {
    **{
        f"mobilenet_{alpha}_{side}": (MobileNet, {"alpha": alpha, "input_shape": (side, side, 3)})
        for alpha in (1.0, 0.75, 0.5, 0.25)
        for side in (224, 192, 160, 128)
    },
    "conv_mobilenet_1.0_224": (MobileNet, {"separable": False}),
    "shallow_mobilenet_1.0_224": (MobileNet, {"shallow": True}),
    "mobilenet_small": (MobileNet, SMALL),
    "mobilenet_medium": (MobileNet, {**SMALL, "alpha": 0.34375}),
}
