"""The files by which diffusers loads an exported folder: an index and two short modules.

diffusers runs them with trust_remote_code=True. They import this project, which holds the network.
"""

import json
from typing import Any

from models.weights_folder import DENOISER
from sampling.config import SamplerConfig
from sampling.stored_sampler import INDEX, sampler_settings

_IMPORT = '''"""{does}"""

try:
    from sadm.diffusers_pipeline import {name}
except ModuleNotFoundError as error:
    raise ImportError(
        f"{{error}}: these weights need the project that trained them: in a clone of it, "
        "pip install -e '.[diffusers]' (the README.md beside them says more)"
    ) from error

__all__ = ["{name}"]
'''

PIPELINE = _IMPORT.format(
    does="DiffusionPipeline.from_pretrained(FOLDER, trust_remote_code=True) finds its class here.",
    name="StructurePipeline",
)
LOADER = _IMPORT.format(
    does="diffusers finds the class that loads the denoiser beside this file here.",
    name="StoredDenoiser",
)


def diffusers_files(sampler: SamplerConfig) -> dict[str, str]:
    """Name inside the exported folder -> text. sampler: of the pipeline, unless a call names one.

    diffusers looks for a component's own code, and for its files, in a folder of its name.
    """
    index: dict[str, Any] = {
        "_class_name": ["pipeline", "StructurePipeline"],
        DENOISER.parent.name: ["loader", "StoredDenoiser"],
        "sampler": sampler_settings(sampler),
    }
    return {
        INDEX: json.dumps(index, indent=1) + "\n",
        "pipeline.py": PIPELINE,
        f"{DENOISER.parent}/loader.py": LOADER,
    }
