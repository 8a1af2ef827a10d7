"""The error of an encoder of captions that cannot be had."""


class EncoderError(ValueError):
    """Files, or the library, of an encoder are missing, damaged, or another encoder's.

    Its one line names the key under model.text.
    """
