"""Templates lay out and decide nothing, and every value in them passes through the quotes of its format."""

from __future__ import annotations

import jinja2
import pytest
from jinja2 import Environment, FileSystemLoader, ModuleLoader, UndefinedError, nodes

from policycompiler.emitters import launch, redis, supervisor, systemd
from policycompiler.emitters.base import Raw, one_line, shipped
from policycompiler.emitters.markdown import markdown_text
from policycompiler.emitters.python import python_literal
from policycompiler.emitters.syntax import OPTIONS, compiled_folder
from policycompiler.emitters.templates import environment

TEMPLATES = sorted(
    path.relative_to(shipped("templates")).as_posix()
    for path in shipped("templates").rglob("*")
    if path.is_file() and path.parent.name != "init"  # a workload to begin with, copied as it is
)

ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.For,
    nodes.If,
    nodes.Include,
    nodes.Name,
    nodes.Getattr,
    nodes.Tuple,
)

QUOTES = {
    "celeryconfig": python_literal,
    "routing": markdown_text,
    "runbook": markdown_text,
    "launch": launch.quote,
    "systemd": systemd.quote,
    "supervisor": supervisor.quote,
    "env": one_line,
    "rabbitmq": launch.quote,
    "alertmanager": launch.quote,
    "redis": redis.quote,
}
"""By the folder of the templates that are rendered with it."""

CONTROL = ["two\nlines", "nul\0", "bell\a", "return\r", "escape\x1b[2J", "next\x85line", "\ud800"]


def test_an_installed_wheel_has_what_its_jinja2_makes_of_each_template():
    folder = shipped("templates").with_name(compiled_folder(jinja2.__version__))
    if not folder.is_dir():
        pytest.skip("a checkout compiles its templates when it uses them")
    fresh = Environment(
        loader=FileSystemLoader(shipped("templates")), finalize=lambda value: value, **OPTIONS
    )
    for template in TEMPLATES:
        source, *_ = fresh.loader.get_source(fresh, template)
        made = (folder / ModuleLoader.get_module_filename(template)).read_text(encoding="utf-8")
        assert made == fresh.compile(source, template, template, raw=True, defer_init=True)


def test_each_folder_of_templates_has_its_quotes():
    assert {template.partition("/")[0] for template in TEMPLATES} == set(QUOTES)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_holds_text_names_loops_and_conditions_alone(template):
    parsed = environment(str)
    tree = parsed.parse((shipped("templates") / template).read_text(encoding="utf-8"))
    included = {id(node.template) for node in tree.find_all(nodes.Include)}
    # Every node but the root, which is none of its own descendants.
    others = [node for node in tree.find_all(nodes.Node) if not isinstance(node, ALLOWED)]
    assert [node for node in others if not (isinstance(node, nodes.Const) and id(node) in included)] == []


@pytest.mark.parametrize("quote", QUOTES.values(), ids=QUOTES)
@pytest.mark.parametrize("text", ["{{ missing }}", "{{ known.missing }}", "{% if missing %}{% endif %}"])
def test_an_undefined_name_fails(quote, text):
    template = environment(quote).from_string(text)
    with pytest.raises(UndefinedError, match="missing"):
        template.render(known="known")


@pytest.mark.parametrize("quote", QUOTES.values(), ids=QUOTES)
def test_a_value_is_quoted_once_and_raw_text_not_at_all(quote):
    template = environment(quote).from_string("{{ value }} {{ raw }}")
    assert template.render(value="a $b", raw=Raw("$c")) == f"{quote('a $b')} $c"


@pytest.mark.parametrize("folder", ["routing", "launch", "systemd", "supervisor", "rabbitmq", "redis"])
@pytest.mark.parametrize("text", CONTROL, ids=ascii)
def test_control_characters_are_refused_where_nothing_can_quote_them(folder, text):
    with pytest.raises(ValueError, match="control character"):
        QUOTES[folder](text)


@pytest.mark.parametrize("text", CONTROL, ids=ascii)
def test_control_characters_are_escaped_in_python(text):
    literal = python_literal(text)
    assert literal.isascii()
    assert literal.isprintable()
    assert eval(literal) == text


@pytest.mark.parametrize("quote", QUOTES.values(), ids=QUOTES)
@pytest.mark.parametrize("value", [b"bytes", object, {1, 2}, 1j, float("inf"), float("nan")], ids=repr)
def test_a_type_that_the_format_does_not_know_is_refused(quote, value):
    with pytest.raises(TypeError, match=r"has no Python literal|neither text nor a whole number"):
        quote(value)


@pytest.mark.parametrize("folder", ["routing", "launch", "systemd", "supervisor", "rabbitmq", "redis"])
@pytest.mark.parametrize("value", [None, True, 1.5, ["a"], {"a": 1}], ids=repr)
def test_what_only_python_has_a_word_for_is_refused_elsewhere(folder, value):
    with pytest.raises(TypeError, match="neither text nor a whole number"):
        QUOTES[folder](value)
