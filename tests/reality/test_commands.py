"""Commands of workers and beat, from the files of process managers, read by Celery's own parsers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from places import APPS, EXAMPLES

from policycompiler.compiler import compile_workload
from policycompiler.reality import commands
from policycompiler.reality.commands.today import workers_of


def read(folder: Path, **files: str) -> commands.Found:
    paths = []
    for name, text in files.items():
        path = folder / name.replace("__", "-").replace("_", ".")
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return commands.read(paths, root=folder)


def settings(found: commands.Found, *queues: str) -> dict[str, object]:
    return {each.address: each.value for each in workers_of(found.commands, queues).settings}


def test_supervisor(tmp_path):
    found = read(
        tmp_path,
        shop_conf="[program:mail]\n"
        "command=/opt/bin/celery --app=shop.app worker -Q mail,sms -c %(ENV_SLOTS)s -n mail@%%h ; comment\n"
        "numprocs=3\nprocess_name=%(program_name)s_%(process_num)02d\nstopwaitsecs=90\n"
        "[program:web]\ncommand=gunicorn shop\n"
        "[program:beat]\ncommand=celery -A shop.app beat -S redbeat.RedBeatScheduler\n",
    )
    assert not found.unread
    assert settings(found) == {
        "worker:mail/queues": ["mail", "sms"],
        "worker:mail/app": "shop.app",
        "worker:mail/node_name": "mail@%h",
        "worker:mail/concurrency": "${SLOTS}",
        "worker:mail/replicas": 3,
        "worker:mail/stop_timeout_seconds": 90,
        "beat/scheduler": "redbeat.RedBeatScheduler",
    }


def test_systemd_with_its_environment_and_celery_multi(tmp_path):
    found = read(
        tmp_path,
        celery_service="[Service]\nType=forking\nEnvironmentFile=/etc/conf.d/celery\n"
        "ExecStart=/bin/sh -c '${CELERY_BIN} -A $CELERY_APP multi start $CELERYD_NODES \\\n"
        '    --pidfile=${CELERYD_PID_FILE} --loglevel="${CELERYD_LOG_LEVEL}" $CELERYD_OPTS\'\n'
        "TimeoutStopSec=5min 20s\n",
        celery_env='CELERYD_NODES="w1 w2"\nCELERY_BIN=/usr/bin/celery\nCELERY_APP=proj\n'
        'CELERYD_LOG_LEVEL=INFO\nCELERYD_PID_FILE=/run/celery/%n.pid\nCELERYD_OPTS="-c 4 -Q:w1 a -Q:2 b,c"\n',
    )
    assert settings(found) == {
        "worker:w1/queues": ["a"],
        "worker:w1/app": "proj",
        "worker:w1/log_level": "INFO",
        "worker:w1/node_name": "w1@%h",
        "worker:w1/concurrency": 4,
        "worker:w1/stop_timeout_seconds": 320,
        "worker:w2/queues": ["b", "c"],
        "worker:w2/app": "proj",
        "worker:w2/log_level": "INFO",
        "worker:w2/node_name": "w2@%h",
        "worker:w2/concurrency": 4,
        "worker:w2/stop_timeout_seconds": 320,
    }
    assert not (tmp_path / "run").exists()


def test_shell_scripts_with_variables_branches_and_wrappers(tmp_path):
    found = read(
        tmp_path,
        start_sh="#!/bin/bash\nset -e\nMAX=${MAX_TASKS:-25}\n"
        'if [ "$1" = worker ]; then\n'
        "  exec newrelic-admin run-program celery -A shop worker --pool=threads \\\n"
        '    --max-tasks-per-child=$MAX --concurrency "$SLOTS" "$@" > /dev/null 2>&1 &\n'
        "else\n  cd /app && python -m celery -A shop worker --autoscale=8,2 -X slow\nfi\n",
    )
    assert not found.unread
    assert settings(found, "celery", "slow") == {
        "worker:worker/queues": ["celery", "slow"],
        "worker:worker/app": "shop",
        "worker:worker/pool": "threads",
        "worker:worker/max_tasks_per_child": 25,
        "worker:worker/concurrency": "${SLOTS}",
        "worker:worker/command_prefix": ["newrelic-admin", "run-program"],
        "worker:worker-2/queues": ["celery"],
        "worker:worker-2/app": "shop",
        "worker:worker-2/autoscale": {"min": 2, "max": 8},
    }


def test_compose_kubernetes_and_procfiles(tmp_path):
    found = read(
        tmp_path,
        compose_yaml="services:\n"
        "  worker:\n    command: celery -A shop worker -c 2 -E\n    deploy: {replicas: 3}\n"
        "    stop_grace_period: 1m30s\n"
        "  flower: {command: celery -A shop flower}\n"
        "  db: {image: postgres}\n",
        kube_yaml="apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: slow}\nspec:\n  replicas: 2\n"
        "  template:\n    spec:\n      terminationGracePeriodSeconds: 600\n      containers:\n"
        "      - name: c\n        command: [celery]\n        args: [-A, shop, worker, -Q, slow, -c, $(SLOTS)]\n"
        "        env: [{name: SLOTS, value: '7'}]\n",
        Procfile="tick: celery -A shop beat --max-interval 30 --loglevel INFO\nweb: gunicorn shop\n",
    )
    workers = workers_of(found.commands, ["celery"])
    assert {each.address: each.value for each in workers.settings} == {
        "worker:worker/queues": ["celery"],
        "worker:worker/app": "shop",
        "worker:worker/task_events": True,
        "worker:worker/concurrency": 2,
        "worker:worker/replicas": 3,
        "worker:worker/stop_timeout_seconds": 90,
        "worker:slow/queues": ["slow"],
        "worker:slow/app": "shop",
        "worker:slow/concurrency": 7,
        "worker:slow/replicas": 2,
        "worker:slow/stop_timeout_seconds": 600,
        "app/beat_max_loop_interval": 30,
    }
    left = [each.what for each in workers.unsayable]
    assert left == ["`--loglevel`", "`celery flower`", "environment variables `SLOTS`"]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("start_sh", "celery worker -A shop\n", "`-A` stands after `worker`"),
        ("start_sh", "celery -A shop worker 'oops\n", "not a shell command"),
        (
            "chart_yaml",
            "command: {{ .Values.command }} celery worker\n{{- end }}\n",
            "render a template first",
        ),
        ("start_sh", "celery -A shop worker -c\n", "does not accept this command"),
        ("start_sh", "celery -A shop multi start 2 -Q:9 a\n", "does not accept this command"),
        ("start_sh", "celery -A shop worker --misspelled 3\n", "No such option '--misspelled'"),
    ],
)
def test_a_command_that_cannot_be_read_is_named(tmp_path, name, text, why):
    (unread,) = read(tmp_path, **{name: text}).unread
    assert why in unread.why


def test_no_file_of_any_kind_is_a_traceback(tmp_path):
    texts = [
        "",
        "\0",
        "a: [",
        "[program:x]\ncommand=celery %(x",
        "[Service]\nExecStart=",
        "services: 3\n",
        "{}",
    ]
    for kind in ("x_conf", "x_service", "x_sh", "x_yaml", "Procfile", "Dockerfile", "x_env"):
        for text in texts:
            read(tmp_path, **{kind: text})
    (tmp_path / "binary.sh").write_bytes(b"\xff\xfe celery worker")
    assert commands.read([tmp_path / "binary.sh"], root=tmp_path).unread


def test_what_is_compiled_reads_back_as_what_was_compiled(tmp_path):
    """The launch scripts and the units of the example say the same, and what the plan says."""
    made = compile_workload([EXAMPLES / "shop"], targets=["launch", "supervisor", "systemd"])
    seen = []
    for start in ("launch/", "supervisor/", "systemd/"):
        folder = tmp_path / start
        folder.mkdir()
        for file in made.files:
            if file.path.startswith(start):
                (tmp_path / file.path).write_text(file.text, encoding="utf-8")
        found = commands.read(sorted(folder.iterdir()), root=tmp_path)
        workers = [each for each in found.commands if each.kind == "worker"]
        seen.append(
            sorted((each.app, str(each.options["queues"]), str(each.options["pool"])) for each in workers)
        )
    planned = sorted(
        (made.plan.text(worker, "app") if made.plan.find(worker, "app") else "shop.celery_app:app",
         ",".join(made.plan.texts(worker, "queues")), made.plan.text(worker, "pool"))
        for worker in made.plan.scopes("worker")
    )  # fmt: skip
    assert seen[0] == planned
    assert {*seen[1]} == {*planned}
    assert {*seen[2]} == {*planned}


@pytest.mark.skipif(shutil.which("sh") is None, reason="no sh")
def test_the_scripts_of_the_applications_are_scripts():
    """What the reader is tried on is what a shell accepts."""
    for script in APPS.rglob("*.sh"):
        subprocess.run(["sh", "-n", str(script)], check=True)
