"""`size --measured`: a real Prometheus, saved answers, servers that do not answer as they should."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from certificates import Certificates, certificates
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator
from monitored import Counted, mean, of_exporter, of_telemetry, prometheus
from places import ROOT
from servers import HOST, free_port
from workloads import compiled

from policycompiler.cli import cli
from policycompiler.reality import prometheus as asking
from policycompiler.reality import web

WORKLOAD = """\
version: 1
service: shop
app: shop:app
broker: {transport: redis, url: "${CELERY_BROKER_URL}"}
tasks:
  shop.mail: # sends mails
    latency: interactive
    queue: mail
    runtime: {p50: 300ms, p99: 3s}
    rate: {mean: 2/s, peak: 8/s}
  shop.pay: {queue: mail, runtime: {p50: 300ms, p99: 3s}, rate: 1/s}
  shop.reports.*: {queue: reports, runtime: 20s, rate: 1/s}
  shop.rare: {queue: reports, rate: 1/h}
"""
OVER = ("--over", "2h")
HOURS = 2
GOOD = {"0.25": 0.4, "0.5": 0.6, "2.5": 0.97, "5.0": 1, "10.0": 1, "+Inf": 1}
COUNTED = {
    "shop.mail": Counted(2, 19, {"0.25": 0.1, "0.5": 0.2, "2.5": 0.5, "5.0": 0.9, "10.0": 1, "+Inf": 1}),
    "shop.pay": Counted(1, 1, GOOD),
    "shop.reports.x": Counted(0.5, 0.5, {"10.0": 0.2, "+Inf": 1}),
    "shop.reports.y": Counted(1.5, 1.5, {"10.0": 0.2, "+Inf": 1}),
    "shop.new": Counted(0.1, 0.1, GOOD),
}


def run(*words: str) -> Result:
    return CliRunner(catch_exceptions=False).invoke(
        cli, ["size", "w.yaml", *words], prog_name="policycompiler"
    )


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("w.yaml").write_text(WORKLOAD, "utf-8")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Two instances of celery-exporter watch the same broker."""
    lines = of_exporter(COUNTED, instances=("a:9808", "b:9808"))
    with prometheus(tmp_path_factory.mktemp("exporter"), lines) as address:
        yield address


def of(data: dict[str, Any], task: str) -> dict[str, Any]:
    (found,) = (each for each in data["measured"]["tasks"] if each["task"] == task)
    assert isinstance(found, dict)
    return found


def test_the_numbers_are_those_of_a_computation_by_hand(server: str):
    done = run("--measured", server, *OVER, "--format", "json")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    schema = json.loads((ROOT / "schemas" / "size.schema.json").read_text("utf-8"))
    Draft202012Validator(schema).validate(data)
    mail = of(data, "shop.mail")
    assert mail["rate_mean_per_second"]["measured"] == pytest.approx(
        mean(COUNTED["shop.mail"], HOURS), rel=0.05
    )
    assert mail["rate_peak_per_second"]["measured"] == pytest.approx(19, rel=1e-3)
    # Half of the runs are at the bound 2.5 s. 9 of 10 of the last tenth are between 5 s and 10 s.
    assert mail["runtime_p50_seconds"]["measured"] == pytest.approx(2.5, rel=1e-3)
    assert mail["runtime_p99_seconds"]["measured"] == pytest.approx(5 + 5 * 0.9, rel=1e-3)
    reports = of(data, "shop.reports.*")
    assert reports["seen_as"] == ["shop.reports.x", "shop.reports.y"]
    assert reports["rate_mean_per_second"]["measured"] == pytest.approx(2, rel=1e-3)
    assert (reports["runtime_p99_seconds"]["measured"], reports["runtime_p99_seconds"]["at_least"]) == (
        10,
        True,
    )
    (new,) = data["measured"]["undeclared"]
    assert (new["task"], new["rate_mean_per_second"]) == ("shop.new", pytest.approx(0.1, rel=1e-3))
    # 19/s instead of 8/s, and longer runs.
    (worker,) = (each for each in data["measured"]["workers"] if each["worker"] == "mail")
    assert worker["new"]["offered_load"] > 2 * worker["old"]["offered_load"]
    assert worker["new"]["slots"] == worker["old"]["slots"]


def test_the_percentiles_are_those_of_prometheus(server: str):
    data = json.loads(run("--measured", server, *OVER, "--format", "json").stdout)
    for share, key in ((0.5, "runtime_p50_seconds"), (0.99, "runtime_p99_seconds")):
        buckets = "sum by (name, le) (increase(celery_task_runtime_bucket[2h]))"
        text = urlencode({"query": f"histogram_quantile({share}, {buckets})"})
        with urlopen(f"{server}/api/v1/query?{text}", timeout=30) as answer:
            result = json.load(answer)["data"]["result"]
        theirs = {each["metric"]["name"]: float(each["value"][1]) for each in result}
        for task in ("shop.mail", "shop.pay"):
            assert of(data, task)[key]["measured"] == pytest.approx(theirs[task], rel=1e-3)


def test_the_table_shows_what_disagrees(server: str):
    shown = run("--measured", server, *OVER).stdout
    assert shown.startswith("measured over 2 h (celery-exporter): 2 of 3 tasks disagree")
    (mail,) = (line for line in shown.splitlines() if line.startswith("shop.mail "))
    cells = [each.strip() for each in mail.split("  ") if each.strip()]
    assert cells[2:] == ["8/s → 19/s", "300ms → 2.5s", "3s → 9.5s", "w.yaml:6"]
    assert "shop.pay " not in shown.partition("workers with")[0]
    assert "measured, but not declared: shop.new (6/m)" in shown
    assert "declared, but not measured: shop.rare" in shown
    assert "would keep the promise of 1 s" in shown


def test_after_the_edit_nothing_disagrees(server: str):
    shown = run("--measured", server, *OVER).stdout
    assert "+    runtime: {p50: 2.5s, p99: 9.5s}" in shown
    assert "   shop.mail: # sends mails" in shown
    patch = shown.partition("declare what was measured:\n")[2]
    done = subprocess.run(
        ["patch", "-p0"], input=patch, text=True, capture_output=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stdout
    again = run("--measured", server, *OVER).stdout
    assert again.startswith("measured over 2 h (celery-exporter): none of 3 tasks disagree")
    assert "declare what was measured" not in again


def test_the_query_can_be_asked_by_hand_and_its_answer_be_saved(server: str):
    text = run("--query", *OVER).stdout
    with urlopen(f"{server}/api/v1/query?{urlencode({'query': text})}", timeout=30) as answer:
        Path("answer.json").write_bytes(answer.read())
    asked, saved = run("--measured", server, *OVER).stdout, run("--measured", "answer.json", *OVER).stdout
    assert saved.startswith("measured over 2 h (answer.json): 2 of 3 tasks disagree")
    assert (
        saved.partition("shop.mail")[2].partition("2.5s")[0]
        == asked.partition("shop.mail")[2].partition("2.5s")[0]
    )


def test_the_own_telemetry_counts_before_the_exporter(tmp_path: Path):
    """It selects the series of this service; those of another service do not count."""
    policy = "version: 1\nparameters: {metric-sources: {sources: [telemetry, celery-exporter]}}\n"
    Path("policy.yaml").write_text(policy, "utf-8")
    others = {"shop.mail": Counted(70, 70, GOOD)}
    lines = of_telemetry({"shop": COUNTED, "other": others})
    with prometheus(tmp_path, lines) as address:
        done = run("--measured", address, *OVER, "--policy", "policy.yaml", "--format", "json")
    data = json.loads(done.stdout)
    assert data["measured"]["sources"] == ["the telemetry of this service"]
    assert of(data, "shop.mail")["rate_peak_per_second"]["measured"] == pytest.approx(19, rel=1e-3)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "answer.json: it is not JSON"),
        ("<html>", "it is not JSON"),
        ('{"status": "success"} trailing', "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("{}", "neither an answer of Prometheus' API nor of Flower's"),
        ('{"status": "error", "errorType": "bad_data", "error": "x\\u001b[31m"}', "bad_data: x\\x1b[31m"),
        ('{"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}}', "is a scalar"),
        (
            '{"status": "success", "data": {"resultType": "vector", "result": []}}',
            "answer.json measured no task that this workload declares",
        ),
        (
            '{"data": {"resultType": "vector", "result": [{"metric": {"name": "x.y"}, "value": [1, "2"]}]}}',
            "measured no task that this workload declares; it has x.y",
        ),
        (
            '{"data": {"resultType": "vector", "result": [{"metric": {"name": "shop.mail"}, "value": [1, "NaN"]}]}}',
            "measured no task that this workload declares",
        ),
    ],
)
def test_a_file_that_cannot_be_compared_says_why(text: str, told: str):
    Path("answer.json").write_text(text, "utf-8")
    done = run("--measured", "answer.json")
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"nothing is compared: {told}" in done.stderr or told in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("place", ["absent.json", ".", "/dev/null"])
def test_a_file_that_cannot_be_read_is_named(place: str):
    done = run("--measured", place)
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"nothing is compared: {place}" in done.stderr


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def stub(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """An HTTP server that answers every question like this."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://{{}}{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def says(status: int, body: str, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body.encode())

    return answer


EMPTY = '{"status": "success", "data": {"resultType": "vector", "result": []}}'


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (says(200, "<!doctype html><title>Login</title>"), "is not that of Prometheus' API"),
        (says(200, "[]"), "is not that of Prometheus' API"),
        (says(200, ""), "is not that of Prometheus' API"),
        (
            says(200, EMPTY),
            "has no series of tasks of this service from celery-exporter, the telemetry of this service or Flower",
        ),
        (
            says(200, '{"status": "success", "data": {"resultType": "scalar", "result": [0, "1"]}}'),
            "is a scalar",
        ),
        (says(401, "no"), "answers 401 Unauthorized: write a login into the URL"),
        (says(403, "no"), "answers 403 Forbidden"),
        (
            says(302, "", Location="http://elsewhere.invalid/"),
            "answers 302 Found: it leads to another address",
        ),
        (says(500, "oops"), "answers 500 Internal Server Error"),
        (
            says(422, '{"status": "error", "errorType": "execution", "error": "query timed out"}'),
            "answers 422 Unprocessable Entity: query timed out",
        ),
        (lambda request: request.wfile.write(b"nonsense\r\n\r\n"), "does not answer"),
        (lambda request: request.connection.close(), "does not answer"),
    ],
)
def test_a_server_that_answers_otherwise_is_told(answer: Answer, told: str):
    with stub(answer) as address:
        done = run("--measured", address.format("user:s3cret@"))
    assert (done.exit_code, done.stdout) == (1, "")
    assert told in done.stderr
    assert "s3cret" not in done.stderr
    assert "Traceback" not in done.stderr


def test_no_server_is_told():
    done = run("--measured", f"http://user:s3cret@{HOST}:{free_port()}")
    assert (done.exit_code, "does not answer: " in done.stderr, "s3cret" in done.stderr) == (1, True, False)


def test_the_login_is_sent_and_the_path_is_kept():
    seen: list[tuple[str, str | None]] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        seen.append((request.path.partition("?")[0], request.headers["Authorization"]))
        says(200, EMPTY)(request)

    with stub(answer) as address:
        run("--measured", address.format("me:p%40ss@") + "/prometheus/")
    assert set(seen) == {("/prometheus/api/v1/query", f"Basic {b64encode(b'me:p@ss').decode()}")}


@pytest.mark.parametrize("url", ["http://", "http://[x", "http://h:99999", "http://h/?a=b", "https://h#x"])
def test_what_is_no_address_is_told(url: str):
    done = run("--measured", url)
    assert (done.exit_code, "not the address of a Prometheus server" in done.stderr) == (1, True)


def test_an_unknown_certificate_is_told(tmp_path: Path):
    found: Certificates = certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(found.server, found.key)
    with stub(says(200, EMPTY), context) as address:
        done = run("--measured", address.format(""))
    assert (done.exit_code, "certificate" in done.stderr.lower()) == (1, True)


def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch):
    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            while True:
                request.wfile.write(b" ")
                time.sleep(0.05)
        except OSError:
            pass

    monkeypatch.setattr(asking, "TIMEOUT_SECONDS", 1)
    with stub(endless) as address:
        done = run("--measured", address.format(""))
    assert (done.exit_code, "does not answer: no whole answer within 1 s" in done.stderr) == (1, True)


def test_an_answer_that_is_too_large_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(web, "LARGEST_BYTES", 1000)
    with stub(says(200, " " * 100_000)) as address:
        done = run("--measured", address.format(""))
    assert (done.exit_code, "the answer is larger than" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    "words", [("--rate-factor", "2"), ("--explain", "mail"), ("--set", "tasks.shop.pay.rate=2/s")]
)
def test_other_numbers_are_not_compared(words: tuple[str, ...]):
    done = run("--measured", "answer.json", *words)
    assert (done.exit_code, "--measured compares what is written" in done.stderr) == (2, True)


@pytest.mark.parametrize("over", ["1m", "7", "401d", "week"])
def test_the_time_is_a_duration(over: str):
    assert run("--measured", "answer.json", "--over", over).exit_code == 2


def test_prometheus_accepts_the_query_of_every_source(server: str):
    plan = compiled(WORKLOAD).plan
    assert plan is not None
    sources = asking.sources_of(plan)
    assert [each.name for each in sources] == ["celery-exporter", "telemetry", "flower"]
    for source in sources:
        text = urlencode({"query": asking.query(plan, source, 7200)})
        with urlopen(f"{server}/api/v1/query?{text}", timeout=30) as answer:
            assert json.load(answer)["status"] == "success"


ONE = """\
version: 1
service: shop
app: shop:app
broker: {transport: redis, url: "${CELERY_BROKER_URL}"}
tasks:
  shop.a: {queue: q, latency: interactive, runtime: {p50: 500ms, p99: 800ms}, rate: {mean: 2/s, peak: 8/s}}
"""
BUCKETS = {"0.5": 50_000, "1": 90_000, "5": 96_000, "30": 99_000, "60": 100_000, "+Inf": 100_000}


def saved(buckets: dict[str, float], **rates: str) -> str:
    """An answer of Prometheus with the runs of `shop.a` up to each bound, and its rates."""
    labels = [({"le": bound}, str(runs)) for bound, runs in buckets.items()]
    labels += [({"rate": rate}, value) for rate, value in rates.items()]
    result = [{"metric": {"name": "shop.a", **given}, "value": [1, value]} for given, value in labels]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})


@pytest.mark.parametrize(
    ("buckets", "rates"),
    [(BUCKETS, {}), (BUCKETS, {"mean": "3", "peak": "30"}), ({"1": 1, "9": 10**5, "+Inf": 10**5}, {})],
)
def test_the_wanted_slots_are_those_of_the_edited_workload(buckets: dict[str, float], rates: dict[str, str]):
    Path("w.yaml").write_text(ONE, "utf-8")
    Path("answer.json").write_text(saved(buckets, **rates), "utf-8")
    shown = run("--measured", "answer.json").stdout
    before = json.loads(run("--format", "json").stdout)["workers"]
    patch = shown.partition("declare what was measured:\n")[2]
    subprocess.run(["patch", "-p0"], input=patch, text=True, check=True, capture_output=True, timeout=30)
    after = json.loads(run("--format", "json").stdout)["workers"]
    slots = [next(each["slots"] for each in found if each["worker"] == "q") for found in (before, after)]
    assert slots[0] < slots[1]
    assert f"  {slots[0]} → {slots[1]}  " in shown


@pytest.mark.parametrize(
    ("buckets", "rates", "told"),
    [
        (BUCKETS, {"mean": "1e308", "peak": "1e308"}, "1e+308 messages of shop.a a second are too many"),
        (BUCKETS, {"mean": "1e16", "peak": "1e16"}, "1e+16 messages of shop.a a second are too many"),
        (BUCKETS, {"mean": "9.99e11", "peak": "9.99e11"}, "a rate is at most 999999999999/s"),
        ({"0.5": 1, "1e120": 100, "+Inf": 100}, {}, "1e+120 seconds as the bound of runs of shop.a"),
        ({"0.9": 1, "1e10": 10**5, "+Inf": 10**5}, {}, "at most 3660d"),
        ({"0.9": 1e300, "+Inf": 1e300}, {}, "1e+300 runs of shop.a in a bucket are too many"),
    ],
)
def test_numbers_that_no_workload_can_have_are_told(
    buckets: dict[str, float], rates: dict[str, str], told: str
):
    Path("w.yaml").write_text(ONE, "utf-8")
    Path("answer.json").write_text(saved(buckets, **rates), "utf-8")
    done = run("--measured", "answer.json")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "nothing is compared: " in done.stderr
    assert told in done.stderr
