"""DenseNet: Huang, Liu, van der Maaten and Weinberger, Densely Connected Convolutional Networks,
CVPR 2017, arXiv:1608.06993. Section and table numbers are the paper's.
"""

import keras
from keras import ops

from course_lib.arguments import check, check_channels, check_choice, check_count, check_image_input
from course_lib.layers import BatchNormalization, Block, ConvUnit, padded_pool


def conv(filters, side, name, strides=1, dtype=None):
    """A convolution of this paper: He normal start, no bias, zeros around the image."""
    own = {"use_bias": False, "kernel_initializer": "he_normal", "dtype": dtype, "name": name}
    return keras.layers.Conv2D(filters, side, strides, "same", **own)


def composite(x, norm, conv, drop=None):
    """The composite function of sec. 3: normalisation, ReLU, convolution; dropout if there is."""
    x = conv(ops.relu(norm(x)))
    return x if drop is None else drop(x)


class DenseLayer(Block):
    """H(x) = conv3x3(relu(norm(x))), concatenated to x.

    With `bottleneck` the same with a 1x1 convolution to 4 * growth channels comes before.

    Shapes: (batch, height, width, in) -> (batch, height, width, in + growth).

    Args:
        growth: channels that the layer adds, k.
        bottleneck: True for the 1x1 convolution.
        connection: "concatenate" (the paper), or "add", its ablation: x + H(x), where `in` must
            be growth and the output has as many channels.
        dropout: share dropped after each convolution in training; 0.2 without augmentation.

    Source: sec. 3: dense connectivity, composite function, growth rate, bottleneck layers.
    """

    def __init__(self, growth, bottleneck=True, connection="concatenate", dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        check_choice("connection", connection, ("concatenate", "add"))
        self.growth, self.bottleneck, self.connection = growth, bottleneck, connection
        own = {"dtype": self.dtype_policy}
        if bottleneck:
            self.norm1 = BatchNormalization(name="norm1", **own)
            self.conv1x1 = conv(4 * growth, 1, "conv1x1", **own)
        self.norm2 = BatchNormalization(name="norm2", **own)
        self.conv3x3 = conv(growth, 3, "conv3x3", **own)
        self.drop = keras.layers.Dropout(dropout, name="dropout", **own) if dropout else None

    def build(self, input_shape):
        if self.connection == "add":
            check_channels(input_shape, self.growth)
        super().build(input_shape)

    def call(self, x):
        new = composite(x, self.norm1, self.conv1x1, self.drop) if self.bottleneck else x
        new = composite(new, self.norm2, self.conv3x3, self.drop)
        if self.connection == "add":
            return x + new
        return ops.concatenate([x, new], axis=-1)


class DenseBlock(Block):
    """Layers at one resolution, each of which sees the outputs of all layers before it.

    Shapes: (batch, height, width, in) -> (batch, height, width, in + count * growth); with
    connection "add", as many channels as came in.

    Args:
        count: number of dense layers; they are in `dense_layers`.
        growth, bottleneck, connection, dropout: as in `DenseLayer`.

    Source: sec. 3, fig. 1.
    """

    def __init__(
        self, count, growth, bottleneck=True, connection="concatenate", dropout=0.0, **kwargs
    ):
        super().__init__(**kwargs)
        same = (growth, bottleneck, connection, dropout)
        self.dense_layers = [
            DenseLayer(*same, name=f"layer{i + 1}", dtype=self.dtype_policy) for i in range(count)
        ]

    def call(self, x):
        for layer in self.dense_layers:
            x = layer(x)
        return x


class Transition(Block):
    """Between two blocks: normalisation, ReLU, 1x1 convolution, 2x2 average pooling.

    Shapes: (batch, height, width, in) -> (batch, height / 2, width / 2, filters), sides rounded
    down.

    Args:
        filters: output channels; floor(theta * in) with compression theta.
        dropout: as in `DenseLayer`.

    Source: sec. 3, pooling layers and compression. The ReLU is in the authors' code.
    """

    def __init__(self, filters, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        own = {"dtype": self.dtype_policy}
        self.norm = BatchNormalization(name="norm", **own)
        self.conv = conv(filters, 1, "conv1x1", **own)
        self.drop = keras.layers.Dropout(dropout, name="dropout", **own) if dropout else None
        self.pool = keras.layers.AveragePooling2D(2, name="pool", **own)

    def call(self, x):
        return self.pool(composite(x, self.norm, self.conv, self.drop))


LAYERS = {  # table 1: dense layers of the four blocks; 161 is in arXiv version 1
    121: (6, 12, 24, 16),
    161: (6, 12, 36, 24),
    169: (6, 12, 32, 32),
    201: (6, 12, 48, 32),
    264: (6, 12, 64, 48),
}


def DenseNet(
    depth=121,
    input_shape=(224, 224, 3),
    classes=1000,
    *,
    growth=32,
    bottleneck=True,
    compression=0.5,
    stem="imagenet",
    initial=None,
    connection="concatenate",
    dropout=0.0,
    name=None,
):
    """Build DenseNet; the defaults are DenseNet-121 of table 1.

    Shapes: (batch, height, width, channels), pixels with zero mean -> (batch, classes), logits.

    Args:
        depth: weighted layers: 121, 161, 169, 201 or 264 with stem "imagenet". Otherwise three
            equal blocks: 6n + 4 with bottleneck, 3n + 4 without (sec. 3).
        growth: k, the channels that each layer adds; 48 for depth 161.
        bottleneck: True for 1x1 convolutions to 4k channels (DenseNet-B).
        compression: theta, the share of channels that a transition keeps; 1 keeps all.
        stem: "imagenet": 7x7 convolution and pooling, both at stride 2. "cifar": one 3x3
            convolution. "small": the same at stride 2, for fast training on 28 to 64 pixels.
        initial: channels of the first convolution; None is the paper's rule, 2k with bottleneck
            and 16 without.
        connection: "concatenate", or "add": x + H(x) as in ResNet. All layers then have `growth`
            channels, and initial and compression do not apply.
        dropout: share dropped after each convolution but the first, in training.
    """
    check_choice("stem", stem, ("imagenet", "cifar", "small"))
    check_choice("connection", connection, ("concatenate", "add"))
    check("compression", compression, 0 < compression <= 1, "0 < compression <= 1")
    check_count("growth", growth)
    smallest = {"imagenet": 29, "cifar": 4, "small": 7}[stem]
    check_image_input(input_shape, classes, smallest, "DenseNet", dropout)
    if stem == "imagenet":
        check_choice("depth", depth, tuple(LAYERS))
        counts = LAYERS[depth]
    else:
        step = 6 if bottleneck else 3
        whole = isinstance(depth, int) and depth >= step + 4 and (depth - 4) % step == 0
        several = f"{step + 4}, {2 * step + 4}, {3 * step + 4} and so on"
        check("depth", depth, whole, f"{step}n + 4, that is {several}")
        counts = 3 * ((depth - 4) // step,)
    if connection == "add":
        initial = growth
    elif initial is None:
        initial = 2 * growth if bottleneck else 16
    check_count("initial", initial)

    image = keras.Input(input_shape, name="image")
    if stem == "imagenet":
        x = ConvUnit(initial, 7, 2, padding=3, name="convolution")(image)
        x = padded_pool(x, "pooling")
    else:
        x = conv(initial, 3, "convolution", 1 if stem == "cifar" else 2)(image)
    for i, count in enumerate(counts):
        if i:
            kept = growth if connection == "add" else int(compression * x.shape[-1])
            least = f"at least 1 / {x.shape[-1]}, so that a transition keeps a channel"
            check("compression", compression, kept, least)
            x = Transition(kept, dropout, name=f"transition{i}")(x)
        same = (growth, bottleneck, connection, dropout)
        x = DenseBlock(count, *same, name=f"dense_block{i + 1}")(x)
    x = BatchNormalization(name="norm")(x)
    x = keras.layers.Activation("relu", name="relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="global_pooling")(x)
    logits = keras.layers.Dense(classes, name="classification")(x)
    return keras.Model(image, logits, name=name or f"densenet{depth}")


CIFAR = {"stem": "cifar", "input_shape": (32, 32, 3), "classes": 10}
PLAIN = {**CIFAR, "bottleneck": False, "compression": 1.0}
SMALL = {"depth": 28, "growth": 12, "stem": "small", "input_shape": (28, 28, 1), "classes": 10}

VARIANTS = {f"densenet{d}": (DenseNet, {"depth": d}) for d in (121, 169, 201, 264)}
VARIANTS["densenet161_k48"] = (DenseNet, {"depth": 161, "growth": 48})
for _depth, _k in ((40, 12), (100, 12), (100, 24)):
    _name, _net = f"densenet_L{_depth}_k{_k}", {**PLAIN, "depth": _depth, "growth": _k}
    VARIANTS[f"{_name}_cifar10"] = (DenseNet, _net)
    VARIANTS[f"{_name}_cifar100"] = (DenseNet, {**_net, "classes": 100})
    VARIANTS[f"{_name}_cifar10_init2k"] = (DenseNet, {**_net, "initial": 2 * _k})
for _depth, _k in ((100, 12), (250, 24), (190, 40)):
    _name, _net = f"densenet_bc_L{_depth}_k{_k}", {**CIFAR, "depth": _depth, "growth": _k}
    VARIANTS[f"{_name}_cifar10"] = (DenseNet, _net)
    VARIANTS[f"{_name}_cifar100"] = (DenseNet, {**_net, "classes": 100})
VARIANTS["densenet_small"] = (DenseNet, SMALL)
VARIANTS["densenet_medium"] = (DenseNet, {**SMALL, "depth": 40, "growth": 18})
