"""One play of the structure game inside the training loop."""

from contextlib import nullcontext

from training.averaged_weights import averaged, ema_denoiser
from training.events import Report
from training.run_settings import RunSettings
from training.state.train_state import TrainState


def adapter_learning_rate(settings: RunSettings, nimg: int) -> float:
    """structure.adapter_lr at the game's start, falling linearly to 0 at the end of training."""
    structure, total = settings.structure, 1000 * settings.train.total_kimg
    start = min(1000 * structure.start_kimg, total)
    left = (total - nimg) / max(total - start, 1.0)
    return structure.adapter_lr * min(max(left, 0.0), 1.0)


def play_game(settings, state: TrainState, dataset, world, step: int, tell) -> dict[str, float]:
    """One play of the structure game where it is due; adds its gradient to the denoiser's."""
    game, at_output = state.game, state.denoiser.output_conv_weight.grad
    assert game is not None and at_output is not None
    reason = gate_reason(state)
    if game.needs_opening(state.nimg):
        game.open(state.nimg, ema_denoiser(state, settings.ema.tracked[0]), dataset)
        tell_gate(state, reason, tell)
        reason = gate_reason(state)
    if not game.due(step):
        return {}
    batch = game.draw(dataset, state.nimg, flip=settings.train.horizontal_flip)
    micro = settings.micro_batch
    # An adapter is deployed upon averaged weights; those in training scatter round these.
    deployed = averaged(state, settings.ema.tracked[-1]) if game.adapted else nullcontext()
    with deployed:
        gradients, logs = game.play(state.denoiser, batch, micro, at_output)
    for parameter, gradient in zip(state.denoiser.parameters(), gradients, strict=True):
        if gradient is not None:
            world.all_reduce_sum_(gradient)
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
    tell_gate(state, reason, tell)
    state.plays += 1
    return logs


def gate_reason(state: TrainState) -> str:
    """Why the gate is shut; '' where it is open, or where there is no game."""
    return "" if state.game is None else state.game.gate.reason


def tell_gate(state: TrainState, reason: str, tell: Report) -> None:
    """An event when the gate has opened, shut, or is shut for another reason than `reason`."""
    if state.game is not None and state.game.gate.reason != reason:
        gate = state.game.gate
        tell({"kind": "gate", "nimg": state.nimg, "open": gate.open, "reason": gate.reason,
              "explanation": gate.explanation})  # fmt: skip
