"""What several tests compare the networks with: plain NumPy, random weights and statistics, JAX."""

import contextlib

import keras
import numpy as np

# Variables of a process that computes on JAX. Nearly all its time goes into compiling, and without
# optimising that takes a quarter.
ON_JAX = {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_backend_optimization_level=0",
}
# First lines of a program whose weights come from a file: JAX would compile their random start anew
# for every shape.
NO_RANDOM_START = """
import keras, numpy as np
keras.initializers.VarianceScaling.__call__ = lambda self, shape, dtype=None: np.zeros(shape, dtype)
"""


@contextlib.contextmanager
def shapes_only():
    """Networks that are built inside have weights with a shape and no numbers: to count needs none.

    Making the numbers is most of the time that building a large network takes.
    """
    with keras.StatelessScope():
        yield
        keras.backend.clear_session(free_memory=False)  # or they get numbers when the scope ends


def randomize(model, seed=0):
    """Give every bias, scale and statistic a random value, so that an ignored one is noticed."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.name in ("bias", "beta", "moving_mean"):
            weight.assign(random.normal(0, 0.2, weight.shape))
        elif weight.name in ("gamma", "moving_variance"):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
    return model


def images(shape, batch=2, seed=1):
    """Return a batch of standard normal images."""
    return np.random.default_rng(seed).normal(size=(batch, *shape)).astype("float32")


def outputs(model, names, x):
    """Return {name: output} of the named layers for the images x, in evaluation mode."""
    inner = keras.Model(model.input, {name: model.get_layer(name).output for name in names})
    found = inner(x, training=False)
    return {name: keras.ops.convert_to_numpy(found[name]) for name in names}


def relative_error(ours, reference):
    """Return the largest difference as a share of the largest reference value."""
    ours, reference = (keras.ops.convert_to_numpy(each) for each in (ours, reference))
    assert ours.shape == reference.shape, (ours.shape, reference.shape)
    assert np.abs(reference).max() > 0
    return np.abs(ours - reference).max() / np.abs(reference).max()


def convolve(x, kernel, stride=1, padding=0, bias=0.0):
    """Convolution by its definition: `padding` zeros on every side, then a window every stride."""
    side = kernel.shape[0]
    x = np.pad(x, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(1, 2))
    windows = windows[:, ::stride, ::stride]  # (batch, rows, columns, in, side, side)
    return np.einsum("nrcixy,xyio->nrco", windows, kernel, optimize=True) + bias


def normalize(x, layer):
    """Batch normalisation in evaluation mode, from a layer's own numbers."""
    gamma, beta, mean, variance = layer.get_weights()
    return gamma * (x - mean) / np.sqrt(variance + layer.epsilon) + beta


def unit(x, layer, stride=1, padding=None, relu=True):
    """A `ConvUnit` in NumPy from its own weights; padding None puts zeros around the image."""
    kernel, *bias = layer.conv.get_weights()
    x = convolve(x, kernel, stride, kernel.shape[0] // 2 if padding is None else padding)
    x = x + bias[0] if bias else x
    x = x if layer.norm is None else normalize(x, layer.norm)
    return np.maximum(x, 0) if relu else x


def ceil_pool(x, size=3, stride=2, pad=0):
    """Max-pooling in ceil mode: windows that start inside the padded image, clipped."""
    x = np.pad(x, [(0, 0), (pad, pad), (pad, pad), (0, 0)], constant_values=-np.inf)
    rows, columns = (-(-(side - size) // stride) + 1 for side in x.shape[1:3])
    out = np.empty((len(x), rows, columns, x.shape[3]), x.dtype)
    for r in range(rows):
        for c in range(columns):
            top, left = r * stride, c * stride
            out[:, r, c] = x[:, top : top + size, left : left + size].max(axis=(1, 2))
    return out


def local_response(x, n=5, k=2.0, alpha=1e-4, beta=0.75):
    """The sum of AlexNet's section 3.3, channel by channel."""
    out = np.empty_like(x)
    for i in range(x.shape[-1]):
        near = x[..., max(0, i - n // 2) : i + n // 2 + 1]
        out[..., i] = x[..., i] / (k + alpha * (near**2).sum(axis=-1)) ** beta
    return out
