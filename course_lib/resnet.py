"""ResNet v1: He, Zhang, Ren and Sun 2015, arXiv:1512.03385.

Images are channels-last: (batch, height, width, channels). The networks return logits.
"""

from functools import partial

import keras
from keras import ops

from course_lib.layers import ConvUnit, check_choice, check_image_input, serializable

SHORTCUTS = ("A", "B", "C", False)


@serializable
class BiasedConvUnit(ConvUnit):
    """`ConvUnit` as keras.applications has it: a bias that batch normalisation then cancels."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.conv.use_bias = True
        if self.norm is not None:
            self.norm.epsilon = 1.001e-5


@serializable
class ResidualBlock(keras.layers.Layer):
    """y = relu(F(x) + shortcut(x)), where the layers learn the residual function F.

    F is two 3x3 convolutions, or with `bottleneck` 1x1, 3x3, 1x1 with four times as many
    channels at the end. Batch normalisation follows each convolution; the last ReLU comes after
    the addition.

    Shapes: (batch, height, width, in) -> (batch, height / strides, width / strides, out), sides
    rounded up; out is filters, or 4 * filters with `bottleneck`.

    Args:
        filters: channels of the 3x3 convolutions.
        strides: 2 halves the image, 1 keeps it.
        bottleneck: True for the three-layer F.
        shortcut: how x meets F(x) where shapes differ. "A": every second pixel, zeros for the
            new channels, no parameters. "B": a 1x1 convolution. "C": a 1x1 convolution in every
            block. False: no shortcut at all, the plain network y = relu(F(x)).
        stride_on: the convolution of a bottleneck that strides, "1x1" (the paper) or "3x3"
            (torchvision, known as v1.5).
        normalization: "batch" or None.
        conv_bias: True for a bias before batch normalisation, as in keras.applications.

    Source: sec. 3.2, eq. 1 and 2; sec. 3.3 (options A, B, C); fig. 5.

    Raises:
        ValueError: shortcut, stride_on or normalization is not one of the above.
    """

    def __init__(
        self,
        filters,
        strides=1,
        bottleneck=False,
        shortcut="B",
        stride_on="1x1",
        normalization="batch",
        conv_bias=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_choice("shortcut", shortcut, SHORTCUTS)
        check_choice("stride_on", stride_on, ("1x1", "3x3"))
        self.config = {
            "filters": filters,
            "strides": strides,
            "bottleneck": bottleneck,
            "shortcut": shortcut,
            "stride_on": stride_on,
            "normalization": normalization,
            "conv_bias": conv_bias,
        }
        self.strides, self.option = strides, shortcut
        unit = BiasedConvUnit if conv_bias else ConvUnit
        keywords = {"normalization": normalization, "dtype": self.dtype_policy}
        last = {**keywords, "activation": None}
        if bottleneck:
            self.out = 4 * filters
            first, second = (strides, 1) if stride_on == "1x1" else (1, strides)
            self.branch = [
                unit(filters, 1, first, padding=0, name="1x1a", **keywords),
                unit(filters, 3, second, padding=1, name="3x3", **keywords),
                unit(self.out, 1, padding=0, name="1x1b", **last),
            ]
        else:
            self.out = filters
            self.branch = [
                unit(filters, 3, strides, padding=1, name="3x3a", **keywords),
                unit(filters, 3, padding=1, name="3x3b", **last),
            ]
        self.projection = None
        self.project = partial(unit, self.out, 1, strides, padding=0, name="shortcut", **last)

    def build(self, input_shape):
        self.new_channels = self.out - input_shape[-1]
        changes = self.strides > 1 or self.new_channels != 0
        if self.option == "C" or (self.option == "B" and changes):
            self.projection = self.project()
            self.projection.build(input_shape)
        for unit in self.branch:
            unit.build(input_shape)
            input_shape = unit.compute_output_shape(input_shape)

    def residual(self, inputs, training=None):
        """F(x): what the block adds to its shortcut."""
        for unit in self.branch:
            inputs = unit(inputs, training=training)
        return inputs

    def shortcut(self, inputs, training=None):
        """What meets F(x): x itself, x subsampled and zero-padded (A), or a projection of x."""
        if self.projection is not None:
            return self.projection(inputs, training=training)
        if self.strides > 1:
            inputs = inputs[:, :: self.strides, :: self.strides, :]
        if self.new_channels:
            inputs = ops.pad(inputs, [(0, 0), (0, 0), (0, 0), (0, self.new_channels)])
        return inputs

    def call(self, inputs, training=None):
        outputs = self.residual(inputs, training)
        if self.option:
            outputs = outputs + self.shortcut(inputs, training)
        return ops.relu(outputs)

    def compute_output_shape(self, input_shape):
        for unit in self.branch:
            input_shape = unit.compute_output_shape(input_shape)
        return input_shape

    def get_config(self):
        return {**super().get_config(), **self.config}


STAGES = {  # table 1: blocks of conv2_x to conv5_x; whether they are bottlenecks
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}


def ResNet(
    depth=50,
    input_shape=(224, 224, 3),
    classes=1000,
    *,
    shortcut="B",
    stride_on="1x1",
    normalization="batch",
    conv_bias=False,
    name=None,
):
    """Build the ImageNet form of table 1.

    Shapes: (batch, height, width, channels), pixels with zero mean -> (batch, classes), logits.

    Args:
        depth: 18, 34, 50, 101 or 152: weighted layers on the main path.
        input_shape: (height, width, channels) in pixels.
        classes: number of classes.
        shortcut, stride_on, normalization, conv_bias: as in `ResidualBlock`. `shortcut=False` is
            the plain counterpart; option A has the same parameters and multiply-adds.

    Raises:
        ValueError: an argument is not one of the above.
    """
    check_choice("depth", depth, tuple(STAGES))
    check_image_input(input_shape, classes, 1, "ResNet")
    blocks, bottleneck = STAGES[depth]
    unit = BiasedConvUnit if conv_bias else ConvUnit
    image = keras.Input(input_shape, name="image")
    x = unit(64, 7, 2, padding=3, normalization=normalization, name="conv1")(image)
    x = keras.layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = keras.layers.MaxPooling2D(3, 2, name="pool1")(x)
    for stage, count in enumerate(blocks):
        for block in range(count):
            x = ResidualBlock(
                64 * 2**stage,
                2 if stage > 0 and block == 0 else 1,
                bottleneck,
                shortcut,
                stride_on,
                normalization,
                conv_bias,
                name=f"conv{stage + 2}_{block + 1}",
            )(x)
    return _classify(image, x, classes, name or f"resnet{depth}")


def CifarResNet(
    depth=20,
    input_shape=(32, 32, 3),
    classes=10,
    *,
    width=16,
    shortcut="A",
    normalization="batch",
    stem_strides=1,
    name=None,
):
    """Build the CIFAR form of sec. 4.2: three stages of n two-layer blocks, 6n + 2 layers.

    Shapes: (batch, height, width, channels), pixels with zero mean -> (batch, classes), logits.

    Args:
        depth: 6n + 2. The paper has 20, 32, 44, 56, 110 and 1202; 8 and 14 are smaller still.
        input_shape: (height, width, channels) in pixels.
        classes: number of classes.
        width: channels of the first stage; the next have twice and four times as many.
        shortcut, normalization: as in `ResidualBlock`. The paper uses option A here.
        stem_strides: step of the first convolution; 2 halves the sides of all maps, for deep
            networks on slow machines. The paper has 1.

    Raises:
        ValueError: an argument is not one of the above.
    """
    check_choice("stem_strides", stem_strides, (1, 2))
    if not isinstance(depth, int) or depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth is {depth!r}; allowed: 6n + 2, that is 8, 14, 20, 26, ...")
    if not isinstance(width, int) or width < 1:
        raise ValueError(f"width is {width!r}; allowed: a positive integer.")
    check_image_input(input_shape, classes, 1, "ResNet")
    image = keras.Input(input_shape, name="image")
    x = ConvUnit(width, 3, stem_strides, 1, normalization=normalization, name="conv1")(image)
    for stage in range(3):
        for block in range((depth - 2) // 6):
            x = ResidualBlock(
                width * 2**stage,
                2 if stage > 0 and block == 0 else 1,
                shortcut=shortcut,
                normalization=normalization,
                name=f"stage{stage + 1}_{block + 1}",
            )(x)
    return _classify(image, x, classes, name or f"resnet{depth}_cifar")


def _classify(image, x, classes, name):
    x = keras.layers.GlobalAveragePooling2D(name="avgpool")(x)
    logits = keras.layers.Dense(classes, kernel_initializer="he_normal", name="fc")(x)
    return keras.Model(image, logits, name=name)


PLAIN = {"shortcut": False}
VARIANTS = {
    "plain18": (ResNet, {"depth": 18, **PLAIN}),
    "resnet18_A": (ResNet, {"depth": 18, "shortcut": "A"}),
    "resnet18_B": (ResNet, {"depth": 18}),
    "resnet18_C": (ResNet, {"depth": 18, "shortcut": "C"}),
    "plain34": (ResNet, {"depth": 34, **PLAIN}),
    "resnet34_A": (ResNet, {"depth": 34, "shortcut": "A"}),
    "resnet34_B": (ResNet, {"depth": 34}),
    "resnet34_C": (ResNet, {"depth": 34, "shortcut": "C"}),
}
for _depth in (50, 101, 152):
    VARIANTS[f"resnet{_depth}_v1"] = (ResNet, {"depth": _depth})
    VARIANTS[f"resnet{_depth}_v1.5"] = (ResNet, {"depth": _depth, "stride_on": "3x3"})
    VARIANTS[f"resnet{_depth}_keras"] = (ResNet, {"depth": _depth, "conv_bias": True})
for _depth in (20, 32, 44, 56, 110, 1202):
    VARIANTS[f"resnet{_depth}_cifar10_A"] = (CifarResNet, {"depth": _depth})
for _depth in (20, 32, 44, 56, 110):
    VARIANTS[f"plain{_depth}_cifar10"] = (CifarResNet, {"depth": _depth, **PLAIN})
    VARIANTS[f"resnet{_depth}_cifar100_A"] = (CifarResNet, {"depth": _depth, "classes": 100})
for _depth in (20, 56, 110, 1202):
    VARIANTS[f"resnet{_depth}_cifar10_B"] = (CifarResNet, {"depth": _depth, "shortcut": "B"})
VARIANTS["resnet20_cifar100_B"] = (CifarResNet, {"depth": 20, "classes": 100, "shortcut": "B"})
# 75,482 parameters, 9.1 million multiply-adds: the paper's CIFAR widths at n = 1.
VARIANTS["resnet_small"] = (CifarResNet, {"depth": 8, "input_shape": (28, 28, 1)})
