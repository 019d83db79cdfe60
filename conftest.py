"""What pytest needs here: the maintainers' scripts can be imported, and notebooks that nbval
collects anywhere in this checkout follow tests/nbval_tolerance.py."""

import os
import re
import sys
from pathlib import Path

# Before NumPy loads: two workers share two cores, and its threads would wait for each other. With
# one thread the NumPy trainings take a fifth of the processor's time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from xdist.scheduler import LoadScopeScheduling

import course_lib  # noqa: F401  first: it sets what TensorFlow reads when it loads

for folder in ("scripts", "tests"):
    sys.path.insert(0, str(Path(__file__).parent / folder))

pytest_plugins = ["nbval_tolerance"]

# Long files whose tests share nothing: the workers divide them test by test.
DIVIDED = ("test_assignments.py", "test_papers.py")
# But the tests of one assignment share networks of the course's, which each worker makes anew.
ASSIGNMENT = re.compile(r"test_assignments\.py::.*\b(\d\d_[a-z]+)[-\]]")


class ByFile(LoadScopeScheduling):
    """Keeps the tests of any other file, of an assignment, and of a notebook on one worker."""

    def _split_scope(self, nodeid):
        path = nodeid.partition("::")[0]
        found = ASSIGNMENT.search(nodeid)
        return found[1] if found else nodeid if path.endswith(DIVIDED) else path


def pytest_xdist_make_scheduler(config, log):
    return ByFile(config, log)
