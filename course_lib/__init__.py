"""The library behind the notebooks: one module a paper, and a few tools beside them.

`import course_lib` is cheap. It loads neither Keras nor TensorFlow; `course_lib.start` does.
Where TensorFlow is not installed and JAX is, it makes JAX Keras's backend, unless KERAS_BACKEND
names one.
"""

import os
from importlib.util import find_spec

from course_lib.profile import Profile, start

# TensorFlow reads these when it loads. On some processors it leaves its oneDNN kernels off; on one
# without AVX-512 they train the small forms 1.1 to 2.0 times as fast (benchmarks/onednn.py).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if find_spec("tensorflow") is None and find_spec("jax") is not None:
    os.environ.setdefault("KERAS_BACKEND", "jax")

__version__ = "0.1.0"
__all__ = ["Profile", "__version__", "start"]
