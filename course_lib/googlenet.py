"""GoogLeNet: Szegedy et al., Going Deeper with Convolutions, CVPR 2015, arXiv:1409.4842.
Section and table numbers are the paper's.
"""

import keras
from keras import ops

from course_lib.arguments import check, check_choice, check_image_input
from course_lib.layers import Block, ConvUnit, LocalResponseNormalization, max_pool


class InceptionModule(Block):
    """Look at the same input through 1x1, 3x3 and 5x5 filters and a pooling, side by side.

    The four outputs are concatenated in that order. A ReLU follows every convolution, the
    reductions and the pooling's projection included.

    Shapes: (batch, height, width, in) -> (batch, height, width, out); out is the sum of the four
    branches. In the naive form the pooling branch has all `in` channels.

    Args:
        filters: six channel counts in the order of table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce,
            5x5, pool proj. The naive form ignores the two reductions and the projection.
        reduce: True for 1x1 convolutions before 3x3 and 5x5 and after the pooling (fig. 2b);
            False for the naive form (fig. 2a).
        largest: side of the largest kernel: 5 (the paper), or 3 as torchvision has it.
        normalization: None (the paper), or "batch" after every convolution, without biases.

    Source: sec. 4, fig. 2.
    """

    def __init__(self, filters, reduce=True, largest=5, normalization=None, **kwargs):
        super().__init__(**kwargs)
        six = len(filters) == 6 and all(isinstance(n, int) and n > 0 for n in filters)
        check("filters", tuple(filters), six, "six positive integers")
        check_choice("largest", largest, (3, 5))
        check_choice("normalization", normalization, ("batch", None))
        one, reduce3, three, reduce5, five, projection = filters
        own = {"dtype": self.dtype_policy}

        def unit(channels, side, name):
            return ConvUnit(channels, side, normalization=normalization, name=name, **own)

        self.reduce = reduce
        self.conv1 = unit(one, 1, "1x1")
        self.reduce3 = unit(reduce3, 1, "3x3_reduce") if reduce else None
        self.conv3 = unit(three, 3, "3x3")
        self.reduce5 = unit(reduce5, 1, "5x5_reduce") if reduce else None
        self.conv5 = unit(five, largest, "5x5")
        self.pool = keras.layers.MaxPooling2D(3, 1, "same", name="pool", **own)
        self.projection = unit(projection, 1, "pool_proj") if reduce else None

    @property
    def branches(self):
        """The layers of the four branches, each from the input on: to look at the module."""
        if not self.reduce:
            return [[self.conv1], [self.conv3], [self.conv5], [self.pool]]
        three, five = [self.reduce3, self.conv3], [self.reduce5, self.conv5]
        return [[self.conv1], three, five, [self.pool, self.projection]]

    def call(self, x):
        p1 = self.conv1(x)
        p2 = self.conv3(self.reduce3(x) if self.reduce else x)
        p3 = self.conv5(self.reduce5(x) if self.reduce else x)
        p4 = self.projection(self.pool(x)) if self.reduce else self.pool(x)
        return ops.concatenate([p1, p2, p3, p4], axis=-1)


class AuxiliaryClassifier(Block):
    """A small classifier on an intermediate output; it helps training and is then thrown away.

    5x5 average pooling at stride 3, a 1x1 convolution, a hidden layer, dropout, logits.

    Shapes: (batch, height, width, in), sides of at least 5 pixels -> (batch, classes), logits.

    Args:
        filters: channels of the 1x1 convolution; 128 in the paper.
        hidden: units of the hidden layer; 1024 in the paper.
        dropout: share of the hidden units dropped in training; 0.7 in the paper.
        normalization: None (the paper), or "batch" after the convolution.

    Source: sec. 5.
    """

    def __init__(
        self, classes, filters=128, hidden=1024, dropout=0.7, normalization=None, **kwargs
    ):
        super().__init__(**kwargs)
        own = {"dtype": self.dtype_policy}
        self.pool = keras.layers.AveragePooling2D(5, 3, name="ave_pool", **own)
        self.conv = ConvUnit(filters, 1, normalization=normalization, name="conv", **own)
        self.flatten = keras.layers.Flatten(name="flatten", **own)
        self.fc = keras.layers.Dense(
            hidden, activation="relu", kernel_initializer="he_normal", name="fc", **own
        )
        self.dropout = keras.layers.Dropout(dropout, name="dropout", **own)
        self.classifier = keras.layers.Dense(classes, name="classifier", **own)

    def call(self, x):
        x = self.flatten(self.conv(self.pool(x)))
        return self.classifier(self.dropout(self.fc(x)))


MODULES = {  # table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def GoogLeNet(
    input_shape=(224, 224, 3),
    classes=1000,
    *,
    auxiliary=False,
    reduce=True,
    normalization="lrn",
    head="average",
    stem="paper",
    width=1.0,
    largest=5,
    pool4=3,
    dropout=0.4,
    name="googlenet",
):
    """Build GoogLeNet; the defaults are the paper's network as it classifies (table 1).

    Shapes: (batch, height, width, channels), pixels with zero mean -> (batch, classes), logits.
    With `auxiliary` the output is a dictionary of three such logits: "main", "aux1", "aux2".

    Args:
        auxiliary: True adds the classifiers on 4a and 4d, as in training (sec. 5); their losses
            count 0.3 each, which `course_lib.training.fit` does by the names of the outputs.
        reduce: False makes every module naive, without 1x1 reductions (fig. 2a).
        normalization: "lrn" in the stem (fig. 3), "batch" after every convolution, or None.
        head: "average", global average pooling (sec. 5), or "dense", the fully connected layer
            of 1024 units that it replaces.
        stem: "paper", or "small" for images of 28 to 64 pixels: one 3x3 convolution at stride 1
            instead of conv1, pool1 and conv2.
        width: multiplies the channels of every convolution and hidden layer; 1 is the paper's.
        largest: 5, or 3 in place of the 5x5 convolutions, as in torchvision.
        pool4: window of the last max-pooling: 3, or 2 as in torchvision.
        dropout: share dropped before the last layer in training; 0.4 in the paper.
    """
    check_choice("normalization", normalization, ("lrn", "batch", None))
    check_choice("head", head, ("average", "dense"))
    check_choice("stem", stem, ("paper", "small"))
    check_choice("pool4", pool4, (2, 3))
    check("width", width, width * 16 >= 1, f"at least {1 / 16}")
    smallest = {"paper": (15, 31), "small": (4, 8)}[stem][pool4 == 3]
    if auxiliary:
        smallest = {"paper": 79, "small": 20}[stem]
    check_image_input(input_shape, classes, smallest, "GoogLeNet", dropout)
    batch = "batch" if normalization == "batch" else None

    def scaled(channels):
        return int(channels * width)

    def unit(x, filters, side, name, strides=1):
        filters, padding = scaled(filters), side // 2
        return ConvUnit(filters, side, strides, padding, normalization=batch, name=name)(x)

    def normalize(x, name):
        return LocalResponseNormalization(name=name)(x) if normalization == "lrn" else x

    image = keras.Input(input_shape, name="image")
    if stem == "paper":
        x = unit(image, 64, 7, "conv1", strides=2)
        x = normalize(max_pool(x, "pool1"), "norm1")
        x = unit(x, 64, 1, "conv2_reduce")
        x = normalize(unit(x, 192, 3, "conv2"), "norm2")
    else:
        x = normalize(unit(image, 64, 3, "conv1"), "norm1")
    x = max_pool(x, "pool2")
    outputs = {}
    for module, filters in MODULES.items():
        if module == "4a":
            x = max_pool(x, "pool3")
        if module == "5a":
            last = keras.layers.MaxPooling2D(2, padding="same", name="pool4")
            x = max_pool(x, "pool4") if pool4 == 3 else last(x)
        filters = tuple(map(scaled, filters))
        x = InceptionModule(filters, reduce, largest, batch, name=f"inception_{module}")(x)
        if auxiliary and module in ("4a", "4d"):
            key = f"aux{len(outputs) + 1}"
            outputs[key] = AuxiliaryClassifier(
                classes, scaled(128), scaled(1024), normalization=batch, name=key
            )(x)
    if head == "average":
        x = keras.layers.GlobalAveragePooling2D(name="pool5")(x)
    else:
        x = keras.layers.Flatten(name="flatten")(x)
        x = keras.layers.Dense(
            scaled(1024), activation="relu", kernel_initializer="he_normal", name="fc"
        )(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    logits = keras.layers.Dense(classes, name="classifier")(x)
    return keras.Model(image, {"main": logits, **outputs} if auxiliary else logits, name=name)


TORCHVISION = {"normalization": "batch", "largest": 3, "pool4": 2, "dropout": 0.2}
# For 28-pixel images: one convolution as the stem, and an eighth of the channels.
SMALL = {"input_shape": (28, 28, 1), "classes": 10, "stem": "small", "width": 0.125}

VARIANTS = {
    "googlenet_paper": (GoogLeNet, {}),
    "googlenet_paper_with_aux": (GoogLeNet, {"auxiliary": True}),
    "googlenet_torchvision": (GoogLeNet, TORCHVISION),
    "googlenet_torchvision_with_aux": (GoogLeNet, {**TORCHVISION, "auxiliary": True}),
    "googlenet_small": (GoogLeNet, SMALL),
    "googlenet_medium": (GoogLeNet, {**SMALL, "width": 0.25, "normalization": "batch"}),
}
