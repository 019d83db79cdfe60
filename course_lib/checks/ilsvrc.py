"""The exercises of assignment 03: a judge, a leaderboard, and the ways to be first without merit.

Facts: Russakovsky et al. 2015, arXiv:1409.0575; Wilson 1927; Krizhevsky et al. 2012, sec. 4.1.
"""

import numpy as np

from course_lib.checks import (
    Mistake,
    assignment,
    expect,
    networks,
    numbers,
    parts,
    recognise,
    shaped,
    varied,
)

exercise = assignment("03_ilsvrc")


def several(result, names):
    """Return the numbers that an answer should return, as an array."""
    return np.array([shaped(v, (), n) for v, n in zip(parts(result, names), names, strict=True)])


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


LEVELS = ((1.645, 90), (2.326, 98), (2.576, 99), (1, 68), (1.96, 95))  # z and its share in %
Z, _ = varied(
    "03_ilsvrc",
    ("$z = {0}$ it is a {1} % interval", "z = wrong / n, {0}"),
    *((1.96, 95), (1.645, 90), (2.326, 98), (2.576, 99)),
)


@exercise(
    section="What happened: the winners, and one person",
    correct="an error is worth as much as the number of pictures behind it.",
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

    z = Z
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
            **{
                f"z is {other}, which gives {share} %. Take {Z}.": bounds(other)
                for other, share in LEVELS
                if other != Z
            },
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
    (low, high), (lowest, highest) = 100 * right[:2]
    return (
        f"{low:.1f} to {high:.1f} % for 77 of 1,500 pictures, {lowest:.1f} to {highest:.1f} % for "
        "1 of 20."
    )


def wilson(wrong, n, z=Z):
    """The interval of `interval`, as the roots of a quadratic."""
    share, square = wrong / n, z**2 / n
    return np.sort(np.roots([1 + square, -2 * share - square, share**2]).real)


def team_file(labels, first, five, seed):
    """Return the text of a team that is right with so many first guesses, and with five."""
    rng = np.random.default_rng(seed)
    lines = []
    for i, label in enumerate(labels):
        others = rng.permutation([c for c in range(10) if c != label])
        guess = others[:5]
        if i < first:
            guess = np.append(label, others[:4])
        elif i < five:
            guess = np.insert(others[:4], 1 + i % 4, label)
        lines.append(",".join(map(str, [i, *guess])))
    rng.shuffle(lines)
    return "\n".join(["image,guess1,guess2,guess3,guess4,guess5", *lines, ""])


@exercise(
    section="What happened: the winners, and one person",
    correct="a place on a leaderboard is worth as much as the pictures behind it: three teams "
    "cannot be told apart.",
    hints=(
        "Call your judge for each file inside try: ... except ValueError as error, and put "
        "str(error) into the dictionary of the refused.",
        "interval(wrong, n) wants the number of wrong pictures: round(top5 * len(labels)).",
        "Sort by the pair (top-5 error, top-1 error): rows.sort(key=...). A team is level with the "
        "first if the first's error lies within the team's own interval.",
    ),
)
def leaderboard(answer):
    labels = np.random.default_rng(8).integers(0, 10, size=60)
    plans = {"Oslo": (30, 49), "Busan": (34, 54), "Lima": (38, 54), "Turin": (20, 56)}
    plans["Accra"] = (44, 45)
    files = {team: team_file(labels, *plan, seed=i) for i, (team, plan) in enumerate(plans.items())}
    broken = files["Oslo"].splitlines(keepends=True)
    files = {"Quito": "".join([*broken[:3], *broken[4:]]), **files}
    n = len(labels)
    top1 = {team: 1 - first / n for team, (first, _) in plans.items()}
    top5 = {team: 1 - five / n for team, (_, five) in plans.items()}
    order = sorted(plans, key=lambda team: (top5[team], top1[team]))
    rows, refused = parts(answer(files, labels), ("the rows", "the refused"))
    if not isinstance(refused, dict):
        raise Mistake("the refused should be a dictionary: team -> why its file was refused.")
    if not isinstance(rows, (list, tuple)):
        raise Mistake("the rows should be a list, the best team first.")
    names = ("team", "top-5 error", "low", "high", "level")
    rows = [parts(row, names) for row in rows]
    teams = [str(row[0]) for row in rows]
    if "Quito" in teams:
        raise Mistake("a team whose file is refused (Quito lacks a picture) has no place.")
    if sorted(teams) != sorted(order):
        raise Mistake(
            f"the rows name {', '.join(teams) or 'nobody'}; wanted are {', '.join(order)}."
        )
    orders = {
        "the worst comes first. The lowest error should.": order[::-1],
        "the order is that of the top-1 errors. Teams are ranked by the top-5 error.": sorted(
            plans, key=lambda team: (top1[team], top5[team])
        ),
        "the teams stand in the order of the files, not of their errors.": list(plans),
        "two teams have the same top-5 error. The lower top-1 error goes first.": sorted(
            plans, key=lambda team: (top5[team], -top1[team])
        ),
        "the order is that of the alphabet.": sorted(plans),
    }
    for message, wrong_order in orders.items():
        if teams == wrong_order and teams != order:
            raise Mistake(message)
    if teams != order:
        raise Mistake(f"the order is {', '.join(teams)}; it should be {', '.join(order)}.")
    right = np.array([[top5[team], *wilson(n * top5[team], n)] for team in order])
    first = np.array([[top1[team], *wilson(n * top1[team], n)] for team in order])
    got = np.array(
        [[float(shaped(v, (), k)) for v, k in zip(row[1:4], names[1:4])] for row in rows]
    )
    expect(
        got,
        right,
        {
            "the errors and intervals are those of the best guess alone, top-1.": first,
            "the errors are in percent. Return shares between 0 and 1.": 100 * right,
            "the intervals are those of the top-1 errors.": np.c_[right[:, 0], first[:, 1:]],
            "these are the shares that are right. An error is the share that is wrong.": np.c_[
                1 - right[:, 0], [wilson(n - n * top5[team], n) for team in order]
            ],
            "low and high are swapped.": right[:, [0, 2, 1]],
            "interval got the share of wrong pictures in place of their number.": np.c_[
                right[:, 0], [wilson(top5[team], n) for team in order]
            ],
        },
        "The table of error, low and high",
        1e-4,
    )
    best = right[0]
    level = [bool(low <= best[0] <= high) for _, low, high in right]
    found = numbers([row[4] for row in rows], "level")
    expect(
        found.astype(int),
        np.array(level, int),
        {
            "level is True where two intervals overlap. That is too generous: ask whether the "
            "first's error lies within the team's interval.": [
                int(low <= best[2]) for _, low, high in right
            ],
            "level is turned around: True where a team cannot be told from the first.": [
                int(not value) for value in level
            ],
            "level is True only for the first. Others may not be told from it.": [1, 0, 0, 0, 0],
            "level is True where the errors are equal. Ask for the interval.": [
                int(error == best[0]) for error, _, _ in right
            ],
        },
        "level",
    )
    if sorted(refused) != ["Quito"]:
        raise Mistake(f"refused should be Quito alone; these are {', '.join(map(str, refused))}.")
    if not str(refused["Quito"]).strip() or not isinstance(refused["Quito"], str):
        raise Mistake("say why Quito is refused: str(error) of the judge's ValueError.")


def mirrored(pictures):
    return pictures[..., ::-1]


@exercise(
    section="ImageNet: pictures sorted by meaning",
    correct="six of thirty test pictures were known. The error without them is the honest one. "
    "Large data sets are searched like this before a challenge.",
    hints=(
        "Compare every test picture with every training picture at once: "
        "np.abs(test[:, None] - train).max(axis=(2, 3)) is a table of the largest differences.",
        "Do it again with the training pictures mirrored, train[:, :, ::-1]. A test picture leaks "
        "if in one of the two tables its row has a number of at most 0.02.",
        "wrong = guesses != labels. The error of all is wrong.mean(), the honest one is that of "
        "wrong[~leaks].",
    ),
)
def leaked(answer):
    rng = np.random.default_rng(9)
    train, test = rng.random((40, 5, 6)), rng.random((30, 5, 6))
    exact, saved, turned = [4, 17], [9, 22], [2, 28]
    test[exact] = train[[7, 31]]
    test[saved] = np.clip(train[[12, 3]] + rng.uniform(-0.018, 0.018, (2, 5, 6)), 0, 1)
    test[turned] = mirrored(train[[20, 39]])
    test[13] = train[5]
    test[13, 2, 3] = 1 - train[5, 2, 3]  # another picture: one pixel differs by much
    test[14] = train[6, ::-1]  # upside down is another picture
    labels = rng.integers(0, 10, size=30)
    guesses = labels.copy()
    guesses[[0, 5, 8, 11, 20, 25, 13]] += 1  # none of them leaks
    guesses %= 10
    leaks = np.zeros(30, bool)
    leaks[exact + saved + turned] = True
    wrong = guesses != labels
    names = ("the leaking pictures", "the error", "the honest error")
    places, error, honest = parts(answer(train, test, guesses, labels), names)
    places = numbers(places, names[0])
    right = np.flatnonzero(leaks)
    recognise(
        np.sort(places.ravel()),
        {
            "this says of each test picture whether it leaks, or of a sample. Return their "
            "numbers: np.flatnonzero.": np.sort(leaks.astype(int)),
            "these are numbers of training pictures. Return those of test pictures.": np.sort(
                [7, 31, 12, 3, 20, 39]
            ),
            "only exact copies are found. A pixel may differ by up to 0.02.": np.sort(exact),
            "mirrored copies are missed: compare with the training pictures turned left to right "
            "too.": np.sort(exact + saved),
            "copies that were saved again are missed: a pixel may differ by up to 0.02.": np.sort(
                exact + turned
            ),
            "a picture in which one pixel differs by much counts as a copy. Look at the largest "
            "difference, not at the mean.": np.sort(exact + saved + turned + [13]),
            "a picture that is upside down counts as a copy. Only left and right are exchanged.": (
                np.sort(exact + saved + turned + [14])
            ),
            "pictures are turned upside down, and not left to right.": np.sort(
                exact + saved + [14]
            ),
            "these are the pictures that do not leak.": np.flatnonzero(~leaks),
        },
    )
    expect(np.sort(places.ravel()), right, {}, "The list of leaking pictures, sorted,")
    right_error, right_honest = wrong.mean(), wrong[~leaks].mean()
    expect(
        float(shaped(error, (), names[1])),
        right_error,
        {
            "this is the share that is right. An error is the share that is wrong.": 1
            - right_error,
            "this is a number of pictures. Divide by how many there are.": wrong.sum(),
            "the first error is that of all test pictures.": right_honest,
        },
        "The error of all",
    )
    expect(
        float(shaped(honest, (), names[2])),
        right_honest,
        {
            "the honest error is divided by all pictures. Divide by those that do not leak.": (
                wrong[~leaks].sum() / 30
            ),
            "this is the error on the leaking pictures.": wrong[leaks].mean(),
            "this is the share that is right. An error is the share that is wrong.": (
                1 - right_honest
            ),
        },
        "The honest error",
    )


CHOICES = (
    "both rise",
    "only the public score rises",
    "only the fresh score rises",
    "neither rises",
)


def best_of(files, part):
    """Return the score in % of the best of so many files of pure guesses, the mean of 30 trials.

    The best is the one that scores highest on the public pictures.
    """
    if part not in ("public", "fresh"):
        raise Mistake(f"part is {part!r}; allowed: 'public', 'fresh'.")
    if isinstance(files, bool) or not isinstance(files, (int, np.integer)):
        raise Mistake(f"files is {files!r}; allowed: a whole number from 1 to 1000.")
    if not 1 <= files <= 1000:
        raise Mistake(f"files is {files}; allowed: 1 to 1000.")
    rng = np.random.default_rng(12)
    scores = []
    for _ in range(30):
        public, fresh = rng.binomial(100, 0.1, size=(2, files))
        scores.append((public if part == "public" else fresh)[public.argmax()])
    return float(np.mean(scores))


@exercise(
    section="A judge of our own",
    correct="the best of many files is the luckiest. This is why a challenge limits how often a "
    "team may ask the judge, and keeps pictures that nobody has asked about.",
    hints=(
        "predict('...') first, with one of the four sentences. Then ask for one file and for many, "
        "on both parts: measure(1, 'public'), measure(1, 'fresh'), measure(500, 'public') ...",
        "Compare one file with hundreds on each part. A difference below two points is chance.",
    ),
)
def many_files(answer):
    measured, concluded = networks.experiment(answer, CHOICES, best_of)
    found = {}
    for part in ("public", "fresh"):
        counts = sorted(files for files, where in measured if where == part)
        if len(counts) < 2 or counts[-1] < 50 * counts[0]:
            raise Mistake(
                f"on the {part} pictures you measured {counts or 'nothing'}: take one file and, "
                "say, 500, on both parts."
            )
        found[part] = measured[counts[-1], part] - measured[counts[0], part]
    rises = found["public"] > 2, found["fresh"] > 2
    right = CHOICES[{(True, True): 0, (True, False): 1, (False, True): 2}.get(rises, 3)]
    if concluded != right:
        raise Mistake(
            f"from one file to many the public score moved by {found['public']:+.1f} points and "
            f"the fresh one by {found['fresh']:+.1f}; less than two is chance. {concluded!r} does "
            "not fit."
        )
    return networks.tell(answer.name, measured, concluded)


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
