"""Commands in the words of a shell: scripts, Procfiles, and the command lines of other files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from policycompiler.reality.commands.invocation import Environment, Invocation, Unread

_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?:(:?[-=?+])([^{}]*))?\}|(\w+))")
_OPERATORS = frozenset({"&&", "||", ";", "|", "&", "(", ")", "{", "}", ";;"})
_KEYWORDS = frozenset({"then", "do", "else", "if", "exec", "time", "nohup", "!"})
_QUOTED = r"""('[^']*'|"(?:\\.|[^"\\])*"|\\.)"""
_COMMENT = re.compile(rf"{_QUOTED}|(?<![^\s;&|()])#.*")
_SPECIAL = "<>|&;(){}!"
_HIDDEN = {ord(sign): 0xF0000 + at for at, sign in enumerate(_SPECIAL)}
_SHOWN = {code: sign for sign, code in _HIDDEN.items()}
"""Characters for private use stand for those that have no meaning within quotes."""
_PARENTHESIS = re.compile(r"[()]")
_MOST_EXPANSIONS, _MOST_CHARACTERS = 10, 100_000
_SHELLS = {
    **dict.fromkeys(("sh", "bash", "dash", "ash", "zsh", "ksh"), False),
    **dict.fromkeys(("su", "runuser"), True),
}
"""Programs that run the text after `-c`, and whether they do more than that."""
_HAS_A_SCRIPT = re.compile(r"-[a-z]*c|--command")
_HERE_DOCUMENT = re.compile(r"(?<!<)<<(-?)\s*[\"'\\]?([A-Za-z_]\w*)")
_LATER = "${}"
"""Stands for the output of a command that only a shell can run; a shell itself refuses this text."""


def words_of(text: str, variables: Environment) -> list[str]:
    """The words of one command line, with the values of known variables. Raises `ValueError`."""
    return shlex.split(expanded(text, variables))


def expanded(text: str, variables: Environment) -> str:
    """A text with the values of known variables; others stay, with their default."""
    for _ in range(_MOST_EXPANSIONS):
        found = _VARIABLE.sub(lambda match: _value(match, variables), text)
        if found == text or len(found) > max(len(text), _MOST_CHARACTERS):
            break
        text = found
    return text


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    name = match[1] or match[4]
    if name in variables and variables[name] != match[0]:
        return variables[name]
    default = f":-{match[3]}" if match[3] and (match[2] or "").endswith(("-", "=")) else ""
    return f"${{{name}{default}}}"


def commands_in(
    text: str, variables: Environment, place: str, name: str = ""
) -> Iterator[Invocation | Unread]:
    """The Celery commands of a script or of one command line, which may use operators and assignments."""
    own = dict(variables)
    several = "\n" in text.strip()
    for number, line in lines_of(text):
        where = f"{place}:{number}" if several else place
        if _ASSIGNMENT.fullmatch(line) and not _mentions(line):
            _assign(line, own)
            continue
        plain, inner = _without_substitutions(expanded(line, own))
        for each in inner:
            if _mentions(each):
                yield from commands_in(each, own, where, name)
        if not _mentions(plain):
            continue
        try:
            parts = list(_simple_commands(plain))
        except ValueError as problem:
            yield Unread(where, f"not a shell command: {problem}")
            continue
        for words in parts:
            yield from _of_words(words, own, where, name)


def _of_words(
    words: list[str], variables: Environment, place: str, name: str
) -> Iterator[Invocation | Unread]:
    environment: dict[str, str] = {}
    while words and (found := _ASSIGNMENT.fullmatch(words[0])):
        environment[found[1]] = found[2]
        words = words[1:]
    if not words or not _mentions(" ".join(words)):
        return
    outer, script = _script(words)
    if script is None:
        yield Invocation(tuple(words), place, name, environment)
        return
    # `sh -c 'celery …'`: the script is one word.
    for each in commands_in(script, {**variables, **environment}, place, name):
        yield (
            each
            if isinstance(each, Unread)
            else each._replace(words=(*outer, *each.words), environment={**environment, **each.environment})
        )


def _script(words: list[str]) -> tuple[list[str], str | None]:
    """The words around the script of a shell that matter, and the script; None without one."""
    for at, word in enumerate(words):
        program = word.rpartition("/")[2]
        if program == "celery":
            break
        if program in _SHELLS:
            flags = (here for here in range(at + 1, len(words) - 1) if _HAS_A_SCRIPT.fullmatch(words[here]))
            if (flag := next(flags, None)) is not None:
                # `su` changes the user, a plain shell nothing.
                return words[: at + 1] if _SHELLS[program] else words[:at], words[flag + 1]
    return [], None


def _mentions(text: str) -> bool:
    """Whether a text may call Celery."""
    return re.search(r"(^|[\s/'\"=])(celery|celeryd)(\s|$|['\"])", text) is not None or "-m celery" in text


def _without_substitutions(line: str) -> tuple[str, list[str]]:
    """A line with a sign in place of each `$(…)` and of each text in backticks, and the texts in them."""
    plain, inner, at = [], [], 0
    for found in re.finditer(r"\$\(|`", line):
        if found.start() < at:
            continue
        plain += [line[at : found.start()], _LATER]
        end = _end(line, found.end()) if found[0] == "$(" else line.find("`", found.end())
        end = len(line) if end < 0 else end
        inner.append(line[found.end() : end])
        at = end + 1
    return "".join([*plain, line[at:]]), inner


def _end(line: str, start: int) -> int:
    """Where the parenthesis before `start` is closed; -1 if it is not."""
    depth = 1
    for found in _PARENTHESIS.finditer(line, start):
        depth += 1 if found[0] == "(" else -1
        if not depth:
            return found.start()
    return -1


def _without_comment(line: str) -> str:
    """A line without its comment; `shlex` would take a `#` inside a word for one."""
    return _COMMENT.sub(lambda found: found[1] or "", line)


def _simple_commands(line: str) -> Iterator[list[str]]:
    """The simple commands of a line, each as words."""
    hidden = re.sub(_QUOTED, lambda found: found[0].translate(_HIDDEN), _without_comment(line))
    lexer = shlex.shlex(hidden, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    for word in lexer:
        if word in _OPERATORS or (word in _KEYWORDS and not _calls_celery(words)):
            if words:
                yield words
            words = []
        elif word.startswith((">", "<")):
            # A redirection; its target is the next word, which no command reads.
            words.append("\0redirection")
        else:
            words.append(word.translate(_SHOWN))
    if words:
        yield words


def _calls_celery(words: list[str]) -> bool:
    """Whether the next words are those of Celery: a queue may have the name of a keyword."""
    return any(word.rpartition("/")[2] in {"celery", "celeryd"} for word in words)


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """The lines with their first numbers, joined after a backslash, without here-documents."""
    lines = text.splitlines()
    joined, first, at = "", 0, 0
    while at < len(lines):
        line = lines[at]
        at += 1
        first = first or at
        if line.rstrip().endswith("\\"):
            joined += line.rstrip()[:-1] + " "
            continue
        whole = (joined + line).strip()
        if whole and not whole.startswith("#"):
            yield first, whole
            at = _after_here_document(whole, lines, at)
        joined, first = "", 0
    if joined.strip():
        yield first, joined.strip()


def _after_here_document(line: str, lines: list[str], at: int) -> int:
    """The line after the here-documents that a line starts; `at` without one that ends."""
    for dash, word in _HERE_DOCUMENT.findall(line):
        ends = (
            here
            for here in range(at, len(lines))
            if (lines[here].lstrip("\t") if dash else lines[here]) == word
        )
        at = next(ends, at - 1) + 1
    return at


def _assign(line: str, variables: dict[str, str]) -> None:
    found = _ASSIGNMENT.fullmatch(line)
    assert found is not None
    try:
        words = shlex.split(_without_comment(found[2]))
    except ValueError:
        return
    value = words[0] if len(words) == 1 else "" if not words else None
    if value is not None and "$(" not in value and "`" not in value:
        variables[found[1]] = expanded(value, variables)
    else:
        variables.pop(found[1], None)
