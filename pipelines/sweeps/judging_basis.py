"""Hash of what a judgement at a rung depends on besides the weights: reference and code."""

from pipelines.settings.schema import Params
from pipelines.workspace.chosen_kinds import judging_kinds
from pipelines.workspace.imports import closure
from pipelines.workspace.paths import REFERENCE
from pipelines.workspace.stage_code import RULES, code_hash

ENTRY = "pipelines.sweeps.quick_evaluation"


def judging_basis(params: Params, sampler: str) -> str:
    """Hash of the reference and of the code that judges a trial of these params by that sampler."""
    code = closure(ENTRY, RULES, judging_kinds(params.model_dump(mode="json"), sampler))
    return code_hash(code | {REFERENCE / "reference.json"})
