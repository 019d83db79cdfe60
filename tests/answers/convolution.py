"""Answers to assignment 02."""

import functools

import numpy as np

from answers import in_a_class, right, untrained, wrong


def map_shifted_pictures(picture, kernel, bias):
    k = len(kernel)
    rows, columns = picture.shape[0] - k + 1, picture.shape[1] - k + 1
    shifted = (
        kernel[a, b] * picture[a : a + rows, b : b + columns] for a in range(k) for b in range(k)
    )
    return sum(shifted) + bias


# dense_matrix


def matrix_with(pixel=None, place=None):
    """Return an answer in loops: the numbers of the pixel and of the place are given."""

    def answer(kernel, side):
        k = len(kernel)
        m = side - k + 1
        w = np.zeros((side * side, m * m))
        for i, j, a, b in np.ndindex(m, m, k, k):
            row = pixel(i, j, a, b, side, m) if pixel else (i + a) * side + j + b
            w[row, place(i, j, m) if place else i * m + j] = kernel[a, b]
        return w

    return answer


matrix_right = matrix_with()


@wrong("dense_matrix", "rows and columns of W are swapped")
def matrix_transposed(kernel, side):
    return matrix_right(kernel, side).T


@wrong("dense_matrix", "the kernel is turned by 180 degrees")
def matrix_mathematical(kernel, side):
    return matrix_right(kernel[::-1, ::-1], side)


@wrong("dense_matrix", "rows and columns of the kernel are swapped")
def matrix_kernel_transposed(kernel, side):
    return matrix_right(kernel.T, side)


@wrong("dense_matrix", "every place of the map sees the upper left corner")
def matrix_corner(kernel, side):
    return matrix_with(lambda i, j, a, b, side, m: a * side + b)(kernel, side)


@wrong("dense_matrix", "the rows of the kernel follow one another without a gap")
def matrix_without_gap(kernel, side):
    k = len(kernel)
    return matrix_with(lambda i, j, a, b, side, m: i * side + j + a * k + b)(kernel, side)


@wrong("dense_matrix", "the pixels are numbered as if the picture had rows of m pixels")
def matrix_rows_of_m(kernel, side):
    return matrix_with(lambda i, j, a, b, side, m: (i + a) * m + j + b)(kernel, side)


@wrong("dense_matrix", "the places of the map are numbered down the columns")
def matrix_places_down(kernel, side):
    return matrix_with(place=lambda i, j, m: j * m + i)(kernel, side)


@wrong("dense_matrix", "there is a column for every pixel")
def matrix_same_size(kernel, side):
    w = matrix_right(kernel, side + 2).reshape(side + 2, side + 2, -1)
    return w[1:-1, 1:-1].reshape(side * side, -1)


@wrong("dense_matrix", "the window of a place holds ones")
def matrix_of_ones(kernel, side):
    return matrix_right(np.ones_like(kernel), side)


@wrong("dense_matrix", "stops with IndexError")
def matrix_places_of_pixels(kernel, side):
    return matrix_with(place=lambda i, j, m: i * side + j)(kernel, side)


@wrong("dense_matrix", "With k = 2 and side 5, W")
def matrix_for_three(kernel, side):
    return matrix_right(np.pad(kernel, ((0, 3 - len(kernel)),) * 2), side)


@right("dense_matrix")
def matrix_from_pictures(kernel, side):
    w = []
    for number in range(side**2):
        picture = np.zeros((side, side))
        picture[number // side, number % side] = 1
        w.append(map_shifted_pictures(picture, kernel, 0).ravel())
    return w


@right("dense_matrix")
def matrix_shifted_columns(kernel, side):
    k = len(kernel)
    first = np.zeros((side, side))
    first[:k, :k] = kernel
    places = range(side - k + 1)
    return np.stack(
        [np.roll(first, (i, j), (0, 1)).ravel() for i in places for j in places], axis=1
    )


# convolve


def convolution(x, kernel, bias, stride, p, slope, slip=""):
    """Both ways; `slip` names a mistake to make."""
    k, (_, height, width, _) = len(kernel), x.shape
    wide = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    if slip == "below":
        wide = np.pad(x, ((0, 0), (0, 2 * p), (0, 2 * p), (0, 0)))
    y, dx, dkernel = np.zeros(slope.shape), np.zeros(wide.shape), np.zeros(kernel.shape)
    for i, j in np.ndindex(*slope.shape[1:3]):
        step = 1 if slip == "step" else stride
        at = np.s_[:, i * step : i * step + k, j * step : j * step + k]
        window, s = wide[at], slope[:, i, j]
        used = kernel[::-1, ::-1] if slip == "turned" else kernel
        y[:, i, j] = np.einsum("nabc,abco->no", window, used) + bias
        if slip == "back step":
            at = np.s_[:, i : i + k, j : j + k]
        found = np.einsum("nabc,no->abco", wide[at], s)
        dkernel = found if slip == "kernel set" else dkernel + found
        back = np.einsum("no,abco->nabc", s, kernel[::-1, ::-1] if slip == "back" else kernel)
        dx[at] = back if slip == "x set" else dx[at] + back
    if slip == "border":
        return y, dx, dkernel, slope.sum((0, 1, 2))
    first = 0 if slip == "cut" else p
    dx = dx[:, first : first + height, first : first + width]
    return y, dx, dkernel, slope.sum((0, 1, 2))


def convolve_wrong(name, says, slip):
    def answer(*arguments):
        return convolution(*arguments, slip)

    answer.__name__ = answer.__qualname__ = name
    return wrong("convolve", says)(answer)


convolve_turned = convolve_wrong("convolve_turned", "the kernel is turned by 180", "turned")
convolve_step = convolve_wrong("convolve_step", "its windows lie one pixel apart", "step")
convolve_below = convolve_wrong("convolve_below", "at the bottom and on the right only", "below")
convolve_kernel_set = convolve_wrong(
    "convolve_kernel_set", "dkernel has only the last place", "kernel set"
)
convolve_back_step = convolve_wrong(
    "convolve_back_step", "dkernel takes its windows one pixel apart", "back step"
)
convolve_x_set = convolve_wrong("convolve_x_set", "later windows overwrite earlier", "x set")
convolve_back = convolve_wrong("convolve_back", "in dx the kernel is turned", "back")
convolve_border = convolve_wrong("convolve_border", "dx still has the border", "border")
convolve_cut = convolve_wrong("convolve_cut", "dx is cut at the wrong end", "cut")


@wrong("convolve", "the biases are missing")
def convolve_without_bias(x, kernel, bias, stride, padding, slope):
    return convolution(x, kernel, 0 * bias, stride, padding, slope)


@wrong("convolve", "negative sums became 0")
def convolve_relu(*arguments):
    y, *slopes = convolution(*arguments)
    return np.maximum(y, 0), *slopes


@wrong("convolve", "dbias is a mean")
def convolve_mean_bias(*arguments):
    y, dx, dkernel, _ = convolution(*arguments)
    return y, dx, dkernel, arguments[-1].mean((0, 1, 2))


@wrong("convolve", "dbias still has one row a picture")
def convolve_bias_rows(*arguments):
    y, dx, dkernel, _ = convolution(*arguments)
    return y, dx, dkernel, arguments[-1].sum((1, 2))


@wrong("convolve", "dbias is one number for all filters")
def convolve_bias_number(*arguments):
    y, dx, dkernel, _ = convolution(*arguments)
    return y, dx, dkernel, arguments[-1].sum()


@wrong("convolve", "dkernel is divided by the number of pictures")
def convolve_kernel_mean(x, *rest):
    y, dx, dkernel, dbias = convolution(x, *rest)
    return y, dx, dkernel / len(x), dbias


@wrong("convolve", "dkernel is that of the first picture alone")
def convolve_first_picture(x, kernel, bias, stride, padding, slope):
    y, dx, _, dbias = convolution(x, kernel, bias, stride, padding, slope)
    one = convolution(x[:1], kernel, bias, stride, padding, slope[:1])
    return y, dx, one[2], dbias


@wrong("convolve", "dx has the wrong sign")
def convolve_sign(*arguments):
    y, dx, dkernel, dbias = convolution(*arguments)
    return y, -dx, dkernel, dbias


@wrong("convolve", "3 things came back where there should be 4")
def convolve_without_y(*arguments):
    return convolution(*arguments)[1:]


@wrong("convolve", "without padding dx is empty")
def convolve_cut_from_the_end(x, kernel, bias, stride, padding, slope):
    y, dx, dkernel, dbias = convolution(x, kernel, bias, stride, padding, slope, "border")
    return y, dx[:, padding:-padding, padding:-padding], dkernel, dbias


@wrong("convolve", "With k = 2, stride 3 and no padding y has shape")
def convolve_for_three(x, kernel, bias, stride, padding, slope):
    rows, columns = ((side + 2 * padding - 3) // stride + 1 for side in x.shape[1:3])
    y, *slopes = convolution(x, kernel, bias, stride, padding, slope)
    return y[:, : rows - 1 + padding], *slopes


@right("convolve")
def convolve_pixel_by_pixel(x, kernel, bias, stride, padding, slope):
    x, k, p = x.tolist(), len(kernel), padding
    y = np.zeros(slope.shape)
    dx, dkernel = np.zeros(np.shape(x)), np.zeros(kernel.shape)
    n, height, width, _ = dx.shape
    for m, i, j, a, b in np.ndindex(*slope.shape[:3], k, k):
        row, column = i * stride + a - p, j * stride + b - p
        if 0 <= row < height and 0 <= column < width:
            for c, value in enumerate(x[m][row][column]):
                y[m, i, j] += value * kernel[a, b, c]
                dx[m, row, column, c] += slope[m, i, j] @ kernel[a, b, c]
                dkernel[a, b, c] += value * slope[m, i, j]
    return [y + bias, dx.tolist(), dkernel, sum(slope.reshape(-1, len(bias)))]


@right("convolve")
def convolve_by_tape(x, kernel, bias, stride, padding, slope):
    import tensorflow as tf

    x, kernel, bias = (tf.Variable(a) for a in (x, kernel, bias))
    with tf.GradientTape() as tape:
        wide = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
        y = tf.nn.conv2d(wide, kernel, stride, "VALID") + bias
    return [y, *tape.gradient(y, [x, kernel, bias], output_gradients=slope)]


# faulty


def named(forward, backward, x, kernel, bias, ones=False, gap=None, sided=False, step=1e-5):
    arrays = [x, kernel, bias]
    slope = np.random.default_rng(1).normal(size=forward(*arrays).shape)
    slope = np.ones_like(slope) if ones else slope
    given, found = backward(*arrays, slope), []
    gap = gap or (lambda m, g: np.abs(m - g).max() > 1e-3 * np.abs(m).max())
    for i, name in enumerate(("x", "kernel", "bias")):
        measured = np.zeros(arrays[i].shape)
        for place in np.ndindex(measured.shape):
            moved = [array.copy() for array in arrays]
            moved[i][place] += step
            above = (slope * forward(*moved)).sum()
            moved[i][place] -= (1 if sided else 2) * step
            below = (slope * forward(*moved)).sum()
            measured[place] = (above - below) / ((1 if sided else 2) * step)
        if gap(measured, given[i]):
            found.append(name)
    return found


@wrong("faulty", "takes `slope` for 1 everywhere")
def faulty_ones(*arguments):
    return named(*arguments, ones=True)


@wrong("faulty", "Compare number by number")
def faulty_sums(*arguments):
    return named(*arguments, gap=lambda m, g: abs(m.sum() - g.sum()) > 1e-3)


@wrong("faulty", "look at the largest gap")
def faulty_mean(*arguments):
    return named(*arguments, gap=lambda m, g: np.abs(m - g).mean() > 0.05 * np.abs(m).mean())


@wrong("faulty", "np.abs after that")
def faulty_sizes(*arguments):
    return named(*arguments, gap=lambda m, g: np.abs(np.abs(m) - np.abs(g)).max() > 1e-3)


@wrong("faulty", "a friend without a mistake is accused")
def faulty_exact(*arguments):
    return named(*arguments, gap=lambda m, g: np.any(m != g))


@wrong("faulty", "a friend divides the slope of the bias")
def faulty_none(*arguments):
    return []


@wrong("faulty", "a friend turns the kernel on the way back to x. You name nothing")
def faulty_weights_only(*arguments):
    return [name for name in named(*arguments) if name != "x"]


@wrong("faulty", 'the names are "x", "kernel" and "bias"; this is \'dbias\'')
def faulty_slopes_named(*arguments):
    return [f"d{name}" for name in named(*arguments)]


@wrong("faulty", "return a list of names")
def faulty_text(*arguments):
    return ", ".join(named(*arguments))


@right("faulty")
def faulty_one_side(*arguments):
    return set(named(*arguments, sided=True, step=1e-6))


@right("faulty")
def faulty_large_step(*arguments):
    return tuple(named(*arguments, step=1e-3)[::-1])


# network


def convnet(widths=(12, 24, 32), hidden=(), activation="relu", last=None, classes=10, pool=True):
    import keras

    layers = keras.layers
    image = x = keras.Input((28, 28, 1))
    for width in widths:
        x = layers.Conv2D(width, 3, padding="same", activation=activation)(x)
        x = layers.MaxPooling2D(2)(x) if pool else x
    x = layers.Flatten()(x)
    for units in hidden:
        x = layers.Dense(units, activation)(x)
    return keras.Model(image, layers.Dense(classes, last)(x))


@wrong("network", "in `dense")
def network_with_hidden():
    return convnet(hidden=(128,))


@wrong("network", "Pool earlier, or make it narrower")
def network_too_much_work():
    return convnet((24, 24, 32))


@wrong("network", "sees 10 pixels of a side")
def network_short():
    return convnet((12, 24))


@wrong("network", "it ends in a softmax")
def network_softmax():
    return convnet(last="softmax")


@wrong("network", "there is no activation in it")
def network_linear():
    import keras

    image = x = keras.Input((28, 28, 1))
    for width in (12, 24, 32):
        x = keras.layers.Conv2D(width, 3, padding="same")(x)
        x = keras.layers.AveragePooling2D(2)(x)
    return keras.Model(image, keras.layers.Dense(10)(keras.layers.Flatten()(x)))


@wrong("network", "it should give (10,), the logits. Flatten the maps")
def network_not_flat():
    import keras

    return keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Conv2D(8, 3), keras.layers.Dense(10)]
    )


@wrong("network", "a picture gives (2,)")
def network_two_classes():
    return convnet(classes=2)


@wrong("network", "there is no convolution in it")
def network_dense():
    return convnet((), (20,))


@wrong("network", "the model should have one input of shape (28, 28, 1)")
def network_flat_input():
    import keras

    return keras.Sequential([keras.Input((784,)), keras.layers.Dense(10)])


@wrong("network", "not yet a model")
def network_tensor():
    return convnet().outputs[0]


@right("network")
def network_sequential():
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Conv2D(8, 5, 2, activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(16, 5, 2, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.0),
            layers.Dense(10),
        ]
    )


network_of_a_class = right("network")(in_a_class(convnet))
network_of_a_class.__name__ = "network_of_a_class"


# train


def trained(x, labels, rate=3e-3, epochs=4, **loss):
    import keras

    keras.utils.set_random_seed(1)
    model = convnet()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss)
    model.fit(x, labels, 32, epochs, verbose=0)
    return model


@wrong("train", "it has not learned")
def train_not(x, labels):
    import keras

    keras.utils.set_random_seed(1)
    return convnet()


train_history, train_nan, train_dead = untrained(convnet)


@wrong("train", "it learns too slowly")
def train_too_slow(x, labels):
    return trained(x[:1600], labels[:1600], rate=1e-3, epochs=1)


@wrong("train", "20,000 are allowed")
def train_another(x, labels):
    return convnet((16, 32, 64), (128,))


@right("train")
def train_momentum(x, labels):
    import keras

    keras.utils.set_random_seed(2)
    model = convnet()
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.03, momentum=0.9), loss)
    model.fit(x, np.eye(10)[labels], 32, 3, verbose=0)
    return model


# mended

UNEQUAL = "test pictures scaled in another way"


def prepared(train, test, mean=None, deviation=None):
    mean = train.mean() if mean is None else mean
    deviation = train.std() if deviation is None else deviation
    return (train - mean) / deviation, (test - mean) / deviation


def mended_cause(cause, says):
    def answer(train, test):
        return cause, prepared(train, test)

    answer.__name__ = "mended_" + cause.replace(" ", "_")
    return wrong("mended", says)(answer)


mended_overfitting = mended_cause("overfitting", "'overfitting' is not the cause")
mended_rate = mended_cause("learning rate too high", "'learning rate too high' is not the cause")
mended_passes = mended_cause("too few passes", "'too few passes' is not the cause")
mended_labels = mended_cause("test labels shuffled", "'test labels shuffled' is not the cause")


@wrong("mended", "test is still divided by 255 first")
def mended_not(train, test):
    return UNEQUAL, prepared(train, test / 255)


@wrong("mended", "test is scaled by its own mean and deviation")
def mended_own_mean(train, test):
    return UNEQUAL, (prepared(train, test)[0], prepared(test, test)[0])


@wrong("mended", "the training pictures are scaled in another way than before")
def mended_both_plain(train, test):
    return UNEQUAL, (train / 255, test / 255)


@wrong("mended", "the training pictures are no longer scaled at all")
def mended_nothing_scaled(train, test):
    return UNEQUAL, (train, test)


@wrong("mended", "Test pictures must not decide how training pictures look")
def mended_all_together(train, test):
    both = np.concatenate([train, test])
    return UNEQUAL, prepared(train, test, both.mean(), both.std())


@wrong("mended", "mean and deviation are not used")
def mended_divided_only(train, test):
    return UNEQUAL, (prepared(train, test)[0], test / 255)


@wrong("mended", "train is divided by 255 too, and the mean is that of before")
def mended_both_divided(train, test):
    return UNEQUAL, prepared(train / 255, test / 255, train.mean(), train.std())


@wrong("mended", "test is not divided by the deviation")
def mended_mean_only(train, test):
    return UNEQUAL, (prepared(train, test)[0], test - train.mean())


@wrong("mended", "there should be 2: train, test")
def mended_test_alone(train, test):
    return UNEQUAL, (prepared(train, test)[1],)


@right("mended")
def mended_with_255(train, test):
    train, test = train.astype("float32") / 255, test.astype("float32") / 255
    return [UNEQUAL, [(part - train.mean()) / train.std() for part in (train, test)]]


@right("mended")
def mended_by_a_function(train, test):
    scale = functools.partial(np.multiply, 1 / 128)
    fit = scale(train).mean(), scale(train).std()
    return UNEQUAL, tuple((scale(part) - fit[0]) / fit[1] for part in (train, test))
