"""Colab's kernel has this package loaded, by which notebooks know where they are."""

import google.colab  # noqa: F401
