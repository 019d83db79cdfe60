"""The registry: every network of the course by name.

A paper's module ends with VARIANTS, a mapping from name to (builder, arguments).
"""

import difflib
import importlib

PAPERS = (  # after the two chapters that come before the papers
    "mlp",
    "convolution",
    "alexnet",
    "vgg",
    "googlenet",
    "resnet",
    "densenet",
    "mobilenet",
    "squeezenet",
    "shufflenet",
)


def variants(paper=None):
    """Return {name: (builder, arguments)} of one paper, or of all, in the order of the chapters.

    Raises:
        ValueError: the paper is not one of `PAPERS`.
    """
    if paper is not None and paper not in PAPERS:
        raise ValueError(f"paper is {paper!r}; allowed: {', '.join(PAPERS)}.")
    found = {}
    for word in PAPERS if paper is None else (paper,):
        found.update(importlib.import_module(f"course_lib.{word}").VARIANTS)
    return found


def names(paper=None):
    """Return the names that `build` knows, of one paper or of all."""
    return list(variants(paper))


def build(name, **changes):
    """Build the network of that name.

    Args:
        name: a variant's name, for example "alexnet_small".
        changes: builder arguments that replace the variant's own, for example classes=100.

    Raises:
        ValueError: the name is unknown; the message lists the nearest ones.
    """
    for paper in PAPERS:  # imports no more modules than it needs
        known = variants(paper)
        if name in known:
            builder, arguments = known[name]
            return builder(**{**arguments, **changes})
    near = difflib.get_close_matches(name, names(), n=4, cutoff=0.4)
    raise ValueError(
        f"no network is called {name!r}. Nearest: {', '.join(near) or 'none'}. "
        "All names: python -m course_lib.audit --list"
    )
