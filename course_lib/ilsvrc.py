"""The ImageNet challenge at home: its picture pipeline, and a judge for files of five guesses.

Pictures are NumPy arrays (height, width, 3), uint8 or float in [0, 1].
Sources: Russakovsky et al. 2015, arXiv:1409.0575; Krizhevsky et al. 2012 (AlexNet), sec. 2 and 4.1.
"""

import csv
from pathlib import Path

import numpy as np
from PIL import Image


def _picture(image):
    """Return the picture as float32 in [0, 1], or say what is wrong with it."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(f"image has shape {image.shape}; allowed: (height, width, 3).")
    if image.dtype == np.uint8:
        return image.astype("float32") / 255
    if not np.issubdtype(image.dtype, np.floating) or not 0 <= image.min() <= image.max() <= 1:
        raise ValueError(
            f"image has type {image.dtype} and values {image.min()} to {image.max()}; "
            "allowed: uint8, or floating point from 0 to 1."
        )
    return image.astype("float32")


def resize_shorter_side(image, side=256):
    """Scale a picture, keeping its proportions, so that its shorter side has `side` pixels.

    Returns:
        (height', width', 3) float32 in [0, 1].

    Source: AlexNet sec. 2.
    """
    image = _picture(image)
    scale = side / min(image.shape[:2])
    height, width = (max(side, round(s * scale)) for s in image.shape[:2])
    bytes_ = Image.fromarray((image * 255).round().astype("uint8"))
    return np.asarray(bytes_.resize((width, height), Image.Resampling.BILINEAR), "float32") / 255


def crop(image, top, left, side=224):
    """Cut out a square whose upper left corner is at (top, left), in pixels.

    Raises:
        ValueError: the square does not lie inside the picture, or the picture is too small.
    """
    image = _picture(image)
    height, width = image.shape[:2]
    if side > min(height, width):
        raise ValueError(
            f"the picture of {height} x {width} is smaller than the square of {side} pixels; "
            "resize_shorter_side makes it larger."
        )
    if not (0 <= top <= height - side and 0 <= left <= width - side):
        raise ValueError(
            f"a square of {side} pixels at ({top}, {left}) leaves the picture of "
            f"{height} x {width}; allowed: top 0 to {height - side}, left 0 to {width - side}."
        )
    return image[top : top + side, left : left + side]


def centre_crop(image, side=224):
    """Cut out the square in the middle."""
    height, width = _picture(image).shape[:2]
    return crop(image, (height - side) // 2, (width - side) // 2, side)


def random_crop_and_flip(image, rng, side=224):
    """Cut out a square at a random place and mirror it with probability one half.

    Args:
        rng: a `numpy.random.Generator`.

    Raises:
        ValueError: the picture is smaller than the square.

    Source: AlexNet sec. 4.1, first form of augmentation.
    """
    height, width = _picture(image).shape[:2]
    top, left = (rng.integers(max(length - side, 0) + 1) for length in (height, width))
    square = crop(image, top, left, side)
    return square[:, ::-1] if rng.random() < 0.5 else square


def colour_components(images):
    """Return how the colours of a set of pictures vary together.

    Args:
        images: pictures; every pixel counts the same.

    Returns:
        (values, vectors): the eigenvalues (3,), largest first, and the eigenvectors (3, 3), one
        a column, of the covariance matrix of red, green and blue on the 0 to 1 scale. Each
        vector is turned so that its sum is positive: towards more light.

    Source: AlexNet sec. 4.1, second form of augmentation.
    """
    pixels = np.concatenate([_picture(image).reshape(-1, 3) for image in images])
    values, vectors = np.linalg.eigh(np.cov(pixels.T))
    vectors = vectors * np.where(vectors.sum(axis=0) < 0, -1, 1)
    return values[::-1], vectors[:, ::-1]


def shift_colours(image, values, vectors, strengths):
    """Add one colour to every pixel: the components, each times its eigenvalue and strength.

    Args:
        values, vectors: from `colour_components`.
        strengths: three numbers; the paper draws them from N(0, 0.1^2) anew for each use.

    Returns:
        The picture, clipped to [0, 1].
    """
    shift = np.asarray(vectors) @ (np.asarray(strengths) * np.asarray(values))
    return np.clip(_picture(image) + shift.astype("float32"), 0, 1)


def ten_crops(image, side=224):
    """Return the four corners, the centre, and their mirror images: (10, side, side, 3).

    Source: AlexNet sec. 4.1; the ten outputs of the network are averaged.
    """
    height, width = _picture(image).shape[:2]
    bottom, right = height - side, width - side
    places = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    squares = np.stack([crop(image, top, left, side) for top, left in places])
    return np.concatenate([squares, squares[:, :, ::-1]])


def write_guesses(file, scores, k=5):
    """Write the k best classes of each image, best first, as lines "image,guess1,...,guessk".

    Args:
        file: where to write.
        scores: (images, classes); logits or probabilities.

    Raises:
        ValueError: k is not 1 to the number of classes.
    """
    scores = np.asarray(scores)
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"k is {k}; allowed: 1 to {scores.shape[1]}, the number of classes.")
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    with open(file, "w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["image", *(f"guess{i + 1}" for i in range(k))])
        writer.writerows([i, *row] for i, row in enumerate(best.tolist()))


def score_guesses(file, labels, classes):
    """Judge a file of guesses as the challenge did.

    Args:
        file: what `write_guesses` writes; the order of the lines does not matter.
        labels: (images,) the annotated class numbers.
        classes: number of classes.

    Returns:
        {"top1": error, "topk": error, "k": guesses a line, "images": n}. Errors are shares of 1.

    Raises:
        ValueError: the file is missing, or a line is not a known image with k different class
            numbers; the message names file, line and what is wrong.
    """
    labels = np.asarray(labels)
    file = Path(file)
    if not file.is_file():
        raise ValueError(f"{file} does not exist; write_guesses makes such a file.")
    with open(file, newline="", encoding="utf-8") as lines:
        rows = list(csv.reader(lines))
    if not rows or rows[0][:2] != ["image", "guess1"]:
        raise ValueError(f"{file} line 1 must read image,guess1,guess2,...")
    k = len(rows[0]) - 1
    guesses = {}
    for number, row in enumerate(rows[1:], 2):
        where = f"{file} line {number}"
        try:
            image, *guess = map(int, row)
        except ValueError:
            raise ValueError(f"{where} holds something that is not a whole number: {row}") from None
        if not 0 <= image < len(labels):
            raise ValueError(
                f"{where}: there is no image {image}; allowed: 0 to {len(labels) - 1}."
            )
        if image in guesses:
            raise ValueError(f"{where}: image {image} is guessed a second time.")
        if len(guess) != k or len(set(guess)) != k:
            raise ValueError(f"{where}: {guess}; allowed: {k} different classes.")
        if not all(0 <= g < classes for g in guess):
            raise ValueError(f"{where}: {guess}; allowed: class numbers 0 to {classes - 1}.")
        guesses[image] = guess
    if len(guesses) != len(labels):
        missing = next(i for i in range(len(labels)) if i not in guesses)
        raise ValueError(
            f"{file} has guesses for {len(guesses)} of {len(labels)} images; image {missing} is "
            "the first without."
        )
    ordered = np.array([guesses[i] for i in range(len(labels))])
    right = ordered == labels[:, None]
    return {
        "top1": float(1 - right[:, 0].mean()),
        "topk": float(1 - right.any(axis=1).mean()),
        "k": k,
        "images": len(labels),
    }
