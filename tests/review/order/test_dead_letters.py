"""Queues of dead letters in a rollout: who has which, and when somebody looks into them."""

from __future__ import annotations

from review_of import RABBITMQ, TODAY, arguments_of, at, plan_of, reviewed
from rollout_cases import CLASSIC, DEAD_LETTERS, of, tasks

from policycompiler.plan import Plan, Scope
from policycompiler.review import Class, Review, review
from policycompiler.review.conditions import DeleteQueue

OLD = RABBITMQ + tasks(a="q, idempotent: true", b="p") + DEAD_LETTERS


def to_quorum() -> Review:
    return of("other arguments of a queue and of its dead letters", "")


def stand_in(found: Review) -> Plan:
    """The plan between the way there and the way back."""
    (plan,) = (plan for folder, plan in found.phases.items() if folder.endswith("-stand-in"))
    return plan


def shorter(plan: Plan) -> Plan:
    """The plan with room for fewer dead letters, as a parameter of the policy may say."""
    key = "dead_letter_arguments"
    return Plan(
        {
            scope: {
                name: each._replace(value={"x-max-length": 5}) if name == key else each
                for name, each in plan.keys(scope).items()
            }
            for scope in {each.scope: None for each in plan}
        }
    )


def deletions(found: Review) -> list[tuple[int, str]]:
    """The queues that are deleted, each with the number of its step."""
    return [
        (number, action.queue)
        for number, step in enumerate(found.steps)
        for action in step.run
        if isinstance(action, DeleteQueue)
    ]


def test_dead_letters_are_looked_into_between_the_ways_there_and_back_and_at_the_end():
    found = to_quorum()
    assert deletions(found) == [(4, "q"), (5, "q.dead"), (10, "q.v2"), (11, "q.v2.dead")]
    for number, name in ((5, "q.dead"), (11, "q.v2.dead")):
        step = found.steps[number]
        assert step.action.startswith(f"rerun or save the dead letters in `{name}`")
        assert len(step.run) == 1


def test_what_a_step_says_about_dead_letters_is_not_to_be_settled_before():
    found = to_quorum()
    change = at(found, "queue:q/dead_letter_arguments")
    assert change.risk is Class.MANUAL
    assert "q.v2 has its own dead-letter queue" in change.because
    assert not any(step.by_hand for step in found.steps)


def test_a_dead_letter_queue_that_stays_as_it_is_is_shared_with_the_stand_in():
    found = reviewed(OLD, OLD.replace("classic", "classic, priorities: 5"))
    assert [name for _, name in deletions(found)] == ["q", "q.v2"]
    assert {
        plan.get(queue, "dead_letter_queue")
        for plan in found.phases.values()
        for queue in plan.scopes("queue")
    } == {None, "q.dead"}


def test_a_queue_that_goes_leaves_its_dead_letters_to_somebody():
    found = reviewed(OLD, RABBITMQ + tasks(a="p", b="p"))
    assert [name for _, name in deletions(found)] == ["q", "q.dead"]


def test_a_stand_in_has_dead_letters_of_its_own_where_those_would_be_declared_otherwise():
    plan = stand_in(to_quorum())
    queue = Scope("queue", "q.v2")
    assert plan.text(queue, "dead_letter_queue") == "q.v2.dead"
    arguments = plan.below(queue, "arguments.")
    assert arguments["x-dead-letter-routing-key"] == "q.v2.dead"


def test_dead_letters_that_are_pinned_to_another_place_go_on_going_there():
    pinned = "queues: {q: {type: classic, dead_letter: true, arguments: {x-dead-letter-exchange: lost}}}\n"
    old = RABBITMQ + "tasks: {shop.a: {queue: q, idempotent: true}}\n" + pinned
    plan = stand_in(reviewed(old, old.replace("classic", "quorum")))
    arguments = plan.below(Scope("queue", "q.v2"), "arguments.")
    assert (arguments["x-dead-letter-exchange"], arguments["x-dead-letter-routing-key"]) == ("lost", "q.dead")


def test_where_only_dead_letters_are_declared_otherwise_it_is_said_when_to_delete_their_queue():
    old = plan_of(OLD)
    found = review(old, shorter(old), TODAY)
    change = at(found, "queue:q/dead_letter_arguments")
    assert change.risk is Class.MANUAL
    for told in (
        "right before the first step",
        "declares the old queue again",
        "RabbitMQ refuses it",
        "no dead letter",
    ):
        assert told in change.because
    by_hand, *others = found.steps
    assert by_hand.why == change.because
    assert [step.phase for step in others] == ["switch"]


def test_on_another_broker_no_dead_letter_queue_exists_as_it_was():
    new = plan_of(OLD.replace("CELERY_BROKER_URL", "OTHER"))
    found = review(plan_of(OLD), shorter(new), TODAY)
    assert at(found, "queue:q/dead_letter_arguments").risk is Class.SAFE


def test_what_kept_dead_letters_and_keeps_none_any_more_is_lossy_and_made_anew():
    kept, none = (
        RABBITMQ + declared + "tasks: {shop.a: {queue: q, idempotent: true}}\n"
        for declared in (DEAD_LETTERS, CLASSIC)
    )
    found = reviewed(kept, none)
    assert at(found, "task:shop.a/options.acks_on_failure").risk is Class.LOSSY
    assert arguments_of(found, "queue:q").risk is Class.ORDERED
    assert at(found, "queue:q/dead_letter_arguments").risk is Class.SAFE
