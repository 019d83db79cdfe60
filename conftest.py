"""Notebooks collected by nbval anywhere in this checkout follow tests/nbval_tolerance.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "tests"))

pytest_plugins = ["nbval_tolerance"]
