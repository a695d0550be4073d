"""What is sent again soon does not pile up, and what is sent seldom is not dropped."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.schedules import schedule_options

FOLLOWED = "the next run replaces a run that has waited for a whole interval"


def schedule(fields: str, task: str = "") -> str:
    return f"tasks: {{shop.a: {{{task}}}}}\nschedules: {{s: {{task: shop.a, {fields}}}}}"


DECIDES = {
    "an interval": (schedule("every: 10m"), ({"expires": 540}, FOLLOWED)),
    "a short interval": (schedule("every: 2s"), ({"expires": 1}, FOLLOWED)),
    "a crontab that is due often": (schedule("cron: '*/15 * * * *'"), ({"expires": 810}, FOLLOWED)),
    "a crontab that is due each hour": (schedule("cron: '15 * * * *'"), ({"expires": 3240}, FOLLOWED)),
    "a crontab of nearly even gaps": (schedule("cron: '*/7 * * * *'"), ({"expires": 216}, FOLLOWED)),
    "options": (
        schedule("every: 10m, options: {queue: q, priority: 5, expires: 60}"),
        ({"expires": 60, "priority": 5, "queue": "q"}, "the schedule declares its options"),
    ),
    "options beside an interval": (
        schedule("every: 10m, options: {queue: q}"),
        ({"expires": 540, "queue": "q"}, FOLLOWED),
    ),
    "an expiry": (
        schedule("cron: '0 3 * * *', expires: 1h"),
        ({"expires": 3600}, ("the schedule declares its options")),
    ),
    "an expiry wins over the option": (
        schedule("every: 10m, expires: 1m, options: {expires: 5}"),
        ({"expires": 60}, "the schedule declares its options"),
    ),
    "the task expires sooner": (
        schedule("every: 10m", "expires: 1m"),
        ({"expires": 60}, "the task declares this expiry"),
    ),
    "the task expires later": (schedule("every: 10m", "expires: 1h"), ({"expires": 540}, FOLLOWED)),
}
STAYS_SILENT = {
    "every second": schedule("every: 1s"),
    "a night job": schedule("cron: '0 3 * * *'"),
    "due twice a day": schedule("cron: '0 9,10 * * *'"),
    "the sun": schedule("solar: {event: sunset, latitude: 1, longitude: 2}"),
    "not enabled": schedule("every: 10m, enabled: false"),
    "not readable": schedule("cron: '0 25 * * *'"),
}
LEADS_TO = {
    "the interval": (
        schedule("every: 10m"),
        ["2:38", "parameters.schedule-options.expires_over_interval"],
    ),
    "the crontab": (
        schedule("cron: '*/15 * * * *'"),
        [
            "2:37",
            "parameters.schedule-options.longest_crontab_gap",
            "parameters.schedule-options.expires_over_interval",
        ],
    ),
    "the expiry and the options": (
        schedule("every: 10m, expires: 1m, options: {priority: 5}"),
        ["2:65", "2:52"],
    ),
    "the task's expiry": (schedule("every: 10m", "expires: 1m"), ["task:shop.a/options.expires"]),
}
REFUSES = {
    "a limit above the task's": (
        (
            "tasks: {shop.*: {runtime: 10s}}\n"
            "schedules: {s: {task: shop.a, every: 1h, options: {time_limit: 60, soft_time_limit: 5}}}"
        ),
        Found(
            "schedule-limit-above-task",
            "2:64",
            "`time_limit` is 1 min, but stops and timeouts assume runs of 21 s at most",
            "lower `time_limit`, or declare the longer run time for shop.*",
        ),
    ),
    "two expiries": (
        schedule("every: 1h, expires: 5m, options: {expires: 60}"),
        Found("expires-twice", "2:74", "schedule s sets `expires` twice", "remove one of the two expiries"),
    ),
    "frequent, with a gap at night": (
        schedule("cron: '*/5 9-17 * * *'"),
        Found(
            "beat-expires",
            "2:37",
            (
                "runs are 5 min to 15 h 5 min apart and never expire: after an outage, all waiting "
                "runs follow one another"
            ),
            "add `expires:`, the time after which a run is useless",
        ),
    ),
    "kept for longer than to the next": (
        schedule("every: 5m, expires: 1h"),
        Found(
            "expires-over-interval",
            "2:51",
            (
                "a run expires after 1 h, but the next one is due within 5 min: after an outage, up to "
                "13 runs follow one another"
            ),
            "let a run expire before the next one, for instance after 4 min 30 s",
        ),
    ),
    "as an option": (
        schedule("cron: '0 * * * *', options: {expires: 3601}"),
        Found(
            "expires-over-interval",
            "2:69",
            (
                "a run expires after 1 h 1 s, but the next one is due within 1 h: after an outage, up "
                "to 2 runs follow one another"
            ),
            "let a run expire before the next one, for instance after 54 min",
        ),
    ),
}
ACCEPTS = {
    "until the next one is due": schedule("every: 5m, expires: 5m"),
    "frequent, and its task expires": schedule("cron: '*/5 9-17 * * *'", "expires: 5m"),
    "frequent, and its runs expire": schedule("cron: '*/5 9-17 * * *', expires: 15h"),
    "seldom, without expiry": schedule("cron: '0 3 * * 1-5'"),
    "twice in hours, then never for a day": schedule("cron: '0 9,11 * * *'"),
    "a limit below the task's": schedule("every: 1h, options: {time_limit: 17}", "runtime: 10s"),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    assert after(schedule_options, fragment).decided["schedule:s/options"] == expected


@pytest.mark.parametrize("fragment", STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment):
    assert after(schedule_options, fragment).decided == {}


@pytest.mark.parametrize(("fragment", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, places):
    assert after(schedule_options, fragment).origins["schedule:s/options"] == places


@pytest.mark.parametrize(("fragment", "finding"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, finding):
    assert after(schedule_options, fragment).findings == [finding]


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(schedule_options, fragment).findings == []
