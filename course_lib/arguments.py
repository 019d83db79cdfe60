"""What the builders of all networks have in common, and how an argument is checked.

Every builder takes

    input_shape   (height, width, channels) of the images, in pixels
    classes       the number of classes
    dropout       where there is one: the share dropped in training, 0 for none
    name          of the model

and returns a `keras.Model` from images to logits, one a class. Its other arguments change the
network, so its text names only those. Builders and blocks raise `ValueError` for an argument that
is not one of those they name, for an image too small for the network, and for channels that do not
fit; the message says what was given and what is allowed.
"""

import keras


def check(argument, given, fits, allowed):
    """Raise `ValueError` that names the argument, what was given and what is allowed, unless it
    fits."""
    if not fits:
        raise ValueError(f"{argument} is {given!r}; allowed: {allowed}.")


def check_choice(argument, given, allowed):
    """Check that what was given is one of the values allowed."""
    check(argument, given, given in allowed, ", ".join(map(repr, allowed)))


def check_count(argument, given):
    """Check that it can count something, such as channels."""
    check(argument, given, isinstance(given, int) and given > 0, "a positive integer")


def check_channels(input_shape, wanted):
    """Check that the input of a block has the channels that the block was made for."""
    if input_shape[-1] != wanted:
        raise ValueError(f"the input has {input_shape[-1]} channels; allowed: {wanted}.")


def check_image_input(input_shape, classes, smallest, network, dropout=0.0):
    """Check what every builder is given.

    Args:
        input_shape: (height, width, channels) in pixels.
        classes: number of classes.
        smallest: smallest side in pixels for which every layer has at least one output pixel.
        network: the name that the message says.
        dropout: share of its inputs that a dropout layer drops in training.
    """
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "keras.config.image_data_format() is 'channels_first'; allowed: 'channels_last', as "
            "every layer of this course has it."
        )
    shape = tuple(input_shape)
    sides = len(shape) == 3 and all(isinstance(side, int) and side > 0 for side in shape)
    allowed = "(height, width, channels), three positive integers, without the batch"
    check("input_shape", input_shape, sides, allowed)
    if min(shape[:2]) < smallest:
        raise ValueError(
            f"{network} needs images of at least {smallest} x {smallest} pixels; "
            f"input_shape is {shape}."
        )
    check("classes", classes, isinstance(classes, int) and classes > 1, "an integer of at least 2")
    check("dropout", dropout, 0 <= dropout < 1, "0 <= dropout < 1")
