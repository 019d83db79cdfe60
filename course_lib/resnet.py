"""ResNet v1: He, Zhang, Ren and Sun 2015, arXiv:1512.03385.

Images are channels-last: (batch, height, width, channels). The networks return logits.
"""

from functools import partial

import keras
from keras import ops

from course_lib.arguments import check, check_choice, check_count, check_image_input
from course_lib.layers import Block, ConvUnit, padded_pool


def unit(filters, side, strides=1, conv_bias=False, **others):
    """The unit of this paper: a convolution with zeros around the image, `ConvUnit`'s defaults.

    `conv_bias` is the form of keras.applications: a bias, which batch normalisation cancels.
    """
    if conv_bias:
        others = {"use_bias": True, "epsilon": 1.001e-5, **others}
    return ConvUnit(filters, side, strides, side // 2, **others)


class ResidualBlock(Block):
    """y = relu(F(x) + skip(x)), where the layers learn the residual function F.

    F is two 3x3 convolutions, or with `bottleneck` 1x1, 3x3, 1x1. The last ReLU follows the sum.

    Shapes: (batch, height, width, in) -> (batch, height / strides, width / strides, out), sides
    rounded up; out is filters, or 4 * filters with `bottleneck`.

    Args:
        filters, strides, bottleneck: of the 3x3 convolutions; 2 halves the image; True for three
            layers.
        shortcut: how x meets F(x) where shapes differ. "A": every second pixel, zeros for the
            new channels. "B": a projection, a 1x1 convolution. "C": a projection in every block.
            False: the plain network y = relu(F(x)).
        stride_on: the convolution of a bottleneck that strides, "1x1" (the paper) or "3x3"
            (torchvision, known as v1.5).
        normalization: "batch" or None.
        conv_bias: True for a bias before batch normalisation, as in keras.applications.

    Source: sec. 3.2, eq. 1 and 2; sec. 3.3 (options A, B, C); fig. 5.
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
        check_choice("shortcut", shortcut, ("A", "B", "C", False))
        check_choice("stride_on", stride_on, ("1x1", "3x3"))
        self.shortcut, self.strides = shortcut, strides
        self.out = 4 * filters if bottleneck else filters
        own = {"normalization": normalization, "conv_bias": conv_bias, "dtype": self.dtype_policy}
        linear = {"activation": None, **own}
        if bottleneck:
            first, second = (strides, 1) if stride_on == "1x1" else (1, strides)
            self.branch = [
                unit(filters, 1, first, name="1x1a", **own),
                unit(filters, 3, second, name="3x3", **own),
                unit(self.out, 1, name="1x1b", **linear),
            ]
        else:
            self.branch = [
                unit(filters, 3, strides, name="3x3a", **own),
                unit(filters, 3, name="3x3b", **linear),
            ]
        self.projection = None
        self.project = partial(unit, self.out, 1, strides, name="projection", **linear)

    def build(self, input_shape):
        changes = self.strides > 1 or input_shape[-1] != self.out
        if self.shortcut == "C" or (self.shortcut == "B" and changes):
            self.projection = self.project()
        super().build(input_shape)

    def residual(self, x):
        """F(x): what the block adds."""
        for unit in self.branch:
            x = unit(x)
        return x

    def skip(self, x):
        """What F(x) is added to: x itself, x subsampled and zero-padded (A), or projected."""
        if self.projection is not None:
            return self.projection(x)
        x = ops.average_pool(x, 1, self.strides)  # a window of one pixel: it subsamples
        return ops.pad(x, [(0, 0), (0, 0), (0, 0), (0, self.out - x.shape[-1])])

    def call(self, x):
        if self.shortcut:
            return ops.relu(self.residual(x) + self.skip(x))
        return ops.relu(self.residual(x))


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
        shortcut, stride_on, normalization, conv_bias: as in `ResidualBlock`. `shortcut=False` is
            the plain counterpart; option A has the same parameters and multiply-adds.
    """
    check_choice("depth", depth, tuple(STAGES))
    check_image_input(input_shape, classes, 1, "ResNet")
    blocks, bottleneck = STAGES[depth]
    same = (bottleneck, shortcut, stride_on, normalization, conv_bias)
    image = keras.Input(input_shape, name="image")
    x = unit(64, 7, 2, conv_bias, normalization=normalization, name="conv1")(image)
    x = padded_pool(x, "pool1")
    for stage, count in enumerate(blocks):
        for block in range(count):
            strides = 2 if stage > 0 and block == 0 else 1
            x = ResidualBlock(64 * 2**stage, strides, *same, name=f"conv{stage + 2}_{block + 1}")(x)
    return classify(image, x, classes, name or f"resnet{depth}")


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
        width: channels of the first stage; the next have twice and four times as many.
        shortcut, normalization: as in `ResidualBlock`. The paper uses option A here.
        stem_strides: step of the first convolution; 2 halves the sides of all maps, for deep
            networks on slow machines. The paper has 1.
    """
    check_choice("stem_strides", stem_strides, (1, 2))
    whole = isinstance(depth, int) and depth >= 8 and depth % 6 == 2
    check("depth", depth, whole, "6n + 2, that is 8, 14, 20, 26 and so on")
    check_count("width", width)
    check_image_input(input_shape, classes, 1, "ResNet")
    image = keras.Input(input_shape, name="image")
    x = unit(width, 3, stem_strides, normalization=normalization, name="conv1")(image)
    for stage in range(3):
        for block in range((depth - 2) // 6):
            strides = 2 if stage > 0 and block == 0 else 1
            own = {"shortcut": shortcut, "normalization": normalization}
            own["name"] = f"stage{stage + 1}_{block + 1}"
            x = ResidualBlock(width * 2**stage, strides, **own)(x)
    return classify(image, x, classes, name or f"resnet{depth}_cifar")


def classify(image, x, classes, name):
    x = keras.layers.GlobalAveragePooling2D(name="avgpool")(x)
    logits = keras.layers.Dense(classes, kernel_initializer="he_normal", name="fc")(x)
    return keras.Model(image, logits, name=name)


VARIANTS = {}
for _depth in (18, 34):
    VARIANTS[f"plain{_depth}"] = (ResNet, {"depth": _depth, "shortcut": False})
    for _shortcut in ("A", "B", "C"):
        _net = {"depth": _depth, "shortcut": _shortcut}
        VARIANTS[f"resnet{_depth}_{_shortcut}"] = (ResNet, _net)
for _depth in (50, 101, 152):
    VARIANTS[f"resnet{_depth}_v1"] = (ResNet, {"depth": _depth})
    VARIANTS[f"resnet{_depth}_v1.5"] = (ResNet, {"depth": _depth, "stride_on": "3x3"})
    VARIANTS[f"resnet{_depth}_keras"] = (ResNet, {"depth": _depth, "conv_bias": True})
for _depth in (20, 32, 44, 56, 110, 1202):
    VARIANTS[f"resnet{_depth}_cifar10_A"] = (CifarResNet, {"depth": _depth})
for _depth in (20, 32, 44, 56, 110):
    VARIANTS[f"plain{_depth}_cifar10"] = (CifarResNet, {"depth": _depth, "shortcut": False})
    VARIANTS[f"resnet{_depth}_cifar100_A"] = (CifarResNet, {"depth": _depth, "classes": 100})
for _depth in (20, 56, 110, 1202):
    VARIANTS[f"resnet{_depth}_cifar10_B"] = (CifarResNet, {"depth": _depth, "shortcut": "B"})
VARIANTS["resnet20_cifar100_B"] = (CifarResNet, {"depth": 20, "classes": 100, "shortcut": "B"})
# 75,482 parameters, 9.1 million multiply-adds: the paper's CIFAR widths at n = 1.
VARIANTS["resnet_small"] = (CifarResNet, {"depth": 8, "input_shape": (28, 28, 1)})
VARIANTS["resnet_medium"] = (CifarResNet, {"depth": 26, "input_shape": (28, 28, 1)})
