"""Files and folders: which are found, and why one is not read."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policycompiler.diagnostics import Place
from policycompiler.load import find_sources, load
from policycompiler.load.files import LARGEST_FILE_BYTES


def problems(*paths):
    return [(finding.name, finding.message, finding.place) for finding in load(paths)[1]]


def test_of_a_folder_every_yaml_file_below_it_is_found_sorted(tmp_path):
    for name in (
        "b.yml",
        "a.yaml",
        "sub/deep/c.yaml",
        "notes.txt",
        "d.YAML.bak",
        ".hidden.yaml",
        ".git/e.yaml",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert [path.relative_to(tmp_path).as_posix() for path in find_sources([tmp_path])] == [
        "a.yaml",
        "b.yml",
        "sub/deep/c.yaml",
    ]


@pytest.mark.parametrize(
    ("beside", "skipped"),
    [
        pytest.param(["manifest.json", "plan.json"], True, id="compiled"),
        pytest.param(["manifest.json"], False, id="some web app"),
        pytest.param(["plan.json"], False, id="a plan"),
    ],
)
def test_a_folder_that_a_compile_wrote_is_skipped_with_all_below_it(tmp_path, beside, *, skipped):
    (tmp_path / "out" / "prometheus").mkdir(parents=True)
    for name in ("a.yaml", "out/b.yaml", "out/prometheus/c.yaml", *(f"out/{name}" for name in beside)):
        (tmp_path / name).touch()
    found = {path.relative_to(tmp_path).as_posix() for path in find_sources([tmp_path])}
    assert found == {"a.yaml"} | (set() if skipped else {"out/b.yaml", "out/prometheus/c.yaml"})


def test_sources_keep_their_order_and_come_once(tmp_path):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.touch()
    second.touch()
    assert find_sources([second, tmp_path, first]) == [second, first]
    assert find_sources([tmp_path / "missing.yaml"]) == [tmp_path / "missing.yaml"]
    assert find_sources([tmp_path / "a.txt"]) == [tmp_path / "a.txt"]


def test_a_folder_that_links_to_itself_ends(tmp_path):
    (tmp_path / "a.yaml").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    assert find_sources([tmp_path]) == [tmp_path / "a.yaml"]


def test_one_file_under_two_names_is_read_once(tmp_path, monkeypatch):
    (tmp_path / "a.yaml").write_text("tasks: {a: }")
    (tmp_path / "b.yaml").symlink_to("a.yaml")
    monkeypatch.chdir(tmp_path)
    sources = [Path("a.yaml"), Path("b.yaml"), tmp_path / "a.yaml", Path(), Path("missing.yaml")]
    assert find_sources(sources) == [Path("a.yaml"), Path("missing.yaml")]


def test_what_is_no_regular_file_is_refused_and_never_waited_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.yaml")
    Path("folder.yaml").mkdir()
    Path("loop.yaml").symlink_to("loop.yaml")
    Path("dangling.yaml").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.yaml")
        names = ("pipe", "socket", "folder", "loop", "dangling", "missing")
        found = problems(Path("/dev/null"), *(Path(f"{name}.yaml") for name in names))
    assert [(name, message) for name, message, _ in found] == [
        ("unreadable-file", "cannot be read: it is a device, not a file"),
        ("unreadable-file", "cannot be read: it is a pipe, not a file"),
        ("unreadable-file", "cannot be read: it is a socket, not a file"),
        ("unreadable-file", "cannot be read: it is a folder, not a file"),
        ("unreadable-file", "cannot be read: Too many levels of symbolic links"),
        ("unreadable-file", "cannot be read: No such file or directory"),
        ("unreadable-file", "cannot be read: No such file or directory"),
    ]
    assert [place.file for _, _, place in found][1:] == [f"{name}.yaml" for name in names]


def test_a_pipe_and_a_dangling_link_in_a_folder_are_reported_not_passed_over(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "dangling.yaml").symlink_to("nowhere")
    assert [place.file for _, _, place in problems(*find_sources([tmp_path]))] == [
        f"{tmp_path}/dangling.yaml",
        f"{tmp_path}/pipe.yaml",
    ]


@pytest.fixture
def open_folder():
    """A folder that everybody may enter: pytest's own are closed to other users."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


@pytest.fixture
def nobody():
    """Root may read everything, so whoever is root is somebody else for the test."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


def test_what_may_not_be_read_is_reported(open_folder, request):
    (open_folder / "closed").mkdir()
    (open_folder / "closed" / "a.yaml").write_text("version: 1")
    (open_folder / "b.yaml").write_text("version: 1")
    (open_folder / "b.yaml").chmod(0)
    (open_folder / "closed").chmod(0)
    request.getfixturevalue("nobody")
    found = problems(*find_sources([open_folder, open_folder / "closed" / "a.yaml"]))
    assert [(message, place.file.removeprefix(f"{open_folder}/")) for _, message, place in found] == [
        ("cannot be read: Permission denied", "b.yaml"),
        ("cannot be read: Permission denied", "closed"),
        ("cannot be read: Permission denied", "closed/a.yaml"),
    ]


def test_a_name_with_a_null_character_is_reported():
    assert problems(Path("a\0.yaml"))[0][0] == "unreadable-file"


def test_a_file_name_that_is_not_utf_8_is_shown_in_characters_that_are(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.yaml"))
    path.write_text("a: 1")
    document, findings = load([path])
    assert findings == []
    assert document.place(("a",)) == Place(f"{tmp_path}/\\udcff.yaml", 1, 4)


@pytest.mark.parametrize(
    ("raw", "byte", "line", "column"),
    [
        (b"\xff", "0xff", 1, 1),
        (b"a: 1\nb: \xe9", "0xe9", 2, 4),
        ("é😀: ".encode() + b"\x80", "0x80", 1, 5),
        (b"a: 1\r\nb: 2\r\r\xc3", "0xc3", 4, 1),
        (b"\xef\xbb\xbfa: 1\nb: x\xff", "0xff", 2, 5),
        (b"a: \xed\xa0\x80", "0xed", 1, 4),
        ("a: 1".encode("utf-16"), "0xff", 1, 1),
    ],
)
def test_a_byte_that_is_not_utf_8_is_refused_where_it_stands(tmp_path, raw, byte, line, column):
    path = tmp_path / "w.yaml"
    path.write_bytes(raw)
    assert problems(path) == [
        ("unreadable-file", f"byte {byte} is not UTF-8", Place(str(path), line, column))
    ]


def test_a_byte_order_mark_takes_no_column(tmp_path):
    path = tmp_path / "w.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    document, findings = load([path])
    assert findings == []
    assert document.data == {"a": 1, "b": 2}
    assert document.place(("a",)) == Place(str(path), 1, 4)
    assert document.place(("b",), key=True) == Place(str(path), 2, 1)


def test_a_file_may_be_sixteen_mebibytes_and_no_byte_more(tmp_path):
    path = tmp_path / "w.yaml"
    text = b"a: 1\n#"
    path.write_bytes(text + b"x" * (LARGEST_FILE_BYTES - len(text)))
    assert problems(path) == []
    with path.open("ab") as file:
        file.write(b"x")
    assert [(name, place) for name, _, place in problems(path)] == [
        ("document-too-large", Place(str(path), 1, 1))
    ]


def test_the_problems_of_all_files_are_reported_together(tmp_path):
    for name, text in (("a", "x: 010"), ("b", "x: [\n"), ("c", ""), ("d", "y: 1\ny: 2"), ("e", "z: 1")):
        (tmp_path / f"{name}.yaml").write_text(text)
    paths = [*find_sources([tmp_path]), tmp_path / "f.yaml"]
    assert [(name, Path(place.file).name) for name, _, place in problems(*paths)] == [
        ("ambiguous-scalar", "a.yaml"),
        ("invalid-yaml", "b.yaml"),
        ("not-a-mapping", "c.yaml"),
        ("duplicate-key", "d.yaml"),
        ("unreadable-file", "f.yaml"),
    ]


@pytest.fixture(scope="module")
def scratch_file(tmp_path_factory):
    return tmp_path_factory.mktemp("bytes") / "w.yaml"


@settings(derandomize=True, deadline=None, max_examples=1000)
@given(
    raw=st.one_of(
        st.binary(max_size=40),
        st.lists(
            st.sampled_from(
                (b"a: ", b"\n", b"\xff", b"\xef\xbb\xbf", b"\0", b"- ", "é".encode(), b"\xc3", b"*")
            )
        ).map(b"".join),
    )
)
def test_any_bytes_are_read_or_refused_with_a_place(scratch_file, raw):
    scratch_file.write_bytes(raw)
    document, findings = load([scratch_file])
    assert findings or document.data == document.per_file[0][0]
    assert all(finding.place.file == str(scratch_file) and finding.place.line > 0 for finding in findings)
