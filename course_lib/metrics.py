"""How a classifier is judged. Plain NumPy, so that it runs on any backend's results."""

import numpy as np


def _scores_and_labels(scores, labels):
    scores, labels = np.asarray(scores, "float64"), np.asarray(labels)
    if scores.ndim != 2:
        raise ValueError(f"scores has shape {scores.shape}; allowed: (images, classes).")
    if np.isnan(scores).any():
        bad = int(np.isnan(scores).any(axis=1).sum())
        raise ValueError(f"scores holds NaN for {bad} of {len(scores)} images.")
    _check_labels(labels, len(scores), scores.shape[1])
    return scores, labels


def _check_labels(labels, images, classes):
    if labels.shape != (images,):
        raise ValueError(f"labels has shape {labels.shape}; allowed: ({images},), one an image.")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels has type {labels.dtype}; allowed: integers, the class numbers.")
    if images and not (0 <= labels.min() and labels.max() < classes):
        raise ValueError(
            f"labels run from {labels.min()} to {labels.max()}; allowed: 0 to {classes - 1}."
        )


def top_k_error(scores, labels, k=1):
    """Return the share of images whose label is not among the k highest scores.

    Ties count against the model: a class that scores as high as the label is ranked before it.
    A network that gives every class the same score therefore has an error of 1 for every
    k below the number of classes.

    Args:
        scores: (images, classes); logits or probabilities.
        labels: (images,), class numbers.
        k: number of guesses, 1 to the number of classes.

    Source: Russakovsky et al. 2015, arXiv:1409.0575, for k = 5.

    Raises:
        ValueError: a shape, a type, a label or k is not as above; scores holds NaN.
    """
    scores, labels = _scores_and_labels(scores, labels)
    if not isinstance(k, (int, np.integer)) or not 1 <= k <= scores.shape[1]:
        raise ValueError(
            f"k is {k!r}; allowed: an integer from 1 to {scores.shape[1]}, the classes."
        )
    if not len(labels):
        raise ValueError("scores and labels are empty; an error needs at least one image.")
    own = scores[np.arange(len(labels)), labels][:, None]
    rank = (scores >= own).sum(axis=1)
    return float((rank > k).mean())


def confusion_matrix(labels, predictions, classes):
    """Count images by true class (row) and predicted class (column).

    Args:
        labels, predictions: (images,), class numbers.
        classes: number of classes.

    Returns:
        (classes, classes) integers; the sum is the number of images.

    Raises:
        ValueError: a shape, a type or a class number is not as above.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    _check_labels(labels, len(labels), classes)
    _check_labels(predictions, len(labels), classes)
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (labels, predictions), 1)
    return counts


def confidence_interval(error, n, z=1.96):
    """Return the Wilson score interval (low, high) of an error share measured on n images.

    Args:
        error: share of wrong images, 0 to 1.
        n: number of images.
        z: normal quantile; 1.96 gives 95 %.

    Source: Wilson 1927, Journal of the American Statistical Association 22, 209-212.

    Raises:
        ValueError: the error is not within 0 to 1, or n is less than 1.
    """
    if not 0 <= error <= 1:
        raise ValueError(f"error is {error!r}; allowed: 0 to 1 (a share, not percent).")
    if n < 1:
        raise ValueError(f"n is {n!r}; allowed: at least 1 image.")
    centre = (error + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * ((error * (1 - error) + z * z / (4 * n)) / n) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def half_interval(runs):
    """Return half the length of the 95 % interval of the mean of several runs (Student's t).

    Args:
        runs: one number a run, or (runs, ...) for many means at once; at least two runs.
    """
    from scipy import stats

    return stats.t.ppf(0.975, len(runs) - 1) * stats.sem(runs, axis=0)


def pareto_front(costs, values):
    """Return which contenders none beats: no other is at most as costly and better.

    Of two with the same cost only the better is on the front, of two with the same value only
    the cheaper; two that agree in both are both on it.

    Args:
        costs: one number a contender; low is good (parameters, multiply-adds, an error).
        values: one number a contender; high is good (an accuracy).

    Returns:
        Their indices, the cheapest first.

    Raises:
        ValueError: the lengths differ, or a number is nan.
    """
    costs, values = np.asarray(costs, "float64"), np.asarray(values, "float64")
    if costs.ndim != 1 or costs.shape != values.shape:
        raise ValueError(
            f"costs has shape {costs.shape} and values {values.shape}; allowed: one number a "
            "contender in each."
        )
    if np.isnan(costs).any() or np.isnan(values).any():
        raise ValueError("costs or values holds NaN; leave such contenders out.")
    beaten = (costs <= costs[:, None]) & (values >= values[:, None])
    beaten &= (costs < costs[:, None]) | (values > values[:, None])
    front = np.flatnonzero(~beaten.any(axis=1))
    return front[np.argsort(costs[front], kind="stable")].tolist()


def near_duplicates(pictures, known, correlation=0.99):
    """Say which pictures are nearly one of the known ones.

    Args:
        pictures, known: (n, height, width, channels); both of one shape but for n. In Fashion-MNIST
            a correlation of 0.99 is, by eye, the same product once more.
        correlation: of the pixels of two pictures, from which on they count as the same.

    Returns:
        (n,) bool, one for each of `pictures`.

    Raises:
        ValueError: the shapes differ.
    """
    if pictures.shape[1:] != known.shape[1:]:
        raise ValueError(f"pictures are {pictures.shape[1:]}, the known ones {known.shape[1:]}.")

    parts = _correlations(pictures, known)
    return np.concatenate([part.max(axis=1) >= correlation for part in parts])


def duplicate_groups(pictures, correlation=0.99):
    """Number the pictures so that those which are the same, or nearly, share a number.

    Pictures of one grey are the same where the grey is.

    Args:
        pictures: (n, height, width, channels).
        correlation: as in `near_duplicates`.

    Returns:
        (n,) integers.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    links = [(part >= correlation).nonzero() for part in _correlations(pictures, pictures)]
    rows = [rows + 1000 * i for i, (rows, _) in enumerate(links)]
    columns = [columns for _, columns in links]
    flat = np.flatnonzero(np.ptp(pictures.reshape(len(pictures), -1), axis=1) == 0)
    for value in np.unique(pictures[flat, 0, 0, 0]):
        same = flat[pictures[flat, 0, 0, 0] == value]
        rows.append(same)
        columns.append(np.full(len(same), same[0]))
    rows, columns = np.concatenate(rows), np.concatenate(columns)
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(pictures),) * 2)
    return connected_components(graph, directed=False)[1]


def _correlations(pictures, known):
    """Yield the correlations of the pixels, (1000 or fewer of the pictures, all known ones)."""

    def directions(images):
        rows = images.reshape(len(images), -1).astype("float32")
        rows = rows - rows.mean(axis=1, keepdims=True)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    known = directions(known).T
    for part in np.split(directions(pictures), range(1000, len(pictures), 1000)):
        yield part @ known
