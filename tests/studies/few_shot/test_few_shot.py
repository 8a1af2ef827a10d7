"""The study of few shots: tiny runs of the command; its tasks and weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.denoising_classifier import spread_levels
from models.attribute_loss import level_weights
from pipelines.params import check_params
from studies.few_shot import denoisers
from studies.few_shot.__main__ import main
from studies.few_shot.arms import ARMS, fit_settings
from studies.few_shot.tasks import (
    DARK,
    LIGHT,
    ClassesTask,
    NuanceTask,
    judged_roles,
    people,
    role_of,
)
from studies.few_shot.unit import underflowed_weight

ROLES = [f"role {number}" for number in range(12)]


@pytest.fixture
def words(material, tmp_path):
    return [
        *("--tasks", "classes", "--dataset", str(material.dataset), "--unseen", "5,6,7"),
        *("--denoiser", str(material.weights), "--images", "20", "--levels", "4", "--steps", "2"),
        *("--shots", "1,4", "--draws", "2", "--rows", str(tmp_path / "rows"), "--seeds", "21"),
    ]


def test_rows_are_computed_once_and_told_in_a_table(words, tmp_path, capsys):
    main(words)
    rows = {file.stem: file.stat().st_mtime_ns for file in (tmp_path / "rows").glob("*.json")}
    assert set(rows) == {f"classes-plain-{shots}-21-{draw}" for shots in (1, 4) for draw in (0, 1)}
    row = json.loads((tmp_path / "rows/classes-plain-4-21-1.json").read_text())
    assert row["images"] == 20 and set(row["accuracy"]) >= {"time_step", "underflowed", "logistic"}
    assert "| classes | plain | 4 | 1 | 2 |" in capsys.readouterr().out
    main(words)
    assert rows == {
        file.stem: file.stat().st_mtime_ns for file in (tmp_path / "rows").glob("*.json")
    }
    main([*words, "--levels", "5", "--shots", "1", "--draws", "1"])
    again = tmp_path / "rows/classes-plain-1-21-0.json"
    assert again.stat().st_mtime_ns != rows["classes-plain-1-21-0"]


def test_rows_of_another_seed_stand_beside_those_of_the_first(words, material, tmp_path, capsys):
    words += ["--shots", "1", "--draws", "1"]
    main(words)
    first = tmp_path / "rows/classes-plain-1-21-0.json"
    text = first.read_text()
    other = material.ema / "other" / "0.1.safetensors"
    main([*words, "--seeds", "22", "--denoiser", str(other)])
    assert first.read_text() == text and json.loads(text)["seed"] == 21
    row = json.loads((tmp_path / "rows/classes-plain-1-22-0.json").read_text())
    assert row["seed"] == 22 and row["fingerprint"] != json.loads(text)["fingerprint"]
    assert "| classes | plain | 1 | 2 | 1 |" in capsys.readouterr().out


def test_a_denoiser_of_each_seed_is_trained(material, tmp_path, monkeypatch):
    trained, asked = [], []

    def train(dataset, unseen, work, seed, kimg):
        trained.append(seed)
        return Path(f"{seed}.safetensors")

    monkeypatch.setattr(denoisers, "of_classes", train)
    monkeypatch.setattr("studies.few_shot.unit.unit", lambda task, *rest: asked.append(task))
    main(["--tasks", "classes", "--shots", "1", "--draws", "2", "--rows", str(tmp_path)])
    assert trained == [21, 22, 23]
    seeds = [21, 21, 22, 22, 23, 23]
    assert [(task.seed, task.denoiser.stem) for task in asked] == [(n, str(n)) for n in seeds]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--arms", "plian"], "unknown arm 'plian': did you mean 'plain'"),
        (["--tasks", "classes,nuance"], "--denoiser is of one task"),
        (["--seeds", "21,22"], "--denoiser is of one seed: name that with --seeds"),
        (["--seeds", "-1"], "--seeds -1"),
        (["--unseen", "5,owl"], "unknown class 'owl'"),
        (["--shots", "900"], "900 shots were asked for"),
        (["--draws", "0"], "--draws 0"),
    ],
)
def test_what_is_unknown_is_refused(words, change, message, capsys):
    with pytest.raises(SystemExit):
        main([*words, *change])
    assert message in capsys.readouterr().err


def test_arms_are_settings_and_steps_grow_with_the_shots():
    steps = [fit_settings("plain", shots).steps for shots in (1, 4, 16)]
    assert steps == sorted(steps) and steps[0] == 60
    assert fit_settings("long", 1).steps == 240 and fit_settings("plain", 4, 7).steps == 7
    assert (
        fit_settings("small_noise", 4).sigma_range[1]
        == fit_settings("large_noise", 4).sigma_range[0]
    )
    assert all(fit_settings(arm, 4) for arm in ARMS)


@pytest.fixture
def emoji(tmp_path):
    """words.json and pictures of men and women in roles, two tones a side of each."""
    sides = {"train": [], "held_out": []}
    (tmp_path / "all").mkdir()
    for number, role in enumerate(ROLES):
        for person in ("man", "woman", "person"):
            for tone in ("light", "medium", "dark"):
                side = "held_out" if (number, tone) == (3, "dark") else "train"
                file = f"{number}-{person}-{tone}.png"
                one = {"file": file, "base": f"{person} {role}", "tone": tone, "text": ""}
                sides[side].append(one)
                place = tmp_path / ("tones" if side == "train" else "held_out") / tone
                place.mkdir(parents=True, exist_ok=True)
                Image.new("RGBA", (64, 64), (number, 0, 0, 255)).save(place / file)
                Image.new("RGBA", (64, 64), (number, 0, 0, 255)).save(tmp_path / "all" / file)
    sides["train"].append({"file": "hand.png", "base": "hand", "tone": "light", "text": ""})
    Image.new("RGBA", (64, 64)).save(tmp_path / "all" / "hand.png")
    (tmp_path / "words.json").write_text(json.dumps(sides))
    return tmp_path


def test_the_nuance_is_confounded_in_the_shots_and_reversed_in_the_test(emoji):
    every = people(json.loads((emoji / "words.json").read_text()), emoji)
    judged = judged_roles(every)
    assert {p.role for p in every} == set(ROLES) and len(judged) == 6
    assert all(p.path.is_file() and p.tone in (*LIGHT, *DARK) for p in every)
    shown = NuanceTask(emoji / "w.safetensors", 21, 100, emoji).draw(4, 0)
    assert shown.shots.shape == (8, 32, 32, 3) and shown.shot_classes.tolist() == [0] * 4 + [1] * 4
    assert len(shown.test) == 12 and sorted(shown.test_classes) == [0] * 6 + [1] * 6
    seen = {ROLES[int(picture[0, 0, 0])] for picture in shown.shots}
    told = {ROLES[int(picture[0, 0, 0])] for picture in shown.test}
    assert not seen & judged and told == judged
    with pytest.raises(ValueError, match="there are 6 emoji to show of a man, not 7"):
        NuanceTask(emoji / "w.safetensors", 21, 100, emoji).draw(7, 0)


@pytest.mark.parametrize("name", ["classes", "nuance"])
def test_every_draw_judges_the_same_images_and_none_that_is_shown(name, emoji, material):
    weights = emoji / "w.safetensors"
    task = {
        "classes": ClassesTask(weights, 21, 20, material.dataset, ("5", "6", "7")),
        "nuance": NuanceTask(weights, 21, 5, emoji),
    }[name]
    draws = [task.draw(shots, number) for shots in (1, 4) for number in range(3)]
    first, shown = draws[0], {draw.shots.tobytes() for draw in draws}
    assert len(shown) == 6 and len(first.test) == task.images
    for draw in draws:
        assert np.array_equal(draw.test, first.test)
        assert np.array_equal(draw.test_classes, first.test_classes)
        told = {image.tobytes() for image in draw.test}
        assert not told & {image.tobytes() for image in draw.shots}


def test_denoisers_see_no_judged_role_and_no_unseen_class(emoji, material, tmp_path, monkeypatch):
    ran = {}

    def stages(folder, params, commands):
        ran["params"] = params
        check_params(dict(params))

    monkeypatch.setattr(denoisers, "run_stages", stages)
    path = denoisers.of_emoji(emoji, tmp_path / "work", 21, 40.0)
    assert path.name == "0.1.safetensors"
    judged = judged_roles(people(json.loads((emoji / "words.json").read_text()), emoji))
    there = {file.name for file in next((tmp_path / "work").glob("pictures-*")).iterdir()}
    assert "hand.png" in there and len(there) == 1 + 6 * 9
    assert not {
        name for name in there if any(name.startswith(f"{ROLES.index(r)}-") for r in judged)
    }
    denoisers.of_classes(material.dataset, ["5", "6", "7", "8", "9"], tmp_path / "other", 21, 40.0)
    assert ran["params"]["dataset"]["resolution"] == 8
    folder = next((tmp_path / "other").glob("pictures-*"))
    labels = np.load(material.dataset / "labels.npy")
    rows = [int(file.stem) for file in folder.rglob("*.png")]
    assert set(labels[rows]) == {0, 1, 2, 3, 4}
    assert len(rows) == (labels < 5).sum()
    with pytest.raises(ValueError, match="names every class"):
        denoisers.of_classes(material.dataset, list("0123456789"), tmp_path / "other", 21, 40.0)


def test_the_weight_by_one_minus_erf_is_zero_where_classes_lie_far_apart():
    sigmas = torch.logspace(-2, 1, 60)
    lossy, exact = underflowed_weight(sigmas, 10.0), level_weights("time_step", sigmas, 10.0)
    assert (lossy[:20] == 0).all() and (exact[:20] > 0).all()
    assert torch.allclose(lossy[-10:], exact[-10:], rtol=1e-6)


def test_that_weight_is_lost_at_two_levels_alone_where_classes_lie_near():
    sigmas = spread_levels(0.05, 5.0, 32)
    lossy, exact = underflowed_weight(sigmas, 1.136), level_weights("time_step", sigmas, 1.136)
    assert (lossy == 0).tolist() == [True] * 2 + [False] * 30 and sigmas[2] > 0.068 > sigmas[1]
    assert torch.allclose(lossy[4:], exact[4:], rtol=1e-2)


def test_roles_are_those_of_either_person_and_direction():
    assert role_of("man health worker") == role_of("woman health worker") == "health worker"
    assert role_of("woman: beard") == "beard" and role_of("hand") is None
    assert role_of("man walking: facing right") == role_of("woman walking") == "walking"
