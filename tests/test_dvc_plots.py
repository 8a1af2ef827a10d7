"""The pages of `dvc plots` draw their curves without a network."""

import configparser
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from dvc_render.html import render_html
from dvc_render.vega import VegaRenderer

ROOT = Path(__file__).resolve().parents[1]
PLOTS = ROOT / ".dvc" / "plots"
SCRIPT = re.compile(r'<script data-from="([^"]+)@([^"]+)">(.*?)</script>', re.DOTALL)


@pytest.fixture
def page(tmp_path) -> Path:
    """A page with one curve, made as `dvc plots` makes it with the settings of .dvc/config."""
    config = configparser.ConfigParser()
    config.read(ROOT / ".dvc" / "config")
    template = ROOT / ".dvc" / config["plots"]["html_template"]
    points = [{"x": i, "loss": 1 / (i + 1), "rev": "workspace"} for i in range(9)]
    curve = VegaRenderer(points, "curve", x="x", y="loss", title="Drawn here", template="linear")
    return Path(render_html([curve], tmp_path / "index.html", html_template=str(template)))


def test_the_page_asks_no_server(page):
    text = page.read_text()
    assert "vegaEmbed('#" in text, "there is a curve to draw"
    around = SCRIPT.sub("", text)  # the page without the scripts themselves
    assert len(around) < 20_000 and re.findall(r"(?:src|href)\s*=|url\(", around) == []


def test_its_scripts_are_those_that_the_readme_names():
    told = (PLOTS / "README.md").read_text()
    found = SCRIPT.findall((PLOTS / "page.html").read_text())
    assert [name for name, _, _ in found] == ["vega", "vega-lite", "vega-embed"]
    for name, version, script in found:
        digest = hashlib.sha256(script.encode()).hexdigest()
        assert f"| {name} | {version}, `build/{name}.min.js` | `{digest}` |" in told
        assert f"{name} {version}" in (PLOTS / "LICENSES.txt").read_text()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is absent")
def test_chromium_draws_the_curve_without_a_network(page):
    drawn = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=5000"),
            *("--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout
    assert re.search(r'<canvas[^>]*class="marks"', drawn), drawn[-2000:]
