"""The output folder: compared, shown, and written as a whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from policycompiler.emitters.base import MODE_FILE, MODE_SCRIPT, OutputFile
from policycompiler.output import MANIFEST, Comparison, compare, manifest_file, tree, unified_diff, write

Tree = dict[str, tuple[int, bytes | str | None]]

NOBODY = 65534


def compiled(texts: Mapping[str, str], version: str = "1.0") -> list[OutputFile]:
    """Output files of these texts, scripts executable, and their manifest."""
    files = [
        OutputFile(path, text, MODE_SCRIPT if path.endswith(".sh") else MODE_FILE, frozenset())
        for path, text in texts.items()
    ]
    return [*files, manifest_file(files, {"shop.yaml": "0" * 64}, version)]


OLD = compiled({"celeryconfig.py": "a = 1\n", "launch/mail.sh": "old\n", "systemd/mail.service": "[Unit]\n"})
NEW = compiled({"celeryconfig.py": "a = 2\n", "launch/mail.sh": "old\n", "redis/redis.conf": "port 1\n"})


def snapshot(folder: Path) -> Tree:
    """Everything in a folder: mode, and a file's bytes or a link's target."""
    tree: Tree = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        content: bytes | str | None = None
        if stat.S_ISLNK(mode):
            content = str(path.readlink())
        elif stat.S_ISREG(mode):
            content = path.read_bytes()
        tree[str(path.relative_to(folder))] = (mode, content)
    return tree


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def written(folder: Path, files: list[OutputFile], *, force: bool = False) -> Comparison:
    result = write(folder, files, force=force)
    assert result.problems == ()
    assert compare(folder, files).fresh
    return result


def of_kind(result: Comparison, kind: str) -> tuple[str, ...]:
    """The paths that differ in one way."""
    return tuple(path for path, found in result.differences.items() if found == kind)


def codes(result: Comparison) -> list[tuple[str, str]]:
    return [(problem.code, problem.name) for problem in result.problems]


def refused(folder: Path, files: list[OutputFile], *, force: bool = False) -> Comparison:
    """The answer of a write that is refused and leaves everything around the folder as it was."""
    before = snapshot(folder.parent)
    result = write(folder, files, force=force)
    assert result.problems
    assert snapshot(folder.parent) == before
    return result


def importing_us() -> dict[str, str]:
    """An environment in which another Python imports the package under test."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture
def build(tmp_path: Path) -> Path:
    return tmp_path / "build"


# The manifest


def test_the_manifest_holds_a_hash_of_every_file_and_is_the_same_whatever_the_order(build: Path) -> None:
    written(build, OLD)
    manifest = json.loads((build / MANIFEST).read_text())
    assert manifest == {
        "format": 1,
        "version": "1.0",
        "sources": {"shop.yaml": "0" * 64},
        "files": {
            path: hashlib.sha256((build / path).read_bytes()).hexdigest()
            for path in ("celeryconfig.py", "launch/mail.sh", "systemd/mail.service")
        },
    }
    plain = OLD[:-1]
    sources = {"b": "1", "a": "2"}
    again = manifest_file(list(reversed(plain)), dict(reversed(sources.items())), "1.0")
    assert again == manifest_file(plain, sources, "1.0")


@pytest.mark.parametrize(
    "paths",
    [
        pytest.param(["a", "a"], id="twice"),
        pytest.param(["ROUTING.md", "routing.md"], id="case"),
        pytest.param(["Launch/a.sh", "launch/b.sh"], id="case-of-a-folder"),
        pytest.param(["systemd", "systemd/a.service"], id="file-and-folder"),
        pytest.param(["/etc/passwd"], id="absolute"),
        pytest.param(["../a"], id="parent"),
        pytest.param(["a/../b"], id="parent-inside"),
        pytest.param(["a//b"], id="not-canonical"),
        pytest.param(["."], id="the-folder-itself"),
        pytest.param(["a\nb"], id="control-character"),
    ],
)
def test_output_paths_that_cannot_share_a_folder_are_a_programming_error(
    build: Path, paths: list[str]
) -> None:
    files = [OutputFile(path, "", MODE_FILE, frozenset()) for path in paths]
    with pytest.raises(ValueError, match="output paths"):
        write(build, [*files, manifest_file(files, {}, "1")])
    assert not build.exists()


def test_files_without_their_manifest_are_a_programming_error(build: Path) -> None:
    with pytest.raises(ValueError, match="manifest"):
        compare(build, OLD[:-1])


# A plain write


def test_a_first_write_creates_the_folder_and_its_parents(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "staging"
    assert of_kind(compare(folder, OLD), "missing") == tuple(sorted(file.path for file in OLD))
    written(folder, OLD)
    assert {file.path: (folder / file.path).read_text() for file in OLD} == {f.path: f.text for f in OLD}
    assert names(tmp_path / "out") == {"staging", *(f"staging/{name}" for name in names(folder))}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_modes_do_not_depend_on_the_umask(build: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        private = OutputFile("secret.env", "", 0o600, frozenset())
        written(build, [private, *OLD])
    finally:
        os.umask(before)
    modes = {path: mode & 0o7777 for path, (mode, _) in snapshot(build).items()}
    assert modes["celeryconfig.py"] == 0o644
    assert modes["launch/mail.sh"] == 0o755
    assert modes["secret.env"] == 0o600
    assert modes["launch"] == 0o755
    assert stat.S_IMODE(build.stat().st_mode) == 0o755


def test_a_second_write_replaces_stale_files_removes_orphans_and_leaves_nothing_beside(build: Path) -> None:
    written(build, OLD)
    result = written(build, NEW)
    assert result.differences == {
        "celeryconfig.py": "stale",
        MANIFEST: "stale",
        "redis/redis.conf": "missing",
        "systemd/mail.service": "orphaned",
    }
    assert names(build) == {
        "celeryconfig.py",
        "launch",
        "launch/mail.sh",
        MANIFEST,
        "redis",
        "redis/redis.conf",
    }
    assert names(build.parent) == {"build", *(f"build/{name}" for name in names(build))}


def test_nothing_is_touched_when_nothing_changed(build: Path) -> None:
    written(build, OLD)
    os.utime(build, ns=(1, 1))
    os.utime(build.parent, ns=(2, 2))
    before = {path: path.stat().st_ino for path in build.rglob("*")}
    assert write(build, OLD).fresh
    assert {path: path.stat().st_ino for path in build.rglob("*")} == before
    assert (build.stat().st_mtime_ns, build.parent.stat().st_mtime_ns) == (1, 2)


def test_a_folder_says_by_its_time_that_it_was_written(build: Path) -> None:
    written(build, OLD)
    os.utime(build, ns=(1, 1))
    written(build, NEW)
    assert build.stat().st_mtime_ns > 1


def test_an_unchanged_file_among_changed_ones_keeps_its_time(build: Path) -> None:
    written(build, OLD)
    os.utime(build / "launch/mail.sh", ns=(5, 5))
    written(build, NEW)
    assert (build / "launch/mail.sh").stat().st_mtime_ns == 5


@pytest.mark.parametrize(
    ("path", "mode", "drifted"),
    [
        pytest.param("launch/mail.sh", 0o644, True, id="no-longer-executable"),
        pytest.param("celeryconfig.py", 0o755, True, id="executable"),
        pytest.param("secret.env", 0o640, True, id="no-longer-private"),
        pytest.param("celeryconfig.py", 0o664, False, id="a-checkout-under-umask-002"),
        pytest.param("launch/mail.sh", 0o700, False, id="a-checkout-under-umask-077"),
    ],
)
def test_a_mode_is_stale_where_it_matters(build: Path, path: str, mode: int, *, drifted: bool) -> None:
    files = [OutputFile("secret.env", "K=1\n", 0o600, frozenset()), *OLD]
    written(build, files)
    (build / path).chmod(mode)
    assert compare(build, files).differences == ({path: "stale"} if drifted else {})
    written(build, files)
    mended = next(file.mode for file in files if file.path == path)
    assert stat.S_IMODE((build / path).stat().st_mode) == (mended if drifted else mode)


def test_a_deleted_file_of_ours_comes_back(build: Path) -> None:
    written(build, OLD)
    (build / "celeryconfig.py").unlink()
    assert written(build, OLD).differences == {"celeryconfig.py": "missing"}


# What is not ours


def put_neighbours(folder: Path) -> None:
    """Files, links, pipes and folders that are not ours, with odd modes, around and inside our folders."""
    (folder / "README").write_text("by hand\n")
    (folder / "README").chmod(0o640)
    (folder / "launch" / "local.sh").write_text("local\n")
    (folder / "link").symlink_to("nowhere/at/all")
    (folder / "outside").symlink_to("/etc", target_is_directory=True)
    os.mkfifo(folder / "pipe")
    (folder / "systemd" / "empty").mkdir()
    (folder / "data" / "deep").mkdir(parents=True)
    (folder / "data" / "deep" / os.fsdecode(b"\xff.bin")).write_bytes(b"\x00\xff")
    os.utime(folder / "data" / "deep", ns=(7, 7))
    (folder / "data").chmod(0o550)


NEIGHBORS = {"README", "launch/local.sh", "link", "outside", "pipe", "systemd/empty", "data", "data/deep"}


@contextmanager
def _without_hard_links(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "this file system has none")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", refuse)
        yield


@pytest.mark.parametrize("hard_links", [True, False], ids=["hard-links", "copies"])
def test_neighbours_are_carried_over_unchanged(
    build: Path, monkeypatch: pytest.MonkeyPatch, *, hard_links: bool
) -> None:
    written(build, OLD)
    put_neighbours(build)
    if not hard_links:
        (build / "pipe").unlink()
    before = snapshot(build)
    inode = (build / "README").stat().st_ino
    if hard_links:
        written(build, NEW)
        assert (build / "README").stat().st_ino == inode
    else:
        with _without_hard_links(monkeypatch):
            written(build, NEW)
        assert (build / "README").stat().st_ino != inode
    after = snapshot(build)
    kept = {path for path in before if path in NEIGHBORS or path.startswith("data")}
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}
    assert kept >= NEIGHBORS - {"pipe"}
    assert after["systemd"] == before["systemd"]
    assert "systemd/mail.service" not in after
    assert (build / "data" / "deep").stat().st_mtime_ns == 7
    (build / "data").chmod(0o755)


def test_an_open_log_beside_our_files_goes_on_in_the_new_folder(build: Path) -> None:
    written(build, OLD)
    with (build / "worker.log").open("a") as log:
        written(build, NEW)
        log.write("still here\n")
    assert (build / "worker.log").read_text() == "still here\n"


def test_a_file_that_was_edited_by_hand_is_not_overwritten_without_force(build: Path) -> None:
    written(build, OLD)
    (build / "celeryconfig.py").write_text("a = 'mine'\n")
    result = refused(build, NEW)
    assert codes(result) == [("PC901", "edited-by-hand")]
    assert result.problems[0].place == (str(build / "celeryconfig.py"), 1, 1)
    assert of_kind(result, "edited") == ("celeryconfig.py",)
    assert compare(build, NEW) == result
    written(build, NEW, force=True)
    assert (build / "celeryconfig.py").read_text() == "a = 2\n"


def test_an_edit_that_says_what_would_be_compiled_is_no_edit(build: Path) -> None:
    written(build, OLD)
    (build / "celeryconfig.py").write_text("a = 2\n")
    assert "celeryconfig.py" not in written(build, NEW).differences


def test_an_orphan_that_was_edited_by_hand_is_not_removed_without_force(build: Path) -> None:
    written(build, OLD)
    (build / "systemd/mail.service").write_text("[Unit]\n# mine\n")
    assert of_kind(refused(build, NEW), "edited") == ("systemd/mail.service",)
    written(build, NEW, force=True)
    assert not (build / "systemd").exists()


def test_a_file_in_our_place_that_we_never_wrote_is_overwritten_only_by_force(build: Path) -> None:
    build.mkdir()
    (build / "celeryconfig.py").write_text("theirs\n")
    result = refused(build, OLD)
    assert codes(result) == [("PC902", "not-ours")]
    assert of_kind(result, "foreign") == ("celeryconfig.py",)
    written(build, OLD, force=True)


def test_a_file_in_our_place_with_our_very_text_is_adopted(build: Path) -> None:
    written(build, OLD)
    (build / MANIFEST).unlink()
    assert written(build, OLD).differences == {MANIFEST: "missing"}


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_in_our_place_is_never_followed(build: Path, tmp_path: Path, *, dangling: bool) -> None:
    elsewhere = tmp_path / "elsewhere"
    if not dangling:
        elsewhere.mkdir()
        (elsewhere / "mail.sh").write_text("old\n")
    written(build, OLD)
    shutil.rmtree(build / "launch")
    (build / "launch").symlink_to(elsewhere)
    (build / "celeryconfig.py").unlink()
    (build / "celeryconfig.py").symlink_to(elsewhere / "mail.sh")
    before = snapshot(elsewhere)
    result = refused(build, OLD)
    assert of_kind(result, "foreign") == ("celeryconfig.py", "launch")
    assert of_kind(result, "missing") == ("launch/mail.sh",)
    written(build, OLD, force=True)
    assert not (build / "launch").is_symlink()
    assert snapshot(elsewhere) == before


def test_an_orphan_behind_a_link_is_left_alone(build: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    written(build, OLD)
    (build / "systemd").rename(elsewhere)
    (build / "systemd").symlink_to(elsewhere)
    written(build, NEW)
    assert (build / "systemd").is_symlink()
    assert (elsewhere / "mail.service").read_text() == "[Unit]\n"


@pytest.mark.parametrize("content", ["theirs", None], ids=["with-a-file", "empty"])
def test_a_folder_in_our_place_is_never_deleted_not_even_by_force(build: Path, content: str | None) -> None:
    (build / "celeryconfig.py").mkdir(parents=True)
    if content:
        (build / "celeryconfig.py" / "file").write_text(content)
    for force in (False, True):
        assert codes(refused(build, OLD, force=force)) == [("PC902", "not-ours")]


def test_a_file_of_ours_may_become_a_folder_and_a_folder_a_file(build: Path) -> None:
    written(build, compiled({"a": "file\n", "b/c/d": "deep\n"}))
    written(build, compiled({"a/b": "deep\n", "b": "file\n"}))
    assert names(build) == {"a", "a/b", "b", MANIFEST}


def test_every_reason_is_said_in_one_run(build: Path) -> None:
    written(build, OLD)
    (build / "celeryconfig.py").write_text("mine\n")
    (build / "redis").write_text("theirs\n")
    assert [code for code, _ in codes(refused(build, NEW))] == ["PC901", "PC902"]


# The manifest on disk


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{", id="cut-short"),
        pytest.param("[" * 100_000, id="too-deep"),
        pytest.param("[]", id="a-list"),
        pytest.param('{"format": 2, "files": {}}', id="another-format"),
        pytest.param('{"format": 1}', id="no-files"),
        pytest.param('{"format": 1, "files": {"a": 1}}', id="no-hash"),
        pytest.param('{"format": 1, "files": {"../victim": "%s"}}', id="parent"),
        pytest.param('{"format": 1, "files": {"a/../../victim": "%s"}}', id="parent-inside"),
        pytest.param('{"format": 1, "files": {"/victim": "%s"}}', id="absolute"),
        pytest.param('{"format": 1, "files": {"": "%s"}}', id="empty"),
        pytest.param('{"name": "web app", "icons": []}', id="somebody-else's"),
    ],
)
def test_a_manifest_that_cannot_be_read_stops_a_write_and_deletes_nothing(build: Path, text: str) -> None:
    written(build, OLD)
    victim = build.parent / "victim"
    victim.write_text("precious\n")
    (build / MANIFEST).write_text(text.replace("%s", hashlib.sha256(b"precious\n").hexdigest()))
    result = refused(build, NEW)
    assert codes(result) == [("PC904", "unreadable-manifest")]
    assert codes(compare(build, NEW)) == codes(result)
    written(build, NEW, force=True)
    assert victim.read_text() == "precious\n"
    assert (build / "systemd/mail.service").exists()


def test_a_manifest_that_is_not_text_cannot_be_read(build: Path) -> None:
    written(build, OLD)
    (build / MANIFEST).write_bytes(b"\xff\xfe\x00")
    assert codes(refused(build, OLD)) == [("PC904", "unreadable-manifest")]


# Folders that cannot be written


@pytest.mark.parametrize("place", ["current", "above", "home", "root", "link-to-current"])
def test_a_folder_that_holds_more_than_output_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    project = tmp_path / "here" / "project"
    home = tmp_path / "users" / "me"
    project.mkdir(parents=True)
    home.mkdir(parents=True)
    (tmp_path / "link").symlink_to(project)
    monkeypatch.chdir(project)
    monkeypatch.setenv("HOME", str(home))
    folders = {
        "current": Path(),
        "above": Path(".."),
        "home": home.parent,
        "root": Path("/"),
        "link-to-current": tmp_path / "link",
    }
    before = snapshot(tmp_path)
    for force in (False, True):
        result = write(folders[place], OLD, force=force)
        assert codes(result) == [("PC903", "unwritable-output")]
        assert "-o DIR" in result.problems[0].help
    assert codes(compare(folders[place], OLD)) == codes(result)
    assert unified_diff(folders[place], OLD) == ""
    assert snapshot(tmp_path) == before


def test_a_link_to_the_folder_stays_and_the_folder_behind_it_is_written(build: Path, tmp_path: Path) -> None:
    (tmp_path / "releases").mkdir()
    build.symlink_to("releases/3")
    for files in (OLD, NEW):
        written(build, files)
    assert build.is_symlink()
    assert names(tmp_path / "releases") == {"3", *(f"3/{name}" for name in names(build))}


def _a_file(folder: Path) -> Path:
    folder.write_text("a file\n")
    return folder


def _below_a_file(folder: Path) -> Path:
    return _a_file(folder) / "build"


def _a_loop(folder: Path) -> Path:
    folder.symlink_to(folder)
    return folder


def _too_long(folder: Path) -> Path:
    return folder.with_name("x" * 256)


def _too_long_beside(folder: Path) -> Path:
    return folder.with_name("x" * 250)


@pytest.mark.parametrize("spoil", [_a_file, _below_a_file, _a_loop, _too_long, _too_long_beside])
def test_a_folder_that_cannot_be_made_is_a_finding(build: Path, spoil: Callable[[Path], Path]) -> None:
    assert codes(refused(spoil(build), OLD)) == [("PC903", "unwritable-output")]


@pytest.fixture
def ordinary_build() -> Iterator[Path]:
    """A folder to be, as a user whom permissions bind; root steps down for the test."""
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        if os.geteuid() == 0:
            os.chown(parent, NOBODY, NOBODY)
            os.setegid(NOBODY)
            os.seteuid(NOBODY)
        try:
            yield Path(parent) / "build"
        finally:
            os.seteuid(os.getuid())
            os.setegid(os.getgid())


def test_a_parent_without_write_permission_is_a_finding(ordinary_build: Path) -> None:
    ordinary_build.parent.chmod(0o555)
    assert codes(refused(ordinary_build, OLD)) == [("PC903", "unwritable-output")]
    ordinary_build.parent.chmod(0o755)


def test_a_neighbour_that_cannot_be_read_is_a_finding(ordinary_build: Path) -> None:
    written(ordinary_build, OLD)
    (ordinary_build / "closed").mkdir(mode=0)
    assert codes(write(ordinary_build, NEW)) == [("PC903", "unwritable-output")]
    (ordinary_build / "closed").rmdir()
    assert compare(ordinary_build, OLD).fresh


def test_a_folder_without_write_permission_is_replaced_and_keeps_its_mode(ordinary_build: Path) -> None:
    written(ordinary_build, OLD)
    (ordinary_build / "launch").chmod(0o555)
    ordinary_build.chmod(0o555)
    written(ordinary_build, NEW)
    assert stat.S_IMODE(ordinary_build.stat().st_mode) == 0o555
    assert stat.S_IMODE((ordinary_build / "launch").stat().st_mode) == 0o555
    assert [path.name for path in ordinary_build.parent.iterdir()] == ["build"]
    for folder in (ordinary_build, ordinary_build / "launch"):
        folder.chmod(0o755)


def test_a_disk_that_takes_no_more_is_a_finding_and_leaves_the_old_tree(build: Path) -> None:
    written(build, OLD)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    try:
        result = refused(build, compiled({"big.json": "x" * 128 * 1024}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert codes(result) == [("PC903", "unwritable-output")]


WRITER_ON_A_MOUNT = """
set -e
mkdir -p "$1/build$2"
mount -t tmpfs none "$1/build$2"
echo precious > "$1/build$2/file"
"$3" -c "
import sys
from pathlib import Path
from policycompiler.output import manifest_file, write
result = write(Path(sys.argv[1]), [manifest_file([], {}, '1')])
print([problem.message for problem in result.problems])
" "$1/build"
cat "$1/build$2/file"
"""


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-rm", "true"], check=False).returncode != 0,
    reason="needs a mount namespace of its own",
)
@pytest.mark.parametrize("where", ["", "/data"], ids=["the-folder", "inside"])
def test_a_mounted_file_system_is_not_moved(tmp_path: Path, where: str) -> None:
    answer = subprocess.run(
        ["unshare", "-rm", "sh", "-c", WRITER_ON_A_MOUNT, "sh", str(tmp_path), where, sys.executable],
        check=True,
        capture_output=True,
        text=True,
        env=importing_us(),
    )
    assert "mount point" in answer.stdout
    assert answer.stdout.endswith("\nprecious\n")
    assert [path.name for path in tmp_path.iterdir()] == ["build"]


# One writer at a time


@contextmanager
def _lock_of(parent: Path) -> Iterator[int]:
    descriptor = os.open(parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def test_a_second_writer_is_refused_when_the_first_takes_too_long(
    build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "LOCK_WAIT_SECONDS", 0)
    with _lock_of(build.parent):
        result = refused(build, OLD)
    assert codes(result) == [("PC903", "unwritable-output")]
    assert "another compile is writing" in result.problems[0].message
    written(build, OLD)


def test_a_second_writer_waits_for_the_first(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _lock_of(build.parent) as descriptor:
        waits: list[float] = []

        def first_ends(seconds: float) -> None:
            assert not build.exists()
            waits.append(seconds)
            fcntl.flock(descriptor, fcntl.LOCK_UN)

        monkeypatch.setattr(tree.time, "sleep", first_ends)
        written(build, OLD)
    assert len(waits) == 1


def test_writers_side_by_side_leave_one_whole_tree(build: Path) -> None:
    results: list[Comparison] = []
    writers = [
        Thread(target=lambda files=files: results.extend(write(build, files) for _ in range(10)))
        for files in (OLD, NEW, OLD, NEW)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [result.problems for result in results] == [()] * 40
    assert compare(build, OLD).fresh or compare(build, NEW).fresh
    assert [path.name for path in build.parent.iterdir()] == ["build"]


def test_a_folder_that_changes_during_the_write_is_not_replaced(
    build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(build, OLD)
    really_build = tree.build

    def build_while_somebody_saves(*args: object) -> None:
        really_build(*args)
        (build / "notes").write_text("new\n")

    monkeypatch.setattr(tree, "build", build_while_somebody_saves)
    assert codes(write(build, NEW)) == [("PC903", "unwritable-output")]
    assert (build / "notes").read_text() == "new\n"
    assert compare(build, OLD).fresh


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from policycompiler import output
from policycompiler.emitters.base import OutputFile
from policycompiler.output import tree

folder, at_once, *texts = eval(sys.stdin.readline())
files = [OutputFile(path, text, mode, frozenset()) for path, text, mode in texts]
if not at_once:
    tree.swapped_at_once = lambda *_: False
STEPS = ("os.", "open", "shutil.", "tempfile.", "ctypes.", "fcntl.")

def die_at(last):
    step = 0
    def count(event, _):
        nonlocal step
        if event.startswith(STEPS):
            step += 1
            if step == last:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)

for line in sys.stdin:
    child = os.fork()
    if not child:
        die_at(int(line))
        problems = output.write(Path(folder), files).problems
        os._exit(1 if problems else 0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@contextmanager
def _killed_writer(folder: Path, files: list[OutputFile], *, at_once: bool) -> Iterator[Callable[[int], int]]:
    """Write in a process that kills itself before its nth step on the file system; answers its exit code."""
    request = (str(folder), at_once, *((file.path, file.text, file.mode) for file in files))
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_WRITER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=importing_us(),
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def write_until(step: int) -> int:
        process.stdin.write(f"{step}\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    try:
        process.stdin.write(f"{request!r}\n")
        yield write_until
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()


@pytest.mark.parametrize("at_once", [True, False], ids=["exchange", "three-renames"])
@pytest.mark.parametrize("first", [True, False], ids=["first-write", "rewrite"])
def test_a_write_that_is_killed_leaves_the_old_tree_or_the_new_one_and_the_next_cleans_up(
    tmp_path: Path, *, first: bool, at_once: bool
) -> None:
    build = tmp_path / "here" / "build"
    build.parent.mkdir()

    def reset() -> Tree:
        shutil.rmtree(build, ignore_errors=True)
        if not first:
            written(build, OLD)
            (build / "README").write_text("theirs\n")
            (build / "link").symlink_to("nowhere")
            (build / "empty").mkdir()
        return snapshot(build)

    old = reset()
    written(build, NEW)
    new = snapshot(build)
    ends: list[str] = []
    with _killed_writer(build, NEW, at_once=at_once) as write_until:
        for step in range(1, 10_000):
            reset()
            code = write_until(step)
            if code == 0:
                assert snapshot(build.parent).keys() == {"build", *(f"build/{name}" for name in new)}
                break
            assert code == -signal.SIGKILL
            if not first and not build.exists():
                assert not at_once
                ends.append("aside")
                assert codes(write(build, OLD)) == []
                assert snapshot(build) == old
            else:
                ends.append("new" if snapshot(build) == new else "old")
                assert snapshot(build) == (new if ends[-1] == "new" else old)
            written(build, NEW)
            assert snapshot(build) == new
            assert [path.name for path in build.parent.iterdir()] == ["build"]
    assert ends == sorted(ends, key=["old", "aside", "new"].index)
    assert ends.count("old") >= 20
    assert "new" in ends
    assert ("aside" in ends) == (not first and not at_once)


def test_this_machine_swaps_two_folders_at_one_stroke(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    assert tree.swapped_at_once(tmp_path / "one", tmp_path / "other") or sys.platform != "linux"
    if sys.platform == "linux":
        assert names(tmp_path) == {"one", "one/other", "other", "other/one"}


def test_a_swap_by_renames_that_fails_puts_the_old_folder_back(tmp_path: Path) -> None:
    target = tmp_path / "build"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(FileNotFoundError):
        tree.swap_in_three_steps(tmp_path / ".build.policycompiler-new-absent", target)
    assert names(tmp_path) == {"build", "build/old"}


def test_only_leftovers_of_this_very_folder_are_removed(tmp_path: Path) -> None:
    precious = (".build.bak", ".build.tmp1", ".other.policycompiler-new-1", "build.policycompiler-new-1")
    for name in precious:
        (tmp_path / name / "inside").mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o750)
    (elsewhere / "file").touch()
    mode = elsewhere.stat().st_mode
    (tmp_path / ".build.policycompiler-new-link").symlink_to(elsewhere)
    (tmp_path / ".build.policycompiler-new-1" / "inside").mkdir(parents=True)
    written(tmp_path / "build", OLD)
    assert not (tmp_path / ".build.policycompiler-new-1").exists()
    assert all((tmp_path / name / "inside").is_dir() for name in precious)
    assert (elsewhere / "file").exists()
    assert elsewhere.stat().st_mode == mode


# The difference as text


def test_the_diff_turns_the_folder_into_what_a_write_would_make(build: Path, tmp_path: Path) -> None:
    old = compiled(
        {"gone/a.txt": "1\n", "same.txt": "s\n", "edit.txt": "1\n2\n\x0c3\u2028\n", "end.txt": "x", "e": ""}
    )
    new = compiled(
        {"new/b.sh": "n\n", "same.txt": "s\n", "edit.txt": "1\n\x0c3\u2028\n", "end.txt": "y", "f": ""}
    )
    written(build, old)
    (build / "same.txt").chmod(0o755)
    patch = unified_diff(build, new)
    assert patch == unified_diff(build, list(reversed(new)))
    subprocess.run(
        ["git", "apply", "-"],
        input=patch,
        text=True,
        cwd=build,
        check=True,
        env={"PATH": os.environ["PATH"], "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
    )
    assert compare(build, new).fresh
    assert unified_diff(build, new) == ""
    assert not (build / "gone").exists()


def test_the_diff_shows_each_file_once_in_order(build: Path) -> None:
    written(build, OLD)
    lines = unified_diff(build, NEW).splitlines()
    assert [line for line in lines if line.startswith("diff")] == [
        f"diff --git a/{path} b/{path}"
        for path in ("celeryconfig.py", MANIFEST, "redis/redis.conf", "systemd/mail.service")
    ]
    assert lines[:6] == [
        "diff --git a/celeryconfig.py b/celeryconfig.py",
        "--- a/celeryconfig.py",
        "+++ b/celeryconfig.py",
        "@@ -1 +1 @@",
        "-a = 1",
        "+a = 2",
    ]
    assert compare(build, OLD).fresh


def test_the_diff_of_a_file_that_is_not_text_says_so(build: Path) -> None:
    written(build, OLD)
    (build / "celeryconfig.py").write_bytes(b"\xff\x00")
    assert unified_diff(build, OLD) == (
        "diff --git a/celeryconfig.py b/celeryconfig.py\n"
        "Binary files a/celeryconfig.py and b/celeryconfig.py differ\n"
    )
