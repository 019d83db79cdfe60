"""What two or more of the papers share. Images are channels-last: (batch, height, width, channels).

Same names, weights and results as Keras's own layers, so a network can be loaded without this
file's speed; see benchmarks/ for what the speed is worth.
"""

import inspect
import math

import keras
import numpy as np
from keras import ops

from course_lib.arguments import check, check_choice

serializable = keras.saving.register_keras_serializable(package="course_lib")

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
else:
    tf = None


class Block(keras.layers.Layer):
    """A layer made of layers: a subclass writes `__init__` and `call`, and Keras can do the rest.

    The layers inside are built, and the output's shape is found, by a symbolic call. `config`
    holds the arguments by name, the defaults included, so that a saved block comes back; name,
    dtype and trainable are Keras's own.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        serializable(cls)

    def __new__(cls, *args, **kwargs):
        block = super().__new__(cls, *args, **kwargs)
        given = inspect.signature(cls.__init__).bind(block, *args, **kwargs)
        given.apply_defaults()
        _, *own = given.arguments  # without self
        block.config = {key: given.arguments[key] for key in own if key != "kwargs"}
        block.shapes = {}
        return block

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape)
        if shape not in self.shapes:
            self.shapes[shape] = self.call(keras.KerasTensor(shape, self.compute_dtype)).shape
        return self.shapes[shape]

    def get_config(self):
        return {**super().get_config(), **self.config}


@serializable
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalisation, computed by TensorFlow's fused kernel while it trains.

    Weights, configuration and results are those of `keras.layers.BatchNormalization`: the
    moving variance keeps the biased variance (divided by n) on every backend. The momentum is
    0.9, as in the papers' own code; Keras's 0.99 needs hundreds of steps before evaluation is
    right.

    Shapes: (batch, height, width, channels) -> the same.
    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1.
    """

    def __init__(self, momentum=0.9, epsilon=1e-5, **kwargs):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs, training=None, mask=None):
        fused = (
            tf is not None
            and training
            and self.trainable
            and self.variable_dtype == "float32"
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and mask is None
            and self.scale
            and self.center
            and not (getattr(self, "renorm", False) or self.synchronized)  # Keras 3.13 has none
        )
        if not fused:
            return super().call(inputs, training=training, mask=mask)
        inputs = ops.cast(inputs, self.compute_dtype)
        # The kernel moves the averages itself, but with the variance divided by n - 1.
        if None in inputs.shape[:3]:
            n = tf.cast(tf.size(inputs) // inputs.shape[3], "float32")
            unbiased = n / tf.maximum(n - 1.0, 1.0)
        else:
            n = math.prod(inputs.shape[:3])
            unbiased = tf.constant(n / max(n - 1, 1))
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            self.gamma.value,
            self.beta.value,
            self.moving_mean.value,
            self.moving_variance.value * unbiased,
            epsilon=self.epsilon,
            is_training=True,
            exponential_avg_factor=1 - self.momentum,
        )
        self.moving_mean.assign(mean)
        self.moving_variance.assign(variance / unbiased)
        return outputs


@serializable
class GroupedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D(groups=g)` that also trains fast on a CPU.

    The kernel has Keras's layout (kernel height, kernel width, in / groups, out). TensorFlow on
    a CPU gets one convolution a group, for 1x1 kernels one matrix product; every other device gets
    Keras's own grouped kernel.

    Shapes: (batch, height, width, in) -> (batch, height', width', out).
    Source: AlexNet sec. 3.5 (two groups, one a GPU), ShuffleNet sec. 3.1.
    """

    def convolution_op(self, inputs, kernel):
        on_cpu = tf is not None and not tf.config.list_physical_devices("GPU")
        if self.groups == 1 or not on_cpu or self.data_format != "channels_last":
            return super().convolution_op(inputs, kernel)
        pixels, step = inputs, super().convolution_op
        if self.kernel_size == (1, 1) and self.strides == (1, 1):
            pixels, kernel = ops.reshape(inputs, (-1, inputs.shape[-1])), kernel[0, 0]
            step = ops.matmul
        parts = zip(ops.split(pixels, self.groups, -1), ops.split(kernel, self.groups, -1))
        outputs = ops.concatenate([step(part, k) for part, k in parts], axis=-1)
        if step is ops.matmul:
            outputs = ops.reshape(outputs, (-1, *ops.shape(inputs)[1:3], self.filters))
        return outputs


class LocalResponseNormalization(Block):
    """Divide each channel by a power of the squared activity of its neighbours.

    b_i = a_i / (k + alpha * sum of a_j^2 over the n channels around i) ^ beta

    Shapes: (batch, height, width, channels) -> the same. Computed in float32. `alpha` is not
    divided by n, as in the paper; Caffe and PyTorch divide, and need alpha = 5e-4 for the same.
    Source: AlexNet sec. 3.3; VGG uses the same constants in net A-LRN.
    """

    def __init__(self, n=5, k=2.0, alpha=1e-4, beta=0.75, **kwargs):
        super().__init__(**kwargs)
        odd = isinstance(n, int) and n > 0 and n % 2 == 1
        check("n", n, odd, "an odd positive integer (the paper has 5)")
        self.n, self.k, self.alpha, self.beta = n, k, alpha, beta

    def call(self, inputs):
        a = ops.cast(inputs, "float32")
        channel = ops.arange(a.shape[-1])
        near = ops.abs(channel[:, None] - channel[None, :]) <= self.n // 2
        activity = ops.matmul(ops.square(a), ops.cast(near, "float32"))
        power = ops.exp(-self.beta * ops.log(self.k + self.alpha * activity))  # pow is slower
        return ops.cast(a * power, inputs.dtype)

    def multiply_adds(self, input_shape, output_shape):
        """Zero: by this course's convention only convolutions and dense layers are counted."""
        return 0


class ConvUnit(Block):
    """Convolution, then normalisation, then activation: the unit that all later papers stack.

    Shapes: (batch, height, width, in) -> (batch, height', width', filters).

    Args:
        filters: output channels.
        kernel_size: side of the square kernel, in pixels.
        strides: step of the kernel, in pixels.
        padding: "same", "valid", or the pixels to add on every side. Papers and PyTorch mean the
            last; "same" pads a strided convolution on the bottom and right only.
        groups: groups of channels that do not see each other.
        normalization: "batch" or None.
        activation: a Keras activation, or None.
        kernel_initializer: He normal by default, the start for ReLU networks.
        use_bias: None for a bias only without normalisation, which would cancel it.
        epsilon: of the normalisation.

    Source: ResNet sec. 3.4 (batch normalisation right after each convolution, before the
    activation).
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="same",
        groups=1,
        normalization="batch",
        activation="relu",
        kernel_initializer="he_normal",
        use_bias=None,
        epsilon=1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_choice("normalization", normalization, ("batch", None))
        pixels = isinstance(padding, int) and padding >= 0
        known = padding in ("same", "valid") or pixels
        check("padding", padding, known, "'same', 'valid', or the pixels: 0, 1, 2 and so on")
        own = {"dtype": self.dtype_policy}
        self.pad = None
        if isinstance(padding, int):
            if padding and (strides > 1 or 2 * padding != kernel_size - 1):
                self.pad = keras.layers.ZeroPadding2D(padding, name="pad", **own)
            padding = "same" if padding and self.pad is None else "valid"
        self.conv = (keras.layers.Conv2D if groups == 1 else GroupedConv2D)(
            filters,
            kernel_size,
            strides,
            padding,
            groups=groups,
            use_bias=normalization is None if use_bias is None else use_bias,
            kernel_initializer=kernel_initializer,
            name="conv",
            **own,
        )
        self.norm = None
        if normalization:
            self.norm = BatchNormalization(epsilon=epsilon, name="norm", **own)
        self.activation = keras.layers.Activation(activation, name="activation", **own)

    def call(self, x):
        for step in (self.pad, self.conv, self.norm, self.activation):
            x = x if step is None else step(x)
        return x


def max_pool(x, name):
    """3x3 max-pooling at stride 2 in ceil mode: n pixels -> n / 2, rounded down.

    Caffe pools so, and the sizes of GoogLeNet's table 1 and SqueezeNet's need it. Keras has no such
    mode: on an even side its "same" is equal, on an odd one its "valid".
    """
    rows, columns = ("valid" if side % 2 else "same" for side in x.shape[1:3])
    if rows == columns:
        return keras.layers.MaxPooling2D(3, 2, rows, name=name)(x)
    x = keras.layers.MaxPooling2D((3, 1), (2, 1), rows, name=f"{name}_rows")(x)
    return keras.layers.MaxPooling2D((1, 3), (1, 2), columns, name=name)(x)


def padded_pool(x, name):
    """3x3 max-pooling at stride 2 after one pixel of zeros: n pixels -> n / 2, rounded up."""
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return keras.layers.MaxPooling2D(3, 2, name=name)(x)


@serializable
class PixelPermutation(keras.layers.Layer):
    """Put the pixels of every picture into one fixed random order; channels stay together.

    Shapes: (batch, height, width, channels) -> the same. The order is the one of
    `course_lib.convolution.permute` with seed 0.
    """

    def call(self, inputs):
        _, height, width, channels = inputs.shape
        order = np.random.default_rng(0).permutation(height * width)
        pixels = ops.reshape(inputs, (-1, height * width, channels))
        return ops.reshape(ops.take(pixels, order, axis=1), (-1, height, width, channels))

    def compute_output_shape(self, input_shape):
        return input_shape

    def multiply_adds(self, input_shape, output_shape):
        """Zero: the pixels only change places."""
        return 0
