"""What the programs of benchmarks/ measured, read by name."""

import json
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def folder():
    """Return where the results are: benchmarks/results of a checkout, else the installed copy."""
    if (_HERE.parent / "pyproject.toml").is_file():
        return _HERE.parent / "benchmarks" / "results"
    return _HERE / "measured"


def load(name):
    """Return the results of one benchmark, as its program wrote them.

    Args:
        name: the file's, without ".json".

    Raises:
        ValueError: there is no such file; the message lists those there are.
    """
    file = folder() / f"{name}.json"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in folder().glob("*.json")))
        raise ValueError(f"no benchmark {name!r}; allowed: {known}")
    return json.loads(file.read_text(encoding="utf-8"))
