"""How large the network of these params is, and what training keeps of it in memory."""

from collections.abc import Iterator

from models.text_encoders.configs import FrozenConfig
from pipelines.settings.schema import Params
from pipelines.workspace.leftovers import in_words
from pipelines.workspace.paths import DATASET
from pipelines.workspace.weights_files import encoder_files

UNITS = ((1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"), (1e3, "kFLOP"))


def network_lines(params: Params) -> Iterator[tuple[str, str]]:
    """(heading, text) of the parameters and operations of the denoiser, and of its memory.

    Nothing is allocated. Classes that are not counted yet are taken to be ten.
    """
    from pipelines.forecast.network_size import network_size
    from pipelines.forecast.place import prepared_or_none
    from pipelines.forecast.stand_in import CLASSES, expected_channels

    data, model = params.dataset, params.model
    dataset = prepared_or_none(DATASET, data.resolution)
    shape = (expected_channels(data), data.resolution, data.resolution)
    if params.autoencoder.kind != "none":
        side = params.autoencoder.latent_side(data.resolution)
        shape = (params.autoencoder.latent_channels, side, side)
    elif dataset is not None:
        shape = dataset.image_shape
    width = _text_width(params)
    if width is None:
        yield (
            "network",
            "its size is known once the encoder of captions is there, or with model.text.width",
        )
        return
    classes = CLASSES if dataset is None else dataset.num_classes
    size = network_size(model, shape, classes, width)
    parameters = f"{size.parameters:,} parameters"
    if model.text is not None and model.text.kind == "words":
        parameters += f" besides {width} for each word"
    elif model.text is None and model.class_conditional and dataset is None:
        parameters += f" (with {classes} classes)"
    if size.adapter:
        parameters += f" and {size.adapter:,} of its adapter"
    yield (
        "network",
        f"{parameters}; one evaluation of one image of {'x'.join(map(str, shape))} takes "
        f"{operations(size.flop)} (two for each multiply-add)",
    )
    game = "" if params.structure.kind == "none" else " and the game's networks"
    yield (
        "memory",
        f"{in_words(size.state_bytes)} in each worker for weights, gradients, two moments "
        f"and two averages; activations{game} come on top",
    )


def _text_width(params: Params) -> int | None:
    """Length of the vectors of model.text; 0 without it, None where its files are not there."""
    text = params.model.text
    if text is None:
        return 0
    width: int | None = getattr(text, "width", None)
    if width is not None or not isinstance(text, FrozenConfig):
        return width
    try:
        files = encoder_files(params)
        assert files is not None
        return text.encoder(files).width
    except ValueError:  # a problem that the doctor names
        return None


def operations(flop: int) -> str:
    """Words such as "536 GFLOP": three digits and a unit."""
    unit, name = next((pair for pair in UNITS if flop >= pair[0]), (1.0, "FLOP"))
    return f"{flop / unit:#.3g}".rstrip(".") + f" {name}"
