"""What pytest needs here: the maintainers' scripts can be imported, and notebooks that nbval
collects anywhere in this checkout follow tests/nbval_tolerance.py."""

import sys
from pathlib import Path

import course_lib  # noqa: F401  first: it sets what TensorFlow reads when it loads

for folder in ("scripts", "tests"):
    sys.path.insert(0, str(Path(__file__).parent / folder))

pytest_plugins = ["nbval_tolerance"]
