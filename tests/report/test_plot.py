"""The picture of waits, read back as SVG and as PNG."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result
from places import EXAMPLES, ROOT

from policycompiler.cli import cli
from policycompiler.report import plot as plots
from policycompiler.report.curves import Curves
from policycompiler.report.plot import MOST_WORKERS, plot

SVG = "{http://www.w3.org/2000/svg}"
SHOP = str(EXAMPLES / "shop")
HEAD = """\
version: 1
service: shop
app: shop:app
broker: {transport: redis, url: "${CELERY_BROKER_URL}"}
tasks:
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> Result:
    return CliRunner(catch_exceptions=False).invoke(cli, ["size", *words], prog_name="policycompiler")


def root(data: bytes) -> ET.Element:
    return ET.fromstring(data.decode())


def texts(picture: ET.Element) -> list[str]:
    return ["".join(each.itertext()) for each in picture.iter(f"{SVG}text")]


def group(picture: ET.Element, name: str) -> ET.Element:
    (found,) = (each for each in picture.iter(f"{SVG}g") if each.get("id") == name)
    return found


def curve(
    worker: str, *, slots: int = 2, today: float = 0.5, breaks: float | None = 1.5, most: float = 2
) -> Curves:
    points = ((0.0, 0.0), (1.0, 0.5), (1.5, 2.0))
    return Curves(worker, slots, 0.5, 1.0, breaks, today, most, 1.75, (points, points, points))


def test_each_worker_has_a_plot_with_its_numbers():
    done = run(SHOP, "--plot", "waits.svg")
    assert done.exit_code == 0, done.output
    assert "wrote waits.svg" in done.stderr
    assert "shop.interactive.io" in done.stdout
    picture = root(Path("waits.svg").read_bytes())
    for worker in (
        "search",
        "shop.batch.cpu",
        "shop.interactive.io",
        "shop.standard.cpu",
        "shop.standard.io",
    ):
        shown = texts(group(picture, f"worker-{worker}"))
        assert shown.count(worker) == 1
        assert shown.count("today") == 1
        assert sum(each.startswith("breaks at ") for each in shown) == 1
    interactive = texts(group(picture, "worker-shop.interactive.io"))
    assert "12 slots, 65% busy; p99 today: 0.57 s" in interactive
    # The promise and its parts are the ticks of the waits.
    assert {"0.5 s", "1 s", "1.5 s", "breaks at 1.09 x"} < {*interactive}
    assert {"wait p50", "wait p95", "wait p99", "promise for p99"} < {*texts(picture)}


def test_the_curve_of_p99_meets_the_promise_where_its_axis_has_it():
    """From the picture alone: at the height of the promise, the curve is just beyond the line of the break."""
    run(SHOP, "--explain", "search", "--plot", "waits.svg")
    picture = root(Path("waits.svg").read_bytes())
    axes = group(picture, "worker-search")
    paths = [each for each in axes.iter(f"{SVG}path") if each.get("style")]

    def points(color: str) -> list[tuple[float, float]]:
        (found,) = (
            each for each in paths if f"stroke: {color}" in str(each.get("style")) and each.get("clip-path")
        )
        numbers = [float(word) for word in str(found.get("d")).replace("M", " ").replace("L", " ").split()]
        return [*zip(numbers[::2], numbers[1::2], strict=True)]

    height = points("#8a5300")[0][1]
    line = points("#b02318")[0][0]
    above = [x for x, y in points("#123f85") if y <= height]
    below = [x for x, y in points("#123f85") if y > height]
    assert line < min(above)
    assert min(above) - line < 0.1 * (line - min(below))


def test_a_picture_is_the_same_on_every_run_and_ignores_the_settings_of_a_user(tmp_path: Path):
    settings = tmp_path / "matplotlibrc"
    settings.write_text("font.size: 30\nsvg.fonttype: path\naxes.facecolor: red\nsavefig.dpi: 20\n", "utf-8")
    command = [sys.executable, "-m", "policycompiler", "size", SHOP, "--plot"]
    for number, more in enumerate(
        ({}, {"MATPLOTLIBRC": str(settings), "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"})
    ):
        for kind in ("svg", "png"):
            subprocess.run(
                [*command, f"{number}.{kind}"],
                check=True,
                capture_output=True,
                timeout=120,
                env={**os.environ, **more, "PYTHONPATH": str(ROOT)},
            )
    for kind in ("svg", "png"):
        assert Path(f"0.{kind}").read_bytes() == Path(f"1.{kind}").read_bytes()


def test_a_png_has_the_size_of_its_grid():
    sizes = []
    for number in (1, 3, 4, 7):
        data = plot([curve(f"w{each}") for each in range(number)], "t", [], "png")
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        sizes.append(struct.unpack(">II", data[16:24]))
        assert b"tEXtSoftware" not in data
    (wide1, high1), (wide3, high3), (wide4, high4), (wide7, high7) = sizes
    assert (wide1, wide3, high3) == (wide4, wide7, high1)
    assert high7 - high4 == high4 - high3 > 0


@pytest.mark.parametrize(
    "name", ["$x^2$", "a$b$c", "<b>&amp;\"'", "]]>", "--><script>", "\x1b[31mred", "\u202eabc", "名前"]
)
def test_no_name_breaks_out_of_the_picture(name: str):
    picture = root(plot([curve(name)], name, [f"what if: {name}"], "svg"))
    shown = texts(picture)
    printable = name.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert printable in shown
    assert f"what if: {printable}" in shown
    assert {each.tag for each in picture.iter()} & {f"{SVG}script", f"{SVG}b"} == set()
    assert plot([curve(name)], name, [], "png").startswith(b"\x89PNG")


def test_a_long_name_keeps_both_ends():
    (shown,) = (each for each in texts(root(plot([curve("a" * 60 + "end")], "t", [], "svg"))) if "…" in each)
    assert (shown[:3], shown[-3:]) == ("aaa", "end")


def test_a_broken_promise_is_marked_on_the_other_side_of_today():
    picture = root(plot([curve("w", breaks=0.6, today=float("inf"), most=1.45)], "t", [], "svg"))
    shown = {"".join(each.itertext()): str(each.get("style")) for each in picture.iter(f"{SVG}text")}
    assert "text-anchor: end" in shown["breaks at 0.6 x"]
    assert "text-anchor: end" not in shown["today"]
    assert "2 slots, 50% busy; p99 today: endless" in shown


def test_the_colors_follow_a_dark_scheme():
    text = plot([curve("w")], "t", [], "svg").decode()
    used = {color for color in plots._DARK if f"stroke: {color}" in text or f"fill: {color}" in text}
    assert used == {*plots._DARK}
    assert "prefers-color-scheme: dark" in text


def test_workers_without_a_known_load_are_named():
    Path("w.yaml").write_text(
        HEAD + "  shop.a: {queue: a, rate: 1/s, runtime: 1s}\n  shop.b: {queue: b}\n", "utf-8"
    )
    done = run("w.yaml", "--plot", "w.svg")
    assert (done.exit_code, "not drawn, because their load is unknown or 0: b" in done.stderr) == (0, True)
    done = run("w.yaml", "--explain", "b", "--plot", "b.svg")
    assert (done.exit_code, Path("b.svg").exists()) == (1, False)
    assert "no plot: no worker has a known load" in done.stderr


def test_of_many_workers_the_first_that_break_are_drawn():
    number = MOST_WORKERS + 5
    tasks = "".join(
        f"  shop.t{each}: {{queue: q{each:03}, rate: {each + 1}/s, runtime: {{p50: 1s, p99: 1s}}}}\n"
        for each in range(number)
    )
    workers = "workers:\n" + "".join(f"  q{each:03}: {{concurrency: 80}}\n" for each in range(number))
    Path("w.yaml").write_text(HEAD + tasks + workers, "utf-8")
    done = run("w.yaml", "--plot", "w.svg")
    assert f"only the {MOST_WORKERS} workers that break first are drawn, without 5 others" in done.stderr
    ids = [each.get("id", "") for each in root(Path("w.svg").read_bytes()).iter(f"{SVG}g")]
    drawn = [each.removeprefix("worker-") for each in ids if each.startswith("worker-")]
    assert drawn == [f"q{each:03}" for each in range(5, number)]


def test_what_if_is_told_in_the_picture():
    run(SHOP, "--rate-factor", "2", "--plot", "w.svg")
    assert "what if: all rates times 2" in texts(root(Path("w.svg").read_bytes()))


def test_without_the_library_a_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run(SHOP, "--plot", "w.svg")
    assert (done.exit_code, Path("w.svg").exists()) == (2, False)
    assert "pip install 'policycompiler[plot]'" in done.stderr
    assert run(SHOP).exit_code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--plot", "w.pdf"), "does not end with .svg or .png"),
        (("--plot", "w"), "does not end with .svg or .png"),
        (("--plot", "absent/w.svg"), "absent/w.svg: No such file or directory"),
        (("--plot", "w.svg", "--measured", "x.json"), "use it without --explain, --plot"),
    ],
)
def test_a_picture_that_cannot_be_written_is_told(words: tuple[str, ...], told: str):
    done = run(SHOP, *words)
    assert (done.exit_code, told in done.stderr) == (2, True), done.stderr
