"""Is this machine ready for the course? Chapter 00 asks; the answer is in plain words."""

import importlib.metadata
import os
import platform
import re
from pathlib import Path

from course_lib.profile import accelerator, has_gpu

# The oldest and the newest version of each package that the tests have passed with; see
# CONTRIBUTING.md. Anything between or near them is expected to work.
VERIFIED = {
    "python": ("3.11", "3.13"),
    "tensorflow": ("2.20", "2.21"),
    "keras": ("3.13", "3.15"),
    "numpy": ("2.1", "2.4"),
    "matplotlib": ("3.10", "3.11"),
    "tensorflow-datasets": ("4.9", "4.9"),
}
MEMORY_NEEDED = 4  # GiB; a chapter's kernel takes up to about 2


def _minor(version):
    """Return (3, 15) for "3.15.1", (4, 0) for "4.0rc1", None for what is no version."""
    found = re.match(r"(\d+)(?:\.(\d+))?", version)
    return found and (int(found[1]), int(found[2] or 0))


def versions():
    """Return {package: installed version, or None} for the packages of `VERIFIED`."""
    found = {"python": platform.python_version()}
    for package in list(VERIFIED)[1:]:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def judge_version(package, version):
    """Return a version's verdict in words: verified, or what to do."""
    oldest, newest = VERIFIED[package]
    if version is None:
        return f"missing; install it with: pip install {package}"
    if _minor(version) is None:
        return f"{version!r} cannot be read as a version; verified are {oldest} to {newest}"
    if _minor(version) < _minor(oldest):
        if package == "python":
            return f"older than the verified {oldest}; install Python {newest} and begin again"
        return f"older than the verified {oldest}; update it with: pip install -U {package}"
    if _minor(version) > _minor(newest):
        return f"newer than the verified {newest}; expected to work"
    return "verified"


def memory():
    """Return this machine's memory in GiB, or None where it cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return None


def peak_memory():
    """Return the most memory that this process has held so far in MiB, or None off Linux.

    (`resource.getrusage` will not do: a new process begins with its parent's peak.)
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return round(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024)


def check(profile):
    """Print whether versions, accelerator, data and memory are fine, and what to do if not.

    Args:
        profile: what `course_lib.start` returned.
    """
    for package, version in versions().items():
        print(f"{package + ':':22}{judge_version(package, version)}")
    if has_gpu():
        print(f"{'accelerator:':22}found")
    else:
        print(f"{'accelerator:':22}none; every chapter runs without one")
        print(" " * 22 + "in Colab: menu Runtime > Change runtime type > T4 GPU > Save")
        print(" " * 22 + "on Linux with an NVIDIA card: make lab GPU=1")
    from course_lib import data

    try:
        splits = data.load()
        print(f"{'data:':22}Fashion-MNIST is here and whole ({splits.classes} classes)")
    except (data.DataError, ValueError) as error:
        print(f"{'data:':22}{error}")
    size = memory()
    if size is None:
        print(f"{'memory:':22}cannot be told; {MEMORY_NEEDED} GiB are needed")
    elif size < MEMORY_NEEDED:
        print(f"{'memory:':22}too little; {MEMORY_NEEDED} GiB are needed, close other programs")
    else:
        print(f"{'memory:':22}enough")
    print(f"{'profile:':22}{profile.name}")


def write_report(profile, file="bug_report.txt"):
    """Write what a bug report needs, exact versions included, and print where it is.

    The text is a file since it differs on every machine, while a chapter's outputs do not.
    """
    import keras

    size = memory()
    lines = [f"{package} {version}" for package, version in versions().items()]
    lines += [
        f"backend {keras.backend.backend()}, profile {profile.name}, accelerator {accelerator()}",
        f"system {platform.platform()}",
        f"cores {os.cpu_count()}, memory {f'{size:.0f} GiB' if size else 'unknown'}",
    ]
    Path(file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"wrote {file}; paste its {len(lines)} lines into your bug report")
