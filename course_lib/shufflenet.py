"""ShuffleNet v1: Zhang, Zhou, Lin and Sun, ShuffleNet: An Extremely Efficient Convolutional Neural
Network for Mobile Devices, CVPR 2018, arXiv:1707.01083v2. Section numbers are the paper's.
"""

import keras
from keras import ops

from course_lib.arguments import check, check_channels, check_choice, check_image_input
from course_lib.layers import BatchNormalization, Block, ConvUnit, padded_pool


class ChannelShuffle(Block):
    """Deal the channels of each group out to all groups of the next grouped convolution.

    The g * n channels are reshaped to (g, n), transposed and flattened: channel i * n + j moves to
    place j * g + i.

    Shapes: (batch, height, width, channels) -> the same.
    Source: sec. 3.1, fig. 1.
    """

    def __init__(self, groups, **kwargs):
        super().__init__(**kwargs)
        self.groups = groups

    def build(self, input_shape):
        channels = input_shape[-1]
        fits = channels % self.groups == 0
        check("groups", self.groups, fits, f"a divisor of the {channels} channels")

    def call(self, inputs):
        (height, width), channels = ops.shape(inputs)[1:3], inputs.shape[-1]
        x = ops.reshape(inputs, (-1, height, width, self.groups, channels // self.groups))
        return ops.reshape(ops.transpose(x, (0, 1, 2, 4, 3)), (-1, height, width, channels))

    def compute_output_shape(self, input_shape):
        return input_shape  # the first reshape, seen symbolically, forgets the batch

    def multiply_adds(self, input_shape, output_shape):
        """Zero: the channels only change places."""
        return 0


class ShuffleUnit(Block):
    """Grouped 1x1 convolution, channel shuffle, 3x3 depthwise convolution, grouped 1x1 convolution.

    Stride 1 adds the input; stride 2 concatenates the input, average-pooled, and so has
    filters - inputs channels of its own. The last ReLU follows. There is none after the depthwise
    convolution. Strided layers pad one pixel on every side; the average counts those zeros.

    Shapes: (batch, height, width, inputs) -> (batch, height / strides, width / strides, filters),
    sides rounded up.

    Args:
        filters: channels of the output.
        groups: groups of both 1x1 convolutions.
        strides: 1 or 2.
        inputs: channels of the input. None: filters at stride 1, where no other number can be
            added; half of them at stride 2, as stages 3 and 4 have it.
        bottleneck: channels of the depthwise convolution; filters // 4 if None.
        first_groups: groups of the first 1x1 convolution, `groups` if None. The network's first
            unit has 1, for its input is narrow.
        shuffle: False leaves the channels in place, the ablation of table 3.

    Source: sec. 3.2, fig. 2 (b) and (c).
    """

    def __init__(
        self,
        filters,
        groups,
        strides=1,
        inputs=None,
        bottleneck=None,
        first_groups=None,
        shuffle=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_choice("strides", strides, (1, 2))
        self.strides, self.inputs = strides, inputs or filters // strides
        bottleneck = bottleneck or filters // 4
        new = filters if strides == 1 else filters - self.inputs
        if strides == 1:
            check("inputs", self.inputs, self.inputs == filters, f"filters, {filters}, for a sum")
        divides = bottleneck % groups == 0
        check("groups", groups, divides, f"a divisor of the bottleneck's {bottleneck} channels")
        beside = f"beside {self.inputs} input channels at stride {strides}"
        allowed = f"a number that leaves, {beside}, a positive multiple of {groups} groups"
        check("filters", filters, new > 0 and new % groups == 0, allowed)
        own = {"dtype": self.dtype_policy}
        self.gconv1 = ConvUnit(bottleneck, 1, groups=first_groups or groups, name="gconv1", **own)
        self.shuffle = self.pad = self.pool = None
        if shuffle and groups > 1:
            self.shuffle = ChannelShuffle(groups, name="shuffle", **own)
        if strides == 2:
            self.pad = keras.layers.ZeroPadding2D(1, name="pad", **own)
            self.pool = keras.layers.AveragePooling2D(3, 2, name="avgpool", **own)
        start = keras.initializers.RandomNormal(stddev=(2 / 9) ** 0.5)  # He's, for nine inputs
        bare = {"use_bias": False, "depthwise_initializer": start, **own}
        padding = "same" if strides == 1 else "valid"
        self.depthwise = keras.layers.DepthwiseConv2D(3, strides, padding, name="depthwise", **bare)
        self.depthwise_norm = BatchNormalization(name="depthwise_norm", **own)
        self.gconv2 = ConvUnit(new, 1, groups=groups, activation=None, name="gconv2", **own)
        self.activation = keras.layers.Activation("relu", name="activation", **own)

    def build(self, input_shape):
        check_channels(input_shape, self.inputs)
        super().build(input_shape)

    def skip(self, x):
        """What meets the branch: the input, or at stride 2 its average-pooling."""
        return x if self.pool is None else self.pool(self.pad(x))

    def call(self, x):
        y = self.gconv1(x)
        y = y if self.shuffle is None else self.shuffle(y)
        y = y if self.pad is None else self.pad(y)
        y = self.depthwise_norm(self.depthwise(y))
        y = self.gconv2(y)
        if self.strides == 1:
            return self.activation(self.skip(x) + y)
        return self.activation(ops.concatenate([self.skip(x), y], axis=-1))


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
        groups: 1, 2, 3, 4 or 8; the channels grow with them, so that the cost stays (table 1).
        width: scale s of the channels, more than 0; the paper has 0.25, 0.5, 1, 1.5 and 2.
        shuffle: False leaves out every channel shuffle (table 3).
        units: units of stages 2, 3 and 4; the first of each has stride 2.
        conv1: channels of the first convolution. If None, 24 from 1x, 48 from 2x and about 12 below
            1x, which the authors' code and the printed complexities imply.
        stem: "paper": conv1 at stride 2, then max-pooling at stride 2; "small": conv1 at stride 1
            and no pooling, for images of 28 to 64 pixels.

    Source: sec. 3.3, table 1.
    """
    check_image_input(input_shape, classes, 1, "ShuffleNet")
    check_choice("groups", groups, tuple(STAGE2))
    check_choice("stem", stem, ("paper", "small"))
    check("width", width, width > 0, "a number above 0")
    check("units", units, len(units) == 3 and min(units) > 0, "three counts of at least 1")
    if conv1 is None:
        conv1 = multiple(12 if width < 1 else 24 if width < 2 else 48, groups, width)

    image = keras.Input(input_shape, name="image")
    strides = 2 if stem == "paper" else 1
    x = ConvUnit(conv1, 3, strides, padding=1, name="conv1")(image)
    if stem == "paper":
        x = padded_pool(x, "maxpool")
    for stage, count in enumerate(units, 2):
        full = STAGE2[groups] * 2 ** (stage - 2) * width
        filters = multiple(full, groups, width)
        bottleneck = multiple(full / 4, groups, width)
        for number in range(1, count + 1):
            x = ShuffleUnit(
                filters,
                groups,
                strides=2 if number == 1 else 1,
                inputs=x.shape[-1],
                bottleneck=bottleneck,
                first_groups=1 if (stage, number) == (2, 1) else groups,
                shuffle=shuffle,
                name=f"stage{stage}_{number}",
            )(x)
    x = keras.layers.GlobalAveragePooling2D(name="globalpool")(x)
    logits = keras.layers.Dense(classes, name="fc")(x)
    return keras.Model(image, logits, name=name)


# For 28-pixel images: conv1 keeps the resolution, and seven units take the place of sixteen, whose
# many small operations are slow on a processor.
SMALL = {"width": 0.25, "stem": "small", "units": (2, 3, 2)}
SMALL |= {"input_shape": (28, 28, 1), "classes": 10}

VARIANTS = {}
for _width in (1.0, 0.5, 0.25, 1.5, 2.0):
    for _groups in STAGE2 if _width <= 1 else (3, 8):
        _net = {"width": _width, "groups": _groups}
        VARIANTS[f"shufflenet_{_width}x_g{_groups}"] = (ShuffleNet, _net)
for _conv1 in (6, 24):
    for _groups in (1, 3):
        _net = {"width": 0.25, "groups": _groups, "conv1": _conv1}
        VARIANTS[f"shufflenet_0.25x_g{_groups}_conv1_{_conv1}"] = (ShuffleNet, _net)
VARIANTS["shufflenet_0.5x_shallow_g3_naive"] = (ShuffleNet, {"width": 0.5, "units": (2, 4, 2)})
VARIANTS["shufflenet_small"] = (ShuffleNet, SMALL)
VARIANTS["shufflenet_medium"] = (ShuffleNet, {**SMALL, "width": 1.0})
