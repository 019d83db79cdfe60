"""The library behind the notebooks: one module a paper, and a few tools beside them.

`import course_lib` is cheap. It loads neither Keras nor TensorFlow; `course_lib.start` does.
"""

from course_lib.profile import Profile, start

__version__ = "0.1.0"
__all__ = ["Profile", "__version__", "start"]
