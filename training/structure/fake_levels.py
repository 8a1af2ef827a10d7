"""Computes the noise levels at which fakes are denoised, and checks their settings."""

from sampling.config import SamplerConfig
from training.structure.config import FakesConfig

DEFAULT_SAMPLER = SamplerConfig(solver="ddim", steps=8)


def fake_levels(
    config: FakesConfig, sampler: SamplerConfig | None, sigma_data: float
) -> tuple[float, float]:
    """Lowest and highest noise level at which fakes are denoised.

    Raises ValueError for settings that do not fit each other.
    """
    limit = {
        "onestep": sigma_data,
        "onpolicy": 2 * sigma_data,
        "deployed": 2 * sigma_data,
        "renoise": config.renoise_sigma,
    }[config.fakes]
    low, high = config.sigma_min, config.sigma_max or limit
    if config.fakes == "onestep":
        high = min(high, sigma_data)
    if low > high:
        raise ValueError(
            f"structure.sigma_min {low:g} is above {high:g}, the highest noise level "
            f"of {config.fakes} fakes: lower it"
        )
    sampler = sampler or DEFAULT_SAMPLER
    on_path = config.fakes in ("onpolicy", "deployed")
    if sampler.guidance and on_path:
        raise ValueError(
            "structure.sampler has guidance, which the game does not play: remove it there (a "
            "sampler under `sampling` may still have it)"
        )
    if sampler.told_sigma != 1:
        raise ValueError(
            "structure.sampler.told_sigma: the game tells the denoiser the level that its images "
            "have: leave it out there"
        )
    if sampler.adapter:
        raise ValueError(
            "structure.sampler.adapter: the game always plays the adapter that the denoiser has: "
            "leave it out there (a sampler under `sampling` switches it on)"
        )
    if sampler.levels_unknown is not None:
        raise ValueError(
            f"structure.sampler: the game needs levels that are settings, and "
            f"{sampler.levels_unknown}: use another there"
        )
    if config.fakes == "onpolicy" and sampler.step_count == 1:
        raise ValueError(
            "structure.sampler has a single step, so no noise level on the way at which onpolicy "
            "fakes could be denoised: give it 2 steps or more, or choose deployed fakes"
        )
    if on_path and (config.gradient_steps or 1) > sampler.nfe:
        raise ValueError(
            f"structure.gradient_steps: {config.gradient_steps} is more than the {sampler.nfe} "
            "evaluations of structure.sampler: lower it, or set it to null"
        )
    return low, high
