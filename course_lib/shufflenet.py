"""ShuffleNet v1: Zhang, Zhou, Lin and Sun, ShuffleNet: An Extremely Efficient Convolutional Neural
Network for Mobile Devices, CVPR 2018, arXiv:1707.01083v2. Section numbers are the paper's.
"""

import keras
from keras import ops

from course_lib.layers import (
    BatchNormalization,
    ConvUnit,
    check_choice,
    check_image_input,
    serializable,
)


@serializable
class ChannelShuffle(keras.layers.Layer):
    """Deal the channels of each group out to all groups of the next grouped convolution.

    The g * n channels are reshaped to (g, n), transposed and flattened: channel i * n + j moves to
    place j * g + i.

    Shapes: (batch, height, width, channels) -> the same.
    Source: sec. 3.1, fig. 1.

    Raises:
        ValueError: the channels cannot be divided into that many groups.
    """

    def __init__(self, groups, **kwargs):
        super().__init__(**kwargs)
        self.groups = groups

    def build(self, input_shape):
        if input_shape[-1] % self.groups:
            raise ValueError(
                f"groups is {self.groups}; allowed: a divisor of the {input_shape[-1]} channels."
            )

    def call(self, inputs):
        (height, width), channels = ops.shape(inputs)[1:3], inputs.shape[-1]
        x = ops.reshape(inputs, (-1, height, width, self.groups, channels // self.groups))
        return ops.reshape(ops.transpose(x, (0, 1, 2, 4, 3)), (-1, height, width, channels))

    def compute_output_shape(self, input_shape):
        return input_shape

    def multiply_adds(self, input_shape, output_shape):
        """Zero: the channels only change places."""
        return 0

    def get_config(self):
        return {**super().get_config(), "groups": self.groups}


@serializable
class ShuffleUnit(keras.layers.Layer):
    """Grouped 1x1 convolution, channel shuffle, 3x3 depthwise convolution, grouped 1x1 convolution.

    Stride 1 adds the input; stride 2 concatenates the input, average-pooled, and so has
    filters - in channels of its own. The last ReLU follows. There is none after the depthwise
    convolution. Strided layers pad one pixel on every side; the average counts those zeros.

    Shapes: (batch, height, width, in) -> (batch, height / strides, width / strides, filters),
    sides rounded up. At stride 1, in = filters.

    Args:
        filters: channels of the output.
        groups: groups of both 1x1 convolutions.
        strides: 1 or 2.
        bottleneck: channels of the depthwise convolution; filters // 4 if None.
        first_groups: groups of the first 1x1 convolution, `groups` if None. The network's first
            unit has 1, for its input is narrow.
        shuffle: False leaves the channels in place, the ablation of table 3.

    Source: sec. 3.2, fig. 2 (b) and (c).

    Raises:
        ValueError: groups does not divide a width, strides is neither 1 nor 2, or the input does
            not fit the stride.
    """

    def __init__(
        self,
        filters,
        groups,
        strides=1,
        bottleneck=None,
        first_groups=None,
        shuffle=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_choice("strides", strides, (1, 2))
        bottleneck = filters // 4 if bottleneck is None else bottleneck
        first_groups = groups if first_groups is None else first_groups
        if bottleneck % groups:
            raise ValueError(f"groups is {groups}; it must divide the bottleneck's {bottleneck}.")
        self.config = {
            "filters": filters,
            "groups": groups,
            "strides": strides,
            "bottleneck": bottleneck,
            "first_groups": first_groups,
            "shuffle": shuffle,
        }
        self.filters, self.groups, self.strides = filters, groups, strides
        own = {"dtype": self.dtype_policy}
        self.gconv1 = ConvUnit(bottleneck, 1, groups=first_groups, name="gconv1", **own)
        shuffled = shuffle and groups > 1
        self.shuffle = ChannelShuffle(groups, name="shuffle", **own) if shuffled else None
        self.pad = keras.layers.ZeroPadding2D(1, name="pad", **own) if strides == 2 else None
        self.depthwise = keras.layers.DepthwiseConv2D(
            3,
            strides,
            "same" if strides == 1 else "valid",
            use_bias=False,
            depthwise_initializer=keras.initializers.RandomNormal(stddev=(2 / 9) ** 0.5),
            name="depthwise",
            **own,
        )
        self.depthwise_norm = BatchNormalization(name="depthwise_norm", **own)
        pool = keras.layers.AveragePooling2D(3, 2, name="avgpool", **own)
        self.pool = pool if strides == 2 else None
        self.activation = keras.layers.Activation("relu", name="activation", **own)

    def build(self, input_shape):
        own = self.filters - (input_shape[-1] if self.strides == 2 else 0)
        if self.strides == 1 and input_shape[-1] != self.filters:
            raise ValueError(
                f"a unit of stride 1 adds its input; it has {input_shape[-1]} channels and "
                f"filters is {self.filters}."
            )
        if own < 1 or own % self.groups:
            raise ValueError(
                f"filters is {self.filters}; allowed beside {input_shape[-1]} input channels at "
                f"stride {self.strides}: a number that leaves a positive multiple of "
                f"{self.groups} groups."
            )
        self.gconv2 = ConvUnit(
            own, 1, groups=self.groups, activation=None, name="gconv2", dtype=self.dtype_policy
        )
        self.gconv1.build(input_shape)
        shape = self.gconv1.compute_output_shape(input_shape)
        if self.shuffle is not None:
            self.shuffle.build(shape)
        if self.pad is not None:
            shape = self.pad.compute_output_shape(shape)
        self.depthwise.build(shape)
        shape = self.depthwise.compute_output_shape(shape)
        self.depthwise_norm.build(shape)
        self.gconv2.build(shape)

    def call(self, inputs, training=None):
        x = self.gconv1(inputs, training=training)
        if self.shuffle is not None:
            x = self.shuffle(x)
        if self.strides == 2:
            x = self.depthwise(self.pad(x))
        else:
            x = self.depthwise(x)
        x = self.gconv2(self.depthwise_norm(x, training=training), training=training)
        if self.strides == 2:
            x = ops.concatenate([self.pool(self.pad(inputs)), x], axis=-1)
        else:
            x = x + inputs
        return self.activation(x)

    def compute_output_shape(self, input_shape):
        batch, *sides, _ = input_shape
        return (batch, *(side and -(-side // self.strides) for side in sides), self.filters)

    def get_config(self):
        return {**super().get_config(), **self.config}


STAGE2 = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}  # table 1: groups -> channels of stage 2


def multiple(value, groups, width):
    """The multiple of groups nearest to value. Half-way goes up, or down below 0.5x.

    The paper does not say how it rounds; this reproduces its complexities.
    """
    below = int(value // groups)
    above = value / groups - below
    return max(below + (above > 0.5 or (above == 0.5 and width >= 0.5)), 1) * groups


def ShuffleNet(
    input_shape=(224, 224, 3),
    classes=1000,
    *,
    groups=3,
    width=1.0,
    shuffle=True,
    units=(4, 8, 4),
    conv1=None,
    stem="paper",
    name="shufflenet",
):
    """Build ShuffleNet; the defaults are the paper's 1x network with three groups.

    Shapes: (batch, height, width, channels) -> (batch, classes), logits.

    Args:
        input_shape: (height, width, channels).
        classes: number of classes.
        groups: 1, 2, 3, 4 or 8; the channels grow with them, so that the cost stays (table 1).
        width: scale s of the channels, more than 0; the paper has 0.25, 0.5, 1, 1.5 and 2.
        shuffle: False leaves out every channel shuffle (table 3).
        units: units of stages 2, 3 and 4; the first of each has stride 2.
        conv1: channels of the first convolution. If None, 24 from 1x, 48 from 2x and about 12 below
            1x, which the authors' code and the printed complexities imply.
        stem: "paper": conv1 at stride 2, then max-pooling at stride 2; "small": conv1 at stride 1
            and no pooling, for images of 28 to 64 pixels.

    Source: sec. 3.3, table 1.

    Raises:
        ValueError: an argument is not one of the above, or conv1 does not leave stage 2 a number
            of channels that the groups divide.
    """
    check_image_input(input_shape, classes, 1, "ShuffleNet")
    check_choice("groups", groups, tuple(STAGE2))
    check_choice("stem", stem, ("paper", "small"))
    if not width > 0:
        raise ValueError(f"width is {width!r}; allowed: a number above 0.")
    if len(units) != 3 or min(units) < 1:
        raise ValueError(f"units is {units!r}; allowed: three counts of at least 1.")
    if conv1 is None:
        conv1 = multiple(12 if width < 1 else 24 if width < 2 else 48, groups, width)

    image = keras.Input(input_shape, name="image")
    strides = 2 if stem == "paper" else 1
    x = ConvUnit(conv1, 3, strides, padding=1, name="conv1")(image)
    if stem == "paper":
        x = keras.layers.ZeroPadding2D(1, name="maxpool_pad")(x)
        x = keras.layers.MaxPooling2D(3, 2, name="maxpool")(x)
    for stage, count in enumerate(units, 2):
        full = STAGE2[groups] * 2 ** (stage - 2) * width
        filters = multiple(full, groups, width)
        bottleneck = multiple(full / 4, groups, width)
        for number in range(1, count + 1):
            x = ShuffleUnit(
                filters,
                groups,
                strides=2 if number == 1 else 1,
                bottleneck=bottleneck,
                first_groups=1 if (stage, number) == (2, 1) else groups,
                shuffle=shuffle,
                name=f"stage{stage}_{number}",
            )(x)
    x = keras.layers.GlobalAveragePooling2D(name="globalpool")(x)
    logits = keras.layers.Dense(classes, name="fc")(x)
    return keras.Model(image, logits, name=name)


# For 28-pixel images: stages 2 to 4 work at 14, 7 and 4 pixels; conv1 keeps the
# resolution, and seven units take the place of sixteen, whose many small operations are slow on a
# processor.
SMALL = {
    "input_shape": (28, 28, 1),
    "classes": 10,
    "width": 0.25,
    "stem": "small",
    "units": (2, 3, 2),
}

VARIANTS = {
    **{
        f"shufflenet_{width}x_g{groups}": (ShuffleNet, {"width": width, "groups": groups})
        for width in (1.0, 0.5, 0.25)
        for groups in STAGE2
    },
    **{
        f"shufflenet_{width}x_g{groups}": (ShuffleNet, {"width": width, "groups": groups})
        for width in (1.5, 2.0)
        for groups in (3, 8)
    },
    **{
        f"shufflenet_0.25x_g{groups}_conv1_{conv1}": (
            ShuffleNet,
            {"width": 0.25, "groups": groups, "conv1": conv1},
        )
        for conv1 in (6, 24)
        for groups in (1, 3)
    },
    "shufflenet_0.5x_shallow_g3_naive": (ShuffleNet, {"width": 0.5, "units": (2, 4, 2)}),
    "shufflenet_small": (ShuffleNet, SMALL),
}
