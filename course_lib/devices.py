"""One network on all devices: every batch is divided among them, the result is that of one.

    with devices.use("all") as used:
        model = zoo.build("resnet_small")
        training.fit(model, splits, epochs=3)

`python -m course_lib.experiments run NAME --devices all` does that. Batch size and learning rate
are of the whole batch, so a recipe stays as it is. The engines:

- TensorFlow: `tf.distribute.MirroredStrategy`, over the devices of one host. A batch that they
  cannot share evenly is filled up with its own pictures, see `shareable`; a batch size that is a
  multiple of their number saves that. Dropout draws the same mask on each device.
- JAX: `keras.distribution.DataParallel`, over the devices of one host or of several. Each device is
  given the whole batch and computes its part. For several hosts, run the same command on each, with
  KERAS_BACKEND=jax and

    KERAS_DISTRIBUTION_JOB_ADDRESSES=10.0.0.1:1234   the first host, and a port that is free there
    KERAS_DISTRIBUTION_NUM_PROCESSES=2               how many processes, one a host
    KERAS_DISTRIBUTION_PROCESS_ID=0                  which one this is, counted from 0

  Each host reads all the data (of photographs its part) and writes its own records. Where one
  fails, stop the command on all and give it again: it goes on from the first host's file.

`tf.distribute.MultiWorkerMirroredStrategy`, TensorFlow's own engine for several hosts, does not
work with Keras 3 (issue 20585 of keras-team/keras): `fit` stops with a ValueError about PerReplica.
"""

import contextlib
import functools
import hashlib
import math
import os

import keras
import numpy as np

from course_lib.arguments import check_choice

SEVERAL_HOSTS = (
    "tf.distribute.MultiWorkerMirroredStrategy does not work with Keras 3. For several hosts set "
    "KERAS_BACKEND=jax and the variables that course_lib/devices.py names; for one host unset {}."
)
HOSTS = tuple(
    f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")
)
NORMALIZATIONS = ("synchronized", "per device")

in_use = None  # what `use` yields, while inside


@contextlib.contextmanager
def use(devices="all", normalization="synchronized"):
    """Build and train networks on one device or on all that Keras's backend sees.

    Args:
        devices: "one", which changes nothing, or "all".
        normalization: whose pictures the mean and variance of a batch normalisation are of while
            it trains: "synchronized", those of the whole batch, as on one device; "per device",
            each device's own, which is faster, and on TensorFlow only: JAX computes the network as
            one, so there the whole batch is all there is.

    Yields:
        What a record says of it: {"count", "processes", "engine", "normalization"}; None for one.

    Raises:
        ValueError: an argument is not allowed, or TensorFlow is to use several hosts.
    """
    global in_use
    check_choice("devices", devices, ("one", "all"))
    check_choice("normalization", normalization, NORMALIZATIONS)
    if devices == "one":
        yield None
        return
    backend = keras.backend.backend()
    check_choice("KERAS_BACKEND with all devices", backend, ("tensorflow", "jax"))
    join()
    facts = {"processes": processes(), "normalization": normalization}
    if backend == "tensorflow":
        strategy = _mirrored()
        scope, engine = strategy.scope(), "tf.distribute.MirroredStrategy"
        count = strategy.num_replicas_in_sync
    else:
        check_choice("normalization on JAX", normalization, ("synchronized",))
        distribution = _distribution()
        scope, engine = distribution.scope(), "keras.distribution.DataParallel"
        count = distribution.num_model_replicas
    with scope:
        in_use = {"count": count, "engine": engine, **facts}
        try:
            yield in_use
        finally:
            in_use = None


def join():
    """Meet the other processes that the environment names, before anything is computed.

    Raises:
        ValueError: on TensorFlow, or not all of the variables are there.
        RuntimeError: JAX has computed already, or the others do not come within five minutes.
    """
    named = [name for name in (*HOSTS, "TF_CONFIG") if name in os.environ]
    if keras.backend.backend() == "tensorflow":
        if named:
            raise ValueError(SEVERAL_HOSTS.format(" and ".join(named)))
        return
    missing = [name for name in HOSTS if name not in os.environ]
    if len(missing) == len(HOSTS):
        return
    if missing:
        raise ValueError(f"not set: {', '.join(missing)}; see course_lib/devices.py")
    import jax

    if not jax.distributed.is_initialized():
        address, count, number = (os.environ[name] for name in HOSTS)
        print(f"process {number} of {count} waits for the others at {address}", flush=True)
        keras.utils.set_random_seed(0)  # else they would have to agree on one
        keras.distribution.initialize()


def processes():
    """Return how many processes train together."""
    return _jax().process_count() if keras.backend.backend() == "jax" else 1


def process():
    """Return which of them this is, counted from 0."""
    return _jax().process_index() if keras.backend.backend() == "jax" else 0


def _jax():
    import jax

    return jax


def of_the_first(content):
    """Return the bytes that the first process has, in every process."""
    if processes() == 1:
        return content
    from jax.experimental.multihost_utils import broadcast_one_to_all

    size = int(broadcast_one_to_all(np.int32(len(content))))
    own = np.zeros(size, "uint8")
    if process() == 0:
        own[:] = np.frombuffer(content, "uint8")
    return np.asarray(broadcast_one_to_all(own)).tobytes()


def prepare(model, train, validation, parts=1):
    """Return the data for `fit` in a form that the devices can share; make the model ready.

    Called inside `use`, after the model was compiled.

    Args:
        parts: among how many processes the data is divided; 1: each has all of it. On JAX only.

    Raises:
        ValueError: the processes do not train the same network.
    """
    if in_use is None:
        return train, validation
    if keras.backend.backend() == "jax":
        _check_same_start(model)
        _distribution().divided = parts > 1
        _divide(model)
        return train, validation
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = in_use["normalization"] == "synchronized"
    import tensorflow as tf

    if isinstance(validation, tuple):
        size = -(-512 // _parts()) * _parts()
        validation = tf.data.Dataset.from_tensor_slices(validation).batch(size)
    if isinstance(train, tf.data.Dataset):
        train = _shareable(train, even=True)
    return train, _shareable(validation, even=False)


def _check_same_start(model):
    """Check that the processes train one network, from the same weights.

    Raises:
        ValueError: this one does not begin as the first.
    """
    own = hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).digest()
    if of_the_first(own) != own:
        raise ValueError(
            f"process {process()} begins with other weights than process 0. Give all the same "
            "command, and let all lack the same records."
        )


# ---- JAX


@functools.cache
def _distribution():
    """Return the division of a batch over all devices.

    Keras refuses a batch that they do not divide, as the last of a pass may be. XLA does not, so
    every device is given the whole batch, and takes its part inside the step. Where each process
    has its own part of every batch, all of one size, Keras may divide.
    """

    class DataParallel(keras.distribution.DataParallel):
        divided = False

        def get_data_layout(self, data_shape):
            if self.divided:
                return super().get_data_layout(data_shape)
            return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)

    return DataParallel(auto_shard_dataset=False)


def _divide(model):
    """Make the steps of a model begin with the division of the batch."""
    import jax

    distribution = keras.distribution.distribution()
    layout = keras.distribution.TensorLayout([distribution.batch_dim_name])
    layout.device_mesh = distribution.device_mesh

    def own_part(array):
        return jax.lax.with_sharding_constraint(array, layout.backend_layout)

    def divided(step, state, data):
        return step(model, state, jax.tree.map(own_part, data))

    for name in ("train_step", "test_step"):
        setattr(model, name, functools.partial(divided, getattr(type(model), name)))
    model.test_function = None  # for tf.data, `fit` had one made


# ---- TensorFlow


@functools.cache
def _mirrored():
    """Return the one strategy of this process.

    A second one would reuse the numbers by which the devices recognise what they add up, and stop
    with "Shape mismatch in the collective instance" (issue 62790 of tensorflow/tensorflow).
    """
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(keras.distribution.list_devices())


def _parts():
    """Return into how many equal parts TensorFlow divides a training batch."""
    return in_use["count"] if _mirrors() else 1


def _mirrors():
    return in_use is not None and keras.backend.backend() == "tensorflow"


def spare_passes():
    """Return how many passes over a tf.data.Dataset Keras begins before it trains.

    With a strategy it looks at a batch first. Of a set that shuffles itself, a pass would be lost.
    """
    return int(_mirrors())


def _times(rows, parts):
    """Return how often each picture of a batch must stand in it to make the parts equal."""
    return parts // math.gcd(rows, parts)


def shareable(images, labels):
    """Repeat the pictures of a training batch until the devices can share it evenly.

    TensorFlow adds up the mean of each device's loss, so that only even parts give the loss of the
    whole; a device without a picture stops the training. Repeated, the pictures have the same mean,
    gradient and statistics. Only the loss and accuracy shown of the pass count them repeatedly.
    """
    times = _times(len(images), _parts())
    return (images, labels) if times == 1 else (images.repeat(times, 0), labels.repeat(times, 0))


def _shareable(dataset, even):
    """Return a tf.data.Dataset of batches as `shareable`.

    Not even, for validation, where parts may differ: pictures are repeated only where a device
    would be without one, and in the first batch, which Keras takes for an example. It differs from
    a full one only where it is the only one.
    """
    import tensorflow as tf

    parts = _parts()
    times = tf.constant([_times(rows, parts) for rows in range(parts)])

    def shared(i, batch):
        rows = tf.shape(batch[0])[0]
        part = (rows + parts - 1) // parts
        suits = not even and tf.logical_and(i > 0, part * (parts - 1) < rows)
        repeat = tf.where(suits, 1, times[rows % parts])
        batch = tf.nest.map_structure(lambda array: tf.repeat(array, repeat, axis=0), batch)
        return tf.data.Dataset.from_tensors(batch)

    # Where it knows the size of a batch, TensorFlow fills one device after another with the last.
    batches = dataset.enumerate().flat_map(shared)
    return batches.apply(tf.data.experimental.assert_cardinality(len(dataset)))
