"""How a notebook starts: quiet native logs, repeatable numbers, and a profile to run under."""

import contextlib
import os
import sys
import tempfile
from dataclasses import dataclass

PARTS = {"13_devices": 2}  # chapters that need several devices: parts of the processor


@dataclass(frozen=True)
class Profile:
    """What a chapter may cost on this machine: `cpu` (two cores, 90 seconds) or `gpu`."""

    name: str

    def pick(self, *, cpu, gpu):
        """Return the value that fits this profile, for example `pick(cpu=2, gpu=30)` epochs."""
        return cpu if self.name == "cpu" else gpu


@contextlib.contextmanager
def quiet_native_logs():
    """Hold back what C++ libraries write to stderr; show it only if an exception passes."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def has_gpu():
    """Say whether the Keras backend sees an accelerator."""
    import keras

    # Asked for a kind that is not there, JAX raises an error; asked for none, it names the best.
    return any(not name.lower().startswith("cpu") for name in keras.distribution.list_devices())


def accelerator():
    """Return the name of the accelerator that Keras uses, for example "Tesla T4", or None."""
    if not has_gpu():
        return None
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return jax.devices()[0].device_kind
    import tensorflow as tf

    device = (tf.config.list_physical_devices("GPU") + tf.config.list_physical_devices("TPU"))[0]
    return tf.config.experimental.get_device_details(device).get("device_name", device.name)


def split_processor(parts):
    """Let TensorFlow count the processor as several devices, unless it has begun to compute."""
    import tensorflow as tf

    processor = tf.config.list_physical_devices("CPU")[0]
    with contextlib.suppress(RuntimeError):  # begun: there is one device, and all works on it
        tf.config.set_logical_device_configuration(
            processor, [tf.config.LogicalDeviceConfiguration()] * parts
        )


def start(chapter):
    """Load Keras without log noise, seed everything with 0, and choose the profile.

    Args:
        chapter: the notebook's name, for example "04_alexnet".

    Returns:
        The `Profile`: "gpu" when the backend sees an accelerator, else "cpu". The environment
        variable COURSE_PROFILE overrides it.

    Raises:
        ValueError: COURSE_PROFILE is neither "cpu" nor "gpu".
    """
    asked = os.environ.get("COURSE_PROFILE")
    if asked not in (None, "cpu", "gpu"):
        raise ValueError(f"COURSE_PROFILE is {asked!r}; allowed: 'cpu', 'gpu', or not set.")
    with quiet_native_logs():
        import keras

        if chapter in PARTS and keras.backend.backend() == "tensorflow":
            split_processor(PARTS[chapter])
        keras.utils.set_random_seed(0)
        keras.ops.zeros(1)
        profile = Profile(asked or ("gpu" if has_gpu() else "cpu"))
    print(f"{chapter} · profile: {profile.name} · backend: {keras.backend.backend()} · seed: 0")
    return profile
