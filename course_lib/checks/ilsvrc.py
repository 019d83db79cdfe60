"""The exercises of assignment 03: judging guesses, and preparing photographs as the challenge did.

Facts: Russakovsky et al. 2015, arXiv:1409.0575; Wilson 1927; Krizhevsky et al. 2012, sec. 4.1.
"""

import numpy as np

from course_lib.checks import Mistake, assignment, expect, numbers, parts, recognise, same, shaped

exercise = assignment("03_ilsvrc")


def several(result, names):
    """Return the numbers that an answer should return, as an array."""
    return np.array([shaped(v, (), n) for v, n in zip(parts(result, names), names, strict=True)])


@exercise(
    section="The rule: five guesses",
    correct="the curve falls, and ends at 0: with all classes guessed nobody is wrong.",
    hints=(
        "The rank of a label is the number of classes, itself included, whose score is at least "
        "as high as its own. With k guesses a picture is wrong if its rank is greater than k.",
        "own = scores[np.arange(len(labels)), labels] picks the score of each label. Compare "
        "scores >= own[:, None] and add up along axis 1: that is the rank.",
    ),
)
def error_curve(answer):
    rng = np.random.default_rng(3)
    scores, labels = rng.integers(0, 6, size=(25, 7)).astype(float), rng.integers(0, 7, size=25)
    n, classes = scores.shape
    own = scores[np.arange(n), labels]
    k = np.arange(1, classes + 1)

    def curve(rank):
        return np.array([np.sum(rank > guesses) for guesses in k]) / n

    ordered = np.sort(scores, axis=1)
    rank = np.array(
        [classes - np.searchsorted(r, o, "left") for r, o in zip(ordered, own, strict=True)]
    )
    lucky = np.array(
        [classes + 1 - np.searchsorted(r, o, "right") for r, o in zip(ordered, own, strict=True)]
    )
    right = curve(rank)
    upwards = np.array([np.searchsorted(r, o, "right") for r, o in zip(ordered, own, strict=True)])
    found = numbers(answer(scores, labels), "The curve")
    recognise(
        found,
        {
            "ties are decided for the model. A class that scores as high as the label is ranked "
            "before it: compare with >=.": curve(lucky),
            "these are the shares that are right. The error is the share that is wrong.": 1 - right,
            "the errors are in percent. Return shares between 0 and 1.": 100 * right,
            "these are numbers of pictures. Divide by how many there are.": n * right,
            "every error stands one place too late. With k guesses wrong is rank > k, and k begins "
            "at 1.": curve(rank + 1),
            "these are the shares whose label stands exactly at rank k. Wrong are all that stand "
            "further down.": np.array([np.mean(rank == guesses) for guesses in k]),
            "the lowest score is ranked first. Rank the highest first.": curve(upwards),
            "the last error is missing: go up to as many guesses as there are classes.": right[:-1],
            "there is an error for 0 guesses in front. Begin with one guess.": np.append(1, right),
        },
        1e-5,
    )
    for kind in ("quicksort", "stable"):
        for order in (
            np.argsort(-scores, axis=1, kind=kind),
            np.argsort(scores, axis=1, kind=kind)[:, ::-1],
        ):
            place = order[np.arange(n), labels]
            recognise(
                found,
                {
                    "argsort gives the classes in the order of their scores, not the rank of each "
                    "class. The rank is the place at which the label stands in that order.": (
                        curve(place + 1)
                    ),
                    "argsort gives the classes in the order of their scores, not their ranks; and "
                    "a rank begins at 1.": curve(place),
                },
                1e-5,
            )
    between = found.shape == right.shape and np.all((curve(lucky) <= found) & (found <= right))
    if between and not same(found, right, 1e-5):
        raise Mistake(
            "some ties are decided for the model, by the order of the classes: sorting has to put "
            "one of two equal scores first. Compare scores instead."
        )
    expect(found, right, {}, "The curve")
    equal = np.zeros((4, 5))
    expect(
        answer(equal, np.array([0, 4, 2, 0])),
        [1.0, 1.0, 1.0, 1.0, 0.0],
        {},
        "For a network that gives every class the same score, the curve",
    )


FILE = """\
image,guess1,guess2,guess3,guess4,guess5
5,9,3,0,6,1
2,4,7,2,8,0
7,1,0,5,3,8
0,6,1,9,4,2
3,8,2,7,5,9
6,2,6,4,0,7
1,5,9,8,1,3
4,0,4,6,7,2
"""
LABELS = np.array([6, 9, 4, 3, 7, 1, 2, 9])


def refuses(answer, text, labels, file, reason):
    """Raise `Mistake` unless the answer raises ValueError for a text that breaks a rule."""
    try:
        answer.function(text, labels.copy())
    except ValueError as error:
        if not str(error).strip():
            raise Mistake(
                f"{file} is refused without a word. Say in the ValueError what is wrong, so that "
                "the team can mend it."
            ) from None
        return
    except Exception as error:
        raise Mistake(
            f"{file} should be refused with a ValueError, but {answer.explain(error)}"
        ) from None
    raise Mistake(f"{file} is accepted: {reason}")


@exercise(
    section="A judge of our own",
    correct="it scores a file in any order, and turns away what breaks the rules.",
    hints=(
        "Make a dictionary of picture -> guesses: image, *guess = map(int, line.split(',')). Then "
        "the order of the lines does not matter.",
        "Before you store a line, see whether its picture is in the dictionary already, and "
        "whether len(guess) and len(set(guess)) are 5. After the last line, see whether a picture "
        "is missing.",
        "top-1 compares guess[0] with the label of the picture, top-5 asks whether the label is in "
        "guess. np.mean of True and False is a share.",
    ),
)
def judge(answer):
    rows = np.array([line.split(",") for line in FILE.splitlines()[1:]], dtype=int)
    image, guess = rows[:, 0], rows[:, 1:]

    def errors(guesses, labels):
        hit = guesses == labels[:, None]
        return np.array([1 - hit[:, 0].mean(), 1 - hit.any(axis=1).mean()])

    right = np.array([5, 2]) / 8  # by hand: first guess right in 0, 2, 6; no guess in 3 and 7
    expect(
        several(answer(FILE, LABELS), ("top1_error", "top5_error")),
        right,
        {
            "the label is taken in the order of the lines. A line belongs to the picture that it "
            "names first: labels[image].": errors(guess, LABELS),
            "these are the shares that are right. An error is the share that is wrong.": 1 - right,
            "the errors are in percent. Return shares between 0 and 1.": 100 * right,
            "these are numbers of pictures. Divide by how many there are.": 8 * right,
            "the order is wrong: first the top-1 error, then the top-5 error.": right[::-1],
            "everything is wrong: '6' and 6 are not equal. Turn the parts of a line into numbers "
            "with int().": [1, 1],
            "the number of the picture counts as a guess. The guesses begin after it.": (
                errors(rows, LABELS[image])
            ),
            "the top-5 error counts the number of the picture as a guess. The guesses begin after "
            "it.": [right[0], errors(rows, LABELS[image])[1]],
            "the top-5 error leaves out the best guess. It is one of the five.": (
                [right[0], errors(guess[:, 1:], LABELS[image])[1]]
            ),
            "the top-1 error looks at the last guess. The best guess comes first.": (
                [errors(guess[:, ::-1], LABELS[image])[0], right[1]]
            ),
            "the first line counts as a picture. It holds the names of the columns.": right * 8 / 9,
        },
        "The pair of errors",
    )
    lines = FILE.splitlines(keepends=True)
    cases = (
        (
            FILE + "3,7,2,8,5,9\n",
            "a file with two lines for picture 3",
            "a team could send many guesses and keep the best.",
        ),
        (
            "".join(lines[:4] + lines[5:]),
            "a file without a line for picture 0",
            "a team could leave out what is difficult.",
        ),
        (
            FILE.replace("\n3,", "\n4,"),
            "a file with two lines for picture 4 and none for 3",
            "count the lines of every picture, not the lines.",
        ),
        (
            FILE.replace("8,2,7,5,9", "8,2,7,5,8"),
            "a line that guesses class 8 twice",
            "the five guesses must differ.",
        ),
        (FILE.replace("8,2,7,5,9", "8,2,7,5"), "a line of four guesses", "there must be five."),
        (FILE.replace("8,2,7,5,9", "8,2,7,5,9,0"), "a line of six guesses", "there must be five."),
        (
            FILE.replace("8,2,7,5,9", "8,2,7,5,9,8"),
            "a line of six guesses with one class twice",
            "there must be five; len(set(guess)) alone lets this through.",
        ),
    )
    for text, file, reason in cases:
        refuses(answer, text, LABELS, file, reason)


@exercise(
    section="What happened: the winners, and one person",
    correct="4.1 to 6.4 % for 77 of 1,500 pictures, 0.9 to 23.6 % for 1 of 20. An error is worth "
    "as much as the number of pictures behind it.",
    hints=(
        "p = wrong / n is the share. Write the formula in three pieces: what stands before the "
        "plus-minus, the root with its factor z, and the denominator.",
        "centre = p + z**2 / (2 * n), half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)). "
        "Then centre - half and centre + half, both divided by 1 + z**2 / n.",
    ),
)
def interval(answer):
    cases = ((77, 1500), (1, 20), (30, 40), (0, 50))
    wrong, n = np.array(cases, dtype=float).T
    p = wrong / n

    def bounds(z):
        """The shares x whose distance from p is z of their own deviations: a quadratic."""
        square = z**2 / n
        pairs = [
            np.sort(np.roots([1 + s, -2 * share - s, share**2]).real)
            for s, share in zip(square, p, strict=True)
        ]
        return np.array(pairs)

    z = 1.96
    right = bounds(z)
    plain = z * np.sqrt(p * (1 - p) / n)
    shift, bottom = z**2 / (2 * n), 1 + z**2 / n
    centre = p + shift
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))

    def around(middle, width):
        return np.stack([middle - width, middle + width], axis=1)

    got = np.array([several(answer(*case), ("low", "high")) for case in cases])
    if np.isnan(got).any():
        raise Mistake(
            "nan came back, the root of a negative number. p is the share wrong / n, between 0 and "
            "1, not the number of wrong pictures."
        )
    recognise(
        got,
        {
            "this is the simple interval, p plus or minus z times the root of p * (1 - p) / n. For "
            "no wrong picture it has no width.": around(p, plain),
            "z is 1.645, which gives 90 %. Take 1.96.": bounds(1.645),
            "z is 2.576, which gives 99 %. Take 1.96.": bounds(2.576),
            "z is 1, which gives 68 %. Take 1.96.": bounds(1),
            "the factor z before the root is missing.": around(centre, half / z) / bottom[:, None],
            "the root is not taken.": around(centre, half**2 / z) / bottom[:, None],
            "the division by 1 + z^2 / n is missing.": around(centre, half),
            "only the root is divided by 1 + z^2 / n. Divide the whole numerator.": (
                around(centre, half / bottom)
            ),
            "z^2 / (2 n) is missing before the root: the middle is not p itself.": (
                around(p, half) / bottom[:, None]
            ),
            "in the root, n is not squared: z^2 / (4 n^2).": (
                around(centre, z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n))) / bottom[:, None]
            ),
            "the bounds are in percent. Return shares between 0 and 1.": 100 * right,
            "the order is wrong: first the lower bound, then the upper.": right[:, ::-1],
            "this is the middle and half of the width. Return the bounds, middle minus half and "
            "middle plus half.": np.stack([centre, half], axis=1) / bottom[:, None],
        },
        1e-4,
    )
    for case, pair, wanted in zip(cases, got, right, strict=True):
        expect(pair, wanted, what=f"interval{case}", tolerance=1e-4)


@exercise(
    section="From a photograph to the input of a network",
    correct="300 x 451 becomes 256 x 385, and the square begins at row 16, column 80.",
    hints=(
        "Both sides are multiplied by the same number: shorter / min(height, width).",
        "After scaling, new_height - side rows are left over. Half of them, rounded down with "
        "// 2, lie above the square. The same holds for the columns.",
    ),
)
def scale_and_crop(answer):
    photographs = np.array(
        [
            [300, 451, 256, 224],
            [640, 427, 256, 224],
            [512, 512, 256, 224],
            [375, 500, 256, 224],
            [100, 155, 32, 28],
            [300, 453, 256, 224],
            [512, 512, 256, 227],
        ]
    )
    height, width, shorter, side = photographs.T
    names = ("new_height", "new_width", "top", "left")

    def nearest(a, b, c):
        """a * b / c, rounded to the nearest whole number, without fractions."""
        return (2 * a * b + c) // (2 * c)

    def place(high, wide, top=None, left=None):
        top = (high - side) // 2 if top is None else top
        left = (wide - side) // 2 if left is None else left
        return np.stack([high, wide, top, left], axis=1)

    short, long = np.minimum(height, width), np.maximum(height, width)
    high, wide = nearest(height, shorter, short), nearest(width, shorter, short)
    right = place(high, wide)
    got = np.array([several(answer(*map(int, photo)), names) for photo in photographs])
    recognise(
        got,
        {
            "the longer side is scaled to `shorter` pixels. Scale the shorter one: min.": (
                place(nearest(height, shorter, long), nearest(width, shorter, long))
            ),
            "both sides get `shorter` pixels, which squeezes the photograph. Keep the "
            "proportions.": place(shorter, shorter),
            "the height is always scaled to `shorter` pixels. Take the shorter side, which may be "
            "the width.": place(shorter, nearest(width, shorter, height)),
            "the other side is cut off, not rounded: use round().": (
                place(height * shorter // short, width * shorter // short)
            ),
            "the other side is not a whole number: use round().": (
                place(height * shorter / short, width * shorter / short)
            ),
            "the photograph keeps its size. Scale it first.": place(height, width),
            "height and width are swapped.": place(wide, high),
            "top and left are swapped: top goes with the height.": (
                place(high, wide, (wide - side) // 2, (high - side) // 2)
            ),
            "the square lies in the upper left corner. Put it in the middle.": (
                place(high, wide, 0 * high, 0 * high)
            ),
            "this is the middle of the photograph. Return the corner of the square around it.": (
                place(high, wide, high // 2, wide // 2)
            ),
            "all that is left over lies above and to the left. Half of it should.": (
                place(high, wide, high - side, wide - side)
            ),
            "the square is placed in the photograph before it was scaled.": (
                place(high, wide, (height - side) // 2, (width - side) // 2)
            ),
            "half a pixel is rounded up. Round the corner down: // 2.": (
                place(high, wide, (high - side + 1) // 2, (wide - side + 1) // 2)
            ),
            "half a pixel is rounded with round(), which goes to the even number: 81.5 becomes 82. "
            "Round the corner down: // 2.": (
                place(high, wide, np.rint((high - side) / 2), np.rint((wide - side) / 2))
            ),
            "halving both before subtracting cuts off twice. Subtract first: (new - side) // 2.": (
                place(high, wide, high // 2 - side // 2, wide // 2 - side // 2)
            ),
            "the corner is not always a whole number: divide with // 2.": (
                place(high, wide, (high - side) / 2, (wide - side) / 2)
            ),
        },
    )
    for photo, four, wanted in zip(photographs.tolist(), got, right, strict=True):
        for name, value, correct in zip(names, four, wanted.tolist(), strict=True):
            expect(value, correct, what=f"{name} of scale_and_crop{tuple(photo)}")


def softmax(z, axis=-1):
    return np.exp(z) / np.exp(z).sum(axis=axis, keepdims=True)


@exercise(
    section="From a photograph to the input of a network",
    correct="ten answers, one average. In the paper it takes the top-5 error from 18.3 to 17.0 %.",
    hints=(
        "A square starts at a row and a column: (0, 0) is the upper left corner, (height - side, "
        "width - side) the lower right one, and half of that the centre.",
        "np.stack the five squares to (5, side, side, 3); [:, :, ::-1] mirrors them left to "
        "right. np.concatenate both, and ask the network once.",
        "Softmax along axis 1, for each square by itself; then the mean along axis 0.",
    ),
)
def ten_crop_test(answer):
    def draw(height, width, side, seed):
        rng = np.random.default_rng(seed)
        weights = rng.normal(size=(side * side * 3, 4)) * 3 / side
        image = rng.random((height, width, 3))

        def network(squares):
            squares = np.asarray(squares, dtype="float64")
            if squares.ndim != 4 or squares.shape[1:] != (side, side, 3):
                raise ValueError(
                    f"the network was given the shape {squares.shape}; it takes (squares, "
                    f"{side}, {side}, 3)"
                )
            return squares.reshape(len(squares), -1) @ weights

        windows = np.lib.stride_tricks.sliding_window_view(image, (side, side), axis=(0, 1))
        squares = np.moveaxis(windows, 2, -1)  # (top, left, side, side, 3)
        return image, network, squares

    def five(squares):
        corners = squares[:: len(squares) - 1, :: squares.shape[1] - 1]
        centre = squares[len(squares) // 2, squares.shape[1] // 2]
        return np.concatenate([corners.reshape(4, *centre.shape), centre[None]])

    side = 5
    image, network, squares = draw(9, 11, side, 1)
    plain = five(squares)
    logits = network(plain), network(np.flip(plain, axis=2))
    both = np.concatenate(logits)
    right = softmax(both).mean(axis=0)
    flat = np.concatenate([logits[0], network(np.flip(plain, axis=1))])
    turned = np.concatenate([logits[0], network(np.flip(plain, axis=(1, 2)))])
    inner = np.concatenate([plain[:1], squares[:4, :6][[0, -1, -1], [-1, 0, -1]], plain[4:]])
    inner = np.concatenate([network(inner), network(np.flip(inner, axis=2))])
    expect(
        answer(image, side, network),
        right,
        {
            "the logits are averaged, and softmax comes last. AlexNet averages the "
            "probabilities.": softmax(both.mean(axis=0)),
            "these are logits. Softmax turns them into probabilities.": both.mean(axis=0),
            "softmax goes along the squares. It belongs along the classes, axis=1.": (
                softmax(both, axis=0).mean(axis=0)
            ),
            "softmax is taken twice.": softmax(softmax(both)).mean(axis=0),
            "the probabilities are averaged, and softmax is taken of them once more.": softmax(
                softmax(both).mean(axis=0)
            ),
            "the probabilities are not averaged: one row for each square came back.": softmax(both),
            "the probabilities are added up. Take their mean.": softmax(both).sum(axis=0),
            "the mean is taken over the classes. Take it over the squares, axis=0.": (
                softmax(both).mean(axis=1)
            ),
            "the highest probability of each class is taken. Take the mean.": (
                softmax(both).max(axis=0)
            ),
            "the mirror images are missing.": softmax(logits[0]).mean(axis=0),
            "only the mirror images are used. The squares themselves belong to the ten.": (
                softmax(logits[1]).mean(axis=0)
            ),
            "the squares are mirrored upside down. Exchange left and right.": (
                softmax(flat).mean(axis=0)
            ),
            "the squares are turned by 180 degrees. Only left and right are exchanged.": (
                softmax(turned).mean(axis=0)
            ),
            "the centre is missing.": softmax(np.delete(both, [4, 9], axis=0)).mean(axis=0),
            "only the centre is used. The corners belong to the ten.": (
                softmax(both[[4, 9]]).mean(axis=0)
            ),
            "the squares at the right and at the bottom lie one pixel too far in: they start at "
            "width - side and height - side.": softmax(inner).mean(axis=0),
        },
        "The result",
    )
    image, network, squares = draw(6, 6, 6, 2)
    both = network(np.stack([image, image[:, ::-1]]))
    expect(
        answer(image, 6, network),
        softmax(both).mean(axis=0),
        {},
        "For a photograph as large as the square the result",
    )
