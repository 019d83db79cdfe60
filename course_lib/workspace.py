"""The learner's own copies of chapters and assignments, which an update never overwrites."""

from pathlib import Path


def _copy(source, target):
    """Copy one file unless the target exists; return whether it was copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(target, "xb") as new:
            new.write(source.read_bytes())
    except FileExistsError:
        return False
    return True


def own_copy(chapter, folder="my_work", *, root=None):
    """Copy a chapter, and its assignment if it has one, to a folder of your own.

    The folder has the layout of `notebooks/`, so a chapter's link to its assignment leads to
    your copy of it. A file that exists is never changed: to start again, rename or delete it.

    Args:
        chapter: the notebook's name, for example "04_alexnet".
        folder: where the copies go, inside the checkout unless the path is absolute.
        root: the checkout; by default the one that `course_lib` is imported from.

    Returns:
        The `Path` of your copy of the chapter.

    Raises:
        ValueError: there is no such chapter.
        FileNotFoundError: `course_lib` was installed without a checkout, as in Colab.
    """
    notebooks = Path(root or Path(__file__).parents[1], "notebooks")
    if not notebooks.is_dir():
        raise FileNotFoundError(
            f"There are no notebooks beside this copy of course_lib ({Path(__file__).parent}). "
            "In Colab, make your own copy with File > Save a copy in Drive. On your own machine, "
            "clone the repository and work in its environment."
        )
    known = sorted(path.stem for path in notebooks.glob("[0-9][0-9]_*.ipynb"))
    if chapter not in known:
        raise ValueError(f"There is no chapter {chapter!r}. Chapters: {', '.join(known)}.")
    own = notebooks.parent / folder
    for picture in (notebooks / "images").glob("*"):
        _copy(picture, own / "images" / picture.name)
    for name in (f"{chapter}.ipynb", f"assignments/{chapter}.ipynb"):
        if (notebooks / name).exists():
            made = _copy(notebooks / name, own / name)
            happened = "is now your own copy" if made else "is there already and stays as it is"
            print(f"{Path(folder, name).as_posix()} {happened}.")
    return own / f"{chapter}.ipynb"
