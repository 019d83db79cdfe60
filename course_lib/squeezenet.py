"""SqueezeNet: Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and
<0.5MB model size, arXiv:1602.07360 (2016). Section numbers are the paper's.
"""

import keras
from keras import ops

from course_lib.arguments import check, check_choice, check_image_input
from course_lib.layers import Block, ConvUnit, max_pool


def unit(filters, side, strides=1, padding=None, start="lecun_uniform", **others):
    """The unit of this paper: a convolution with a bias and a ReLU.

    `padding` is None for zeros around the image. `start` is a Keras initialiser; the default is
    that of the authors' Caffe files.
    """
    if isinstance(start, keras.initializers.Initializer):
        start = start.clone()  # an initialiser draws the same numbers at every use
    others = {"normalization": None, "kernel_initializer": start, **others}
    return ConvUnit(filters, side, strides, side // 2 if padding is None else padding, **others)


class Fire(Block):
    """Squeeze the channels with 1x1 filters, expand them with 1x1 and 3x3 filters side by side.

    Every convolution has a bias and a ReLU. The two expansions are concatenated, 1x1 first.

    Shapes: (batch, height, width, in) -> (batch, height, width, expand1x1 + expand3x3).

    Args:
        squeeze: channels of the squeeze layer, s1x1.
        expand1x1, expand3x3: channels of the two halves of the expand layer, e1x1 and e3x3.
        initialization: a Keras initialiser for the kernels.

    Source: sec. 3.2, fig. 1.
    """

    def __init__(self, squeeze, expand1x1, expand3x3, initialization="lecun_uniform", **kwargs):
        super().__init__(**kwargs)
        own = {"start": initialization, "dtype": self.dtype_policy}
        self.squeeze = unit(squeeze, 1, name="squeeze", **own)
        self.expand1x1 = unit(expand1x1, 1, name="expand1x1", **own)
        self.expand3x3 = unit(expand3x3, 3, name="expand3x3", **own)

    def call(self, x):
        x = self.squeeze(x)
        return ops.concatenate([self.expand1x1(x), self.expand3x3(x)], axis=-1)


# conv1's (filters, kernel, stride), and the Fire modules that a max-pooling follows.
VERSIONS = {"1.0": ((96, 7, 2), (4, 8)), "1.1": ((64, 3, 2), (3, 5))}


def SqueezeNet(
    input_shape=(227, 227, 3),
    classes=1000,
    *,
    version="1.0",
    bypass=None,
    base_e=128,
    incr_e=128,
    freq=2,
    pct3x3=0.5,
    squeeze_ratio=0.125,
    stem=None,
    conv10_padding=0,
    conv10_relu=True,
    initialization="lecun_uniform",
    dropout=0.5,
    name="squeezenet",
):
    """Build SqueezeNet; the defaults are the paper's network (table 1).

    Shapes: (batch, height, width, channels), pixels with zero mean -> (batch, classes), logits:
    the mean of conv10's map.

    Args:
        input_shape: (height, width, channels). The paper prints 224, its table needs 227.
        version: "1.0" (the paper) or "1.1" (the authors' later network: a smaller conv1, earlier
            pooling).
        bypass: None; "simple": add a Fire module's input to its output where both have as many
            channels (fire3, 5, 7, 9); "complex": also around the others, through a 1x1
            convolution (sec. 6, fig. 2).
        base_e, incr_e, freq: Fire module i = 0, 1, ... has base_e + incr_e * (i // freq) expand
            filters (sec. 5.1).
        pct3x3: share of the expand filters that are 3x3, between 0 and 1 (sec. 5.3).
        squeeze_ratio: squeeze filters for each expand filter, SR (sec. 5.2).
        stem: conv1's (filters, kernel, stride); None is the version's.
        conv10_padding: pixels around conv10: 0 (table 1), or 1 as in the released 1.0 files.
        conv10_relu: the ReLU after conv10, as in the authors' files. It can silence a class for
            good: one of a thousand hardly counts, one of ten is a tenth of all pictures.
        initialization: a Keras initialiser for conv1 and the Fire modules. The default is the
            "xavier" of the authors' Caffe files, uniform with variance 1 / inputs, which Keras
            calls LeCun's; conv10 starts from N(0, 0.01^2), a bypass convolution from Glorot's.
        dropout: share of fire9's outputs dropped in training.
    """
    check_choice("version", version, tuple(VERSIONS))
    check_choice("bypass", bypass, (None, "simple", "complex"))
    check_choice("conv10_padding", conv10_padding, (0, 1))
    (filters, kernel, stride), pools = VERSIONS[version]
    if stem is not None:
        filters, kernel, stride = stem
    check_image_input(input_shape, classes, 7 * stride + kernel, "SqueezeNet", dropout)
    if base_e < 2 or incr_e < 0 or freq < 1:
        raise ValueError(
            f"base_e, incr_e and freq are {base_e}, {incr_e} and {freq}; allowed: at least 2, 0, 1."
        )
    check("pct3x3", pct3x3, 0 < pct3x3 < 1, "a share between 0 and 1")
    check("squeeze_ratio", squeeze_ratio, 0 < squeeze_ratio <= 1, "a share above 0, at most 1")

    image = keras.Input(input_shape, name="image")
    x = unit(filters, kernel, stride, 0, initialization, name="conv1")(image)
    x = max_pool(x, "maxpool1")
    for i in range(8):
        expand = base_e + incr_e * (i // freq)
        expand3x3 = min(max(round(pct3x3 * expand), 1), expand - 1)
        squeeze = max(round(squeeze_ratio * expand), 1)
        halves = expand - expand3x3, expand3x3
        y = Fire(squeeze, *halves, initialization, name=f"fire{i + 2}")(x)
        if bypass and x.shape[-1] == expand:
            y = keras.layers.Add(name=f"bypass{i + 2}")([x, y])
        elif bypass == "complex":
            across = keras.layers.Conv2D(expand, 1, name=f"bypass{i + 2}_conv")(x)
            y = keras.layers.Add(name=f"bypass{i + 2}")([across, y])
        x = max_pool(y, f"maxpool{i + 2}") if i + 2 in pools else y
    if dropout:
        x = keras.layers.Dropout(dropout, name="drop9")(x)
    start = keras.initializers.RandomNormal(stddev=0.01)
    last = "relu" if conv10_relu else None
    x = unit(classes, 1, 1, conv10_padding, start, activation=last, name="conv10")(x)
    logits = keras.layers.GlobalAveragePooling2D(name="avgpool10")(x)
    return keras.Model(image, logits, name=name)


# For 28-pixel images: conv1 keeps the resolution and every module has a quarter of the filters.
SMALL = {
    "input_shape": (28, 28, 1),
    "classes": 10,
    "version": "1.1",
    "stem": (32, 3, 1),
    "base_e": 32,
    "incr_e": 32,
    "initialization": "he_normal",
}

VARIANTS = {
    "squeezenet_v1.0_227": (SqueezeNet, {}),
    "squeezenet_v1.0_227_caffe_conv10pad1": (SqueezeNet, {"conv10_padding": 1}),
    "squeezenet_v1.0_224": (SqueezeNet, {"input_shape": (224, 224, 3)}),
    "squeezenet_v1.1_227": (SqueezeNet, {"version": "1.1"}),
    "squeezenet_v1.1_224": (SqueezeNet, {"version": "1.1", "input_shape": (224, 224, 3)}),
    "squeezenet_v1.0_simple_bypass_227": (SqueezeNet, {"bypass": "simple"}),
    "squeezenet_v1.0_complex_bypass_227": (SqueezeNet, {"bypass": "complex"}),
    "squeezenet_small": (SqueezeNet, SMALL),
    "squeezenet_medium": (SqueezeNet, {**SMALL, "base_e": 96, "incr_e": 96}),
}
