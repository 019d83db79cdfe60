"""Chapter 02: convolution and pooling written out in NumPy, and a small network in Keras.

Pictures are channels-last: (pictures, height, width, channels). Sides are in pixels.
"""

import keras
import numpy as np

from course_lib.arguments import check_image_input
from course_lib.layers import PixelPermutation


def output_side(side, window, stride=1, padding=0):
    """Return how many positions a window has along one side of a picture.

    (side + 2 * padding - window) // stride + 1

    Args:
        side: of the picture.
        window: side of the window.
        stride: step from one position to the next.
        padding: pixels added at each end first.

    Raises:
        ValueError: an argument is not a whole number in its range, or the window is larger than
            the padded picture.
    """
    for name, value, least in (
        ("window", window, 1),
        ("stride", stride, 1),
        ("padding", padding, 0),
    ):
        if not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{name} is {value!r}; allowed: an integer of at least {least}.")
    if window > side + 2 * padding:
        raise ValueError(
            f"the window is {window} pixels, the padded picture {side + 2 * padding}; allowed: a "
            "window that fits into the picture."
        )
    return (side + 2 * padding - window) // stride + 1


def conv2d(x, kernel, bias=None, stride=1, padding=0):
    """Slide a kernel over pictures; at every position multiply, add up, add the bias.

    The kernel is not flipped. Mathematics calls this cross-correlation; Keras does the same.

    Args:
        x: (pictures, height, width, in).
        kernel: (kernel height, kernel width, in, out).
        bias: (out,), or None.
        stride: step of the kernel.
        padding: pixels of zeros added on every side first.

    Returns:
        (pictures, height', width', out), sides by `output_side`.

    Raises:
        ValueError: the shapes do not fit each other; see also `output_side`.
    """
    if x.ndim != 4 or kernel.ndim != 4 or x.shape[3] != kernel.shape[2]:
        raise ValueError(
            f"x has shape {x.shape}, kernel {kernel.shape}; allowed: (pictures, height, width, in) "
            "and (kernel height, kernel width, in, out), the same in."
        )
    high, wide, _, out = kernel.shape
    rows = output_side(x.shape[1], high, stride, padding)
    columns = output_side(x.shape[2], wide, stride, padding)
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    y = np.empty((len(x), rows, columns, out), np.result_type(x, kernel))
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            window = x[:, top : top + high, left : left + wide]
            y[:, i, j] = np.tensordot(window, kernel, axes=3)  # sum over height, width, in
    return y if bias is None else y + bias


def max_pool(x, size=2, stride=None):
    """Keep the largest value of every window, channel by channel.

    Args:
        x: (pictures, height, width, channels).
        size: side of the window.
        stride: step of the window; None is the window's side, so that windows do not overlap.

    Returns:
        (pictures, height', width', channels), sides by `output_side`.

    Raises:
        ValueError: x has another shape; see also `output_side`.
    """
    if x.ndim != 4:
        raise ValueError(f"x has shape {x.shape}; allowed: (pictures, height, width, channels).")
    stride = size if stride is None else stride
    rows = output_side(x.shape[1], size, stride)
    columns = output_side(x.shape[2], size, stride)
    y = np.empty((len(x), rows, columns, x.shape[3]), x.dtype)
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            y[:, i, j] = x[:, top : top + size, left : left + size].max(axis=(1, 2))
    return y


def shift(x, right=0, down=0):
    """Move pictures by whole pixels; what becomes free is 0, what leaves the frame is lost.

    Args:
        x: (pictures, height, width, channels).
        right, down: pixels; negative numbers move to the left and up.

    Returns:
        The moved pictures, same shape.
    """
    high, wide = x.shape[1:3]
    d, r = abs(down), abs(right)
    x = np.pad(x, ((0, 0), (d, d), (r, r), (0, 0)))
    return x[:, d - down : d - down + high, r - right : r - right + wide]


def permute(x, seed=0):
    """Put the pixels of every picture into another order, the same for all pictures.

    Args:
        x: (pictures, height, width, channels); the channels of a pixel stay together.
        seed: decides the order.

    Returns:
        The reordered pictures, same shape.
    """
    pixels = x.reshape(len(x), -1, x.shape[3])
    order = np.random.default_rng(seed).permutation(pixels.shape[1])
    return pixels[:, order].reshape(x.shape)


def ConvNet(
    input_shape=(28, 28, 1),
    classes=10,
    *,
    widths=(16, 32, 64),
    kernel_size=3,
    hidden=128,
    permuted=False,
    name="convnet",
):
    """Build a small convolutional network: stages of convolution, ReLU and pooling, then an MLP.

    Shapes: (batch, height, width, channels) -> (batch, classes), logits.

    Args:
        input_shape: (height, width, channels).
        classes: number of classes.
        widths: filters of each convolution; a 2 x 2 pooling after each halves the sides.
        kernel_size: side of the kernels.
        hidden: neurons of the fully connected hidden layer.
        permuted: put the pixels into a fixed random order first.

    Raises:
        ValueError: an argument is not one of the above; the image is too small to be halved so
            often.
    """
    if not widths or not all(isinstance(width, int) and width > 0 for width in widths):
        raise ValueError(f"widths is {widths!r}; allowed: positive integers, one a convolution.")
    check_image_input(input_shape, classes, 2 ** len(widths), "ConvNet")
    image = keras.Input(input_shape, name="image")
    x = PixelPermutation(name="permuted")(image) if permuted else image
    for number, width in enumerate(widths, start=1):
        x = keras.layers.Conv2D(
            width,
            kernel_size,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",
            name=f"conv{number}",
        )(x)
        x = keras.layers.MaxPooling2D(2, name=f"pool{number}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(hidden, "relu", kernel_initializer="he_normal", name="hidden")(x)
    logits = keras.layers.Dense(classes, kernel_initializer="he_normal", name="output")(x)
    return keras.Model(image, logits, name=name)


VARIANTS = {"convolution_small": (ConvNet, {})}
