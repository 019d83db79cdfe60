"""What pytest needs here: the maintainers' scripts can be imported, and notebooks that nbval
collects anywhere in this checkout follow tests/nbval_tolerance.py."""

import sys
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

import course_lib  # noqa: F401  first: it sets what TensorFlow reads when it loads

for folder in ("scripts", "tests"):
    sys.path.insert(0, str(Path(__file__).parent / folder))

pytest_plugins = ["nbval_tolerance"]

# Long files whose tests share nothing: the workers divide them test by test.
DIVIDED = ("test_assignments.py", "test_papers.py")


class ByFile(LoadScopeScheduling):
    """Keeps the tests of any other file, and the cells of a notebook, on one worker in order."""

    def _split_scope(self, nodeid):
        path = nodeid.partition("::")[0]
        return nodeid if path.endswith(DIVIDED) else path


def pytest_xdist_make_scheduler(config, log):
    return ByFile(config, log)
