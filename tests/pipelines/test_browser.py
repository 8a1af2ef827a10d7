"""The runs as a person sees them: headless Chromium against the server that pipelines.ui starts.

The runs are made up, but the code that writes real ones writes them. Each test looks at what the
page draws, not at an answer of the server's interface.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pipelines.console.training_monitor import Monitor
from pipelines.params import load_params
from pipelines.tracking.connection import open_run_store
from pipelines.tracking.stage_run import stage_run
from training.events import Ended, Logged, SamplesDrawn

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.common.exceptions import WebDriverException  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="chromium or chromedriver is absent (Debian: apt install chromium chromium-driver)",
    ),
]
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1800,1100"),
)
PARAMS = "structure: {{kind: {kind}}}\ntracking: {{system_metrics: false}}\n"
KIDS = {"graph": 0.0123, "none": 0.0345}
NIMG = range(128, 1281, 128)
PATIENCE = 60.0  # seconds for a page on a busy machine; usually one or two


def write_runs(root: Path) -> SimpleNamespace:
    """Two finished runs in root/mlflow.db; name and ids of parent and train child by kind."""
    noise = np.random.default_rng(0).integers(0, 256, [16, 8, 8, 1], np.uint8)
    runs = SimpleNamespace(name={}, parent={}, train={})
    for kind, kid in KIDS.items():
        (root / "params.yaml").write_text(PARAMS.format(kind=kind))
        params = load_params(root / "params.yaml")
        with stage_run("train", params, f"{kind}00", f"train{kind}", root=root) as run:
            runs.train[kind] = run.run_id
            with Monitor(NIMG[-1], run) as monitor:
                for nimg in NIMG:
                    loss = {"loss": kid + 100 / nimg}
                    monitor(Logged(nimg, loss, 50.0))
                    if nimg % 640 == 0:
                        monitor(SamplesDrawn(nimg, 0.1, noise))
                monitor(Ended(NIMG[-1]))
        with stage_run("summarize", params, f"{kind}00", f"summarize{kind}", root=root) as run:
            assert run.parent is not None
            run.parent.log_metrics({"kid": kid, "kid_floor": 0.001})
            for step in (50, 140):  # 1000 x EMA length
                picture = Image.fromarray(noise[0, :, :, 0])
                run.parent.log_image(picture, "samples heun18", step, "the best")
            run.parent.log_image(picture, "samples")
            file = root / "generated.png"
            picture.resize((720, 720)).save(file)
            run.parent.describe(f"**KID {kid:g}**", {file: "generated"}, "other numbers")
            runs.parent[kind] = run.parent.run_id
        client = open_run_store(params.tracking, root).client
        runs.name[kind] = client.get_run(runs.parent[kind]).info.run_name
    return runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Iterator[SimpleNamespace]:
    """The two runs, and the link that `python -m pipelines.ui` prints for them."""
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)  # outside git, and without presets
        found = write_runs(root)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = root / "ui.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "pipelines.ui", "--port", str(port)],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            start_new_session=True,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        wait_until_it_listens(server, port, log)
        link = re.search(r"http://127\.0\.0\.1:\d+/\S*", log.read_text())
        assert link, log.read_text()
        found.link, found.base = link[0], f"http://127.0.0.1:{port}"
        found.server = server.pid
        yield found
    finally:
        stop(server)


def wait_until_it_listens(server: subprocess.Popen, port: int, log: Path) -> None:
    end = time.monotonic() + 2 * PATIENCE
    while server.poll() is None and time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(f"the server does not answer (exit code {server.poll()}): {log.read_text()}")


def stop(server: subprocess.Popen) -> None:
    """End the server and what it started; the group is its own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(10)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


class Browser:
    """Headless Chromium with an empty profile."""

    def __init__(self, profile: Path):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))

    def open(self, link: str) -> None:
        self.driver.get("about:blank")  # a new fragment alone would not load the page anew
        self.driver.get(link)

    def text(self) -> str:
        """What a person can read."""
        return self.driver.execute_script("return document.body ? document.body.innerText : ''")

    def all(self, css: str) -> list:
        return self.driver.find_elements("css selector", css)

    def wait(self, what: str, seen: Callable[[], object]) -> None:
        """Wait until `seen()` is true; a page that is being redrawn is asked again."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                if seen():
                    return
            except WebDriverException:
                pass
            time.sleep(0.3)
        pytest.fail(f"not on the page: {what}\n{self.driver.current_url}\n{self.text()[:2000]}")

    def wait_text(self, *words: str) -> None:
        self.wait(" and ".join(words), lambda: all(word in self.text() for word in words))


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.driver.quit()


def test_only_this_machine_reaches_the_page(runs):
    sockets = run_path(str(ROOT / "tests" / "sockets.py"))
    addresses = {address for address, _ in sockets["listening"](runs.server).values()}
    assert addresses and not any(map(sockets["reachable_from_elsewhere"], addresses))


def test_the_printed_link_shows_the_table_of_runs_with_its_columns(browser, runs):
    browser.open(runs.link)
    browser.wait_text(*runs.name.values(), *(f"{kid:g}" for kid in KIDS.values()))
    browser.wait_text("kid_floor", "structure.kind", "Duration")
    # stages are children, folded away until asked for
    assert "\ntrain\n" not in browser.text()
    browser.wait("unfolding a run", lambda: unfold(browser) or "\ntrain\n" in browser.text())


def unfold(browser) -> None:
    browser.all(".ag-row [col-id*='Run Name'] button")[0].click()


def test_two_runs_are_ticked_and_compared(browser, runs):
    browser.open(runs.link)
    browser.wait_text(*runs.name.values())
    boxes = ".ag-row .ag-checkbox-input"
    browser.wait("two boxes to tick", lambda: len(browser.all(boxes)) == 2)
    for box in browser.all(boxes):
        box.click()
    compare = "//button[normalize-space()='Compare']"
    browser.wait("the button Compare", lambda: browser.driver.find_elements("xpath", compare))
    browser.driver.find_element("xpath", compare).click()
    browser.wait_text("Comparing 2 Runs", *runs.name.values(), "structure.kind")
    browser.wait("the parallel coordinates", lambda: browser.all(".js-plotly-plot .parcoords"))
    browser.wait_text(*(f"{kid:g}" for kid in KIDS.values()))


def test_a_metric_is_drawn_over_the_images_seen(browser, runs):
    browser.open(f"{runs.base}/#/experiments/1/runs/{runs.train['graph']}/model-metrics")
    card = "[data-testid=experiment-view-compare-runs-card]"

    def points() -> int:
        cards = [c for c in browser.all(card) if c.text.split("\n")[0] == "loss"]
        return len(cards[0].find_elements("css selector", ".scatterlayer .point")) if cards else 0

    browser.wait(f"a chart of the loss with {len(NIMG)} points", lambda: points() == len(NIMG))


FIND_CARD = """return [...document.querySelectorAll('[data-testid$=compare-runs-card]')]
               .find(card => card.innerText.split('\\n')[0] === arguments[0])"""


@pytest.mark.parametrize(
    "level, key, step",
    [
        ("train", "samples ema 0.1", 1280),
        ("parent", "samples heun18", 140),
        ("train", "samples at the end", None),
        ("parent", "samples", None),
    ],
)
def test_the_image_grid_shows_the_pictures(browser, runs, level, key, step):
    """As it opens, and where the slider has been moved to `step`."""
    run_id = getattr(runs, level)["none"]
    browser.open(f"{runs.base}/#/experiments/1/runs/{run_id}/model-metrics")

    def width(at: int | None) -> int:
        card = browser.driver.execute_script(
            FIND_CARD, key if level == "parent" else f"drawn/{key}"
        )
        browser.driver.execute_script("arguments[0].scrollIntoView()", card)
        number = card.find_element("css selector", "input[type=number]")
        if at is not None and number.get_attribute("value") != str(at):
            number.send_keys(Keys.CONTROL, "a")
            number.send_keys(str(at), Keys.TAB)
            return 0
        picture = card.find_element("css selector", ".rc-image-img")
        return int(picture.get_property("naturalWidth"))

    browser.wait(f"a picture of {key!r} as it opens", lambda: width(None) >= 8)
    if step is not None:
        browser.wait(f"the picture of {key!r} at step {step}", lambda: width(step) >= 8)


def test_a_runs_page_opens_with_numbers_and_pictures(browser, runs):
    browser.open(f"{runs.base}/#/experiments/1/runs/{runs.parent['none']}")
    browser.wait_text("KID 0.0345", "other numbers")
    pictures = "[...document.querySelectorAll('img[src*=overview]')]"
    widths = f"return {pictures}.map(image => image.naturalWidth)"
    browser.wait("the picture", lambda: browser.driver.execute_script(widths) == [360])


def test_charts_begin_with_the_pictures(browser, runs):
    browser.open(f"{runs.base}/#/experiments/1/runs/{runs.train['none']}/model-metrics")
    card = "[data-testid$=compare-runs-card]"
    browser.wait("the cards", lambda: browser.all(card))
    first = browser.all(card)[0]
    assert first.text.startswith("drawn/") and "=" not in first.text, "params stand above"
    browser.wait("a picture", lambda: first.find_elements("css selector", ".rc-image-img"))


def test_the_experiments_note_can_be_read_whole(browser, runs):
    browser.open(runs.link)
    browser.wait_text("One parent run per result")
    button = "[data-component-id='mlflow.experiment.metadata_editor.expand_button']"
    browser.wait("the arrow beside the note", lambda: browser.all(button))
    first, last = (
        "return [...document.querySelectorAll('p')]",
        "return [...document.querySelectorAll('li')]",
    )
    shown = """.find(e => e.innerText.includes(arguments[0])).getBoundingClientRect().bottom
               <= document.querySelector(arguments[1]).parentElement
                  .getBoundingClientRect().bottom"""
    assert browser.driver.execute_script(first + shown, "names, filters", button)
    browser.all(button)[0].click()
    folded = button.replace("expand", "collapse")
    browser.wait(
        "the last filter",
        lambda: browser.driver.execute_script(last + shown, "dvc.experiment", folded),
    )
