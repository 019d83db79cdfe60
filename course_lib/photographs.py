"""Photographs of any size for a network: cut and coloured as the papers on ImageNet do it.

A JPEG becomes a square of `side` pixels, TensorFlow's float32 in [0, 1]. Whatever is random is an
argument, so that a pass can be drawn again. `course_lib.data` reads the files and draws;
`course_lib.ilsvrc` has the same steps for one picture in NumPy, as chapter 03 explains them.
"""

import tensorflow as tf

RATIO = (3 / 4, 4 / 3)  # width to height; GoogLeNet sec. 6
DRAWS = 8  # numbers that `drawn` takes for a picture
# The colours of ImageNet's training pictures on the 0 to 1 scale: the three eigenvalues of their
# covariance, and the eigenvectors as columns. From the program fb.resnet.torch.
VALUES = (0.2175, 0.0188, 0.0045)
VECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
GREY = (0.299, 0.587, 0.114)  # what red, green and blue add to brightness; ITU-R BT.601


def size(encoded):
    """Return (height, width) of a file's picture; of a JPEG without decoding it."""
    return tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.image.extract_jpeg_shape(encoded)[:2],
        lambda: tf.shape(decode(encoded))[:2],
    )


def decode(encoded, window=None):
    """Return a file's picture, (height, width, 3) uint8, or a window of it.

    Args:
        encoded: the bytes of a JPEG, PNG, GIF or BMP.
        window: (top, left, height, width). Of a JPEG no more than that is decoded.
    """

    def whole():
        return tf.io.decode_image(encoded, channels=3, expand_animations=False)

    if window is None:
        return whole()
    top, left, height, width = tf.unstack(window)
    return tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.image.decode_and_crop_jpeg(encoded, window, channels=3),
        lambda: whole()[top : top + height, left : left + width],
    )


def resize(image, height, width):
    """Return a uint8 picture as float32 in [0, 1], scaled so that no pixel is passed over."""
    image = tf.cast(image, tf.float32) / 255
    image = tf.image.resize(image, tf.stack([height, width]), antialias=True)
    return tf.clip_by_value(image, 0.0, 1.0)


def scaled(encoded, shorter):
    """Return a picture whose shorter side has so many pixels, (height, width, 3)."""
    image = decode(encoded)
    shape = tf.cast(tf.shape(image)[:2], tf.float32)
    sides = tf.cast(tf.round(shape * (shorter / tf.reduce_min(shape))), tf.int32)
    return resize(image, sides[0], sides[1])


def squares(image, side, crops):
    """Cut squares out of a picture.

    Args:
        crops: 1, the centre; or 10, the four corners of the middle square, its centre, and their
            mirror images.

    Returns:
        (crops, side, side, 3).

    Source: AlexNet sec. 2 and 4.1.
    """
    sides = tf.shape(image)[:2]
    shorter = tf.reduce_min(sides)
    top, left = tf.unstack((sides - shorter) // 2)
    free = shorter - side
    places = [(top + free // 2, left + free // 2)]
    if crops == 10:
        bottom, right = top + free, left + free
        places = [(top, left), (top, right), (bottom, left), (bottom, right), *places]
    found = tf.stack([image[top : top + side, left : left + side] for top, left in places])
    found = tf.ensure_shape(found, (len(places), side, side, 3))
    return tf.concat([found, found[:, :, ::-1]], axis=0) if crops == 10 else found


def window(draws, height, width, side, cut):
    """Return what is cut out of a picture: (top, left, height, width), int32 pixels of it.

    Args:
        draws: four numbers from 0 to below 1.
        height, width: of the picture.
        side: of the square that the window is scaled to.
        cut: one of these, see `course_lib.data.load`.
            {"scale": (low, high)}: as if the picture were scaled to a shorter side of so many
            pixels and a square of `side` cut out; with "square", out of its middle square.
            {"area": (low, high)}: a share of the picture's area; width to height from 3/4 to 4/3.

    Source: AlexNet sec. 4.1 (scale 256, square), VGG sec. 3.1, ResNet sec. 3.4 (a range of
    scales), GoogLeNet sec. 6 (area).
    """
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    shorter = tf.minimum(height, width)
    if cut["area"]:
        low, high = cut["area"]
        area = (low + draws[0] * (high - low)) * height * width
        # No window of the allowed ratios is larger than the one whose ratio is nearest the
        # picture's; one of that area fits with the ratios from `first` to `last`.
        nearest = tf.clip_by_value(width / height, *RATIO)
        area = tf.minimum(area, tf.minimum(width**2 / nearest, height**2 * nearest))
        first = tf.math.log(tf.maximum(RATIO[0], area / height**2))
        last = tf.math.log(tf.minimum(RATIO[1], width**2 / area))
        ratio = tf.exp(first + draws[1] * (last - first))
        tall, wide = tf.sqrt(area / ratio), tf.sqrt(area * ratio)
    else:
        low, high = cut["scale"]
        tall = wide = shorter * side / (low + tf.floor(draws[0] * (high - low + 1)))
    tall = tf.clip_by_value(tf.round(tall), 1, height)
    wide = tf.clip_by_value(tf.round(wide), 1, width)
    above = tf.floor((height - shorter) / 2) if cut["square"] else 0.0
    before = tf.floor((width - shorter) / 2) if cut["square"] else 0.0
    down = (shorter if cut["square"] else height) - tall
    across = (shorter if cut["square"] else width) - wide
    # A product just below the bound may round up to it.
    top = above + tf.minimum(tf.floor(draws[2] * (down + 1)), down)
    left = before + tf.minimum(tf.floor(draws[3] * (across + 1)), across)
    return tf.cast(tf.stack([top, left, tall, wide]), tf.int32)


def colours(image, jitter, draws, strengths):
    """Change all colours of a picture alike, and cut off what leaves the range from 0 to 1.

    Brightness, contrast and saturation are each multiplied by a factor from 1 - jitter to
    1 + jitter: the distance of every pixel to black, to the picture's mean grey, to its own grey.
    Then one colour is added to every pixel: the components of ImageNet's colours, each times its
    eigenvalue and a strength. All is one linear map of red, green and blue.

    Args:
        image: (height, width, 3) float32 in [0, 1].
        draws: three numbers from 0 to below 1.
        strengths: three numbers; AlexNet draws them from N(0, 0.1^2) anew for each use.

    Source: fb.resnet.torch, which DenseNet takes over (it also draws the order of the first
    three); AlexNet sec. 4.1 for the light, as in `course_lib.ilsvrc.shift_colours`.
    """
    shift = tf.linalg.matvec(tf.constant(VECTORS), strengths * tf.constant(VALUES))
    if jitter:
        brightness, contrast, saturation = tf.unstack(1 + jitter * (2 * draws - 1))
        own = tf.tile(tf.constant(GREY)[:, None], [1, 3])  # from a colour to its grey
        mean = tf.reduce_sum(tf.reduce_mean(image, axis=(0, 1)) * GREY)
        shift += (1 - contrast) * brightness * mean
        mixed = brightness * contrast * (saturation * tf.eye(3) + (1 - saturation) * own)
        pixels = tf.linalg.matmul(tf.reshape(image, (-1, 3)), mixed)
        image = tf.reshape(pixels, tf.shape(image))
    return tf.clip_by_value(tf.nn.bias_add(image, shift), 0.0, 1.0)


def drawn(encoded, side, cut, draws, normal):
    """Return one training square of a file, (side, side, 3).

    Args:
        cut: what `course_lib.data.load` calls `augment`, every key of it.
        draws: `DRAWS` numbers from 0 to below 1.
        normal: three numbers from N(0, 1).
    """
    height, width = tf.unstack(size(encoded))
    image = decode(encoded, window(draws[:4], height, width, side, cut))
    image = tf.ensure_shape(resize(image, side, side), (side, side, 3))
    if cut["mirror"]:
        image = tf.where(draws[4] < 0.5, image[:, ::-1], image)
    if cut["jitter"] or cut["lighting"]:
        image = colours(image, cut["jitter"], draws[5:], cut["lighting"] * normal)
    return image
