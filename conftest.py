"""What pytest needs here: the maintainers' scripts can be imported, and notebooks that nbval
collects anywhere in this checkout follow tests/nbval_tolerance.py."""

import sys
from pathlib import Path

for folder in ("scripts", "tests"):
    sys.path.insert(0, str(Path(__file__).parent / folder))

pytest_plugins = ["nbval_tolerance"]
