"""Runs inside the kernel that the assignments share, and gives each notebook a fresh start.

Starting TensorFlow and Keras is nearly all of an assignment's time, so it is done once. Between
two notebooks everything else is put back: all names are deleted, `course_lib` is imported anew,
Keras's global state, the working folder and the environment are as at first. What a notebook has
set in a module or class of `WATCHED`, for example keras.layers.Dense = Mine, is put back too,
and `leftovers` names it, so that the test fails.
"""

import inspect
import os
import sys

import keras
import matplotlib
import matplotlib.pyplot

WATCHED = ("builtins", "keras", "math", "matplotlib", "numpy", "random")
# What changes by itself: `input` is the kernel's for each request, clear_session renews the others.
RENEWED = (
    "builtins.input",
    "keras.src.backend.common.global_state.GLOBAL_SETTINGS_TRACKER",
    "keras.src.backend.common.global_state.GLOBAL_STATE_TRACKER",
)
MISSING = object()


def owners():
    """Return {id: (name, module or class)} of all that is watched."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in WATCHED:
            found[id(module)] = name, module
            for value in list(vars(module).values()):
                if inspect.isclass(value) and value.__module__.partition(".")[0] in WATCHED:
                    found[id(value)] = f"{value.__module__}.{value.__qualname__}", value
    return found


def snapshot():
    """Return [(name, owner, its attributes)] of all that is watched."""
    return [(name, owner, dict(vars(owner))) for name, owner in owners().values()]


def leftovers():
    """Put changed attributes back; return their names, those that a notebook must not change."""
    names = []
    for name, owner, kept in FIRST:
        for key, value in kept.items():
            cache = key.startswith("_") and value is None  # filled when it is first used
            if vars(owner).get(key, MISSING) is not value and not cache:
                if f"{name}.{key}" not in RENEWED:
                    setattr(owner, key, value)
                    names.append(f"{name}.{key}")
    return names


def fresh(folder):
    """Make the kernel as good as new, in ``folder``."""
    get_ipython().reset(new_session=True, aggressive=False)  # noqa: F821  IPython's builtin
    for name in [name for name in sys.modules if name.partition(".")[0] == "course_lib"]:
        del sys.modules[name]
    keras.backend.clear_session()
    matplotlib.pyplot.close("all")
    matplotlib.rcdefaults()
    os.environ.clear()
    os.environ.update(ENVIRONMENT)
    sys.path[:] = PATH
    os.chdir(folder)


keras.ops.zeros(1)
FIRST, ENVIRONMENT, PATH = snapshot(), dict(os.environ), list(sys.path)
