"""Sources of a git revision: what is extracted, under which names, and what is said where there is none."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from tools import needs

from policycompiler import load
from policycompiler.load import RevisionError, at_revision, find_sources
from policycompiler.load.files import LARGEST_FILE_BYTES

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path):
    """No git settings but these: neither of the machine nor of whoever runs the tests."""
    needs("git")
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Somebody")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "somebody@example.org")


def git(*arguments, text=None):
    done = subprocess.run(["git", *arguments], input=text, capture_output=True, check=True)
    return os.fsdecode(done.stdout).strip()


def commit(files):
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    git("add", "--all", "--force")
    git("commit", "--quiet", "--message", "a change")


def submodule(folder):
    git("init", "--quiet", folder)
    git("-C", folder, "commit", "--quiet", "--allow-empty", "--message", "one")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository in the current folder; its one commit is on `main`."""
    folder = tmp_path / "a r\u00e9po"
    folder.mkdir()
    monkeypatch.chdir(folder)
    git("init", "--quiet", "--initial-branch=main")
    commit({"w/a.yaml": "a: 1", "w/sub/b.yml": "b: 1", "w/notes.txt": "", "policy.yaml": "version: 1"})
    return folder


def read(revision, *sources, policy=None, from_top=False):
    """What is found at a revision: names to texts, and the name of the policy file."""
    with at_revision(revision, [Path(each) for each in sources], policy, from_top=from_top) as extract:
        names = find_sources(extract.sources, extract.policy, root=extract.root)
        document, findings = load.load(names, root=extract.root)
        if extract.policy is not None:
            assert load.load_one(extract.policy, root=extract.root)[1] == []
        assert findings == []
        return dict(document.texts), extract.policy


def refusal(revision, *sources, **how):
    with pytest.raises(RevisionError) as refused:
        read(revision, *sources, **how)
    return str(refused.value)


def extracted(revision, *sources):
    """Every file that is written, by its path below the root."""
    with at_revision(revision, [Path(each) for each in sources]) as extract:
        return {
            path.relative_to(extract.root).as_posix() for path in extract.root.rglob("*") if path.is_file()
        }


@pytest.mark.usefixtures("repository")
def test_a_revision_is_read_as_it_was_whatever_the_working_folder_holds():
    commit({"w/a.yaml": "a: 2", "w/c.yaml": "c: 2"})
    Path("w/a.yaml").write_text("a: 3")
    Path("w/sub/b.yml").unlink()
    assert read("HEAD~1", "w")[0] == {"w/a.yaml": "a: 1", "w/sub/b.yml": "b: 1"}
    assert read("HEAD", "w")[0] == {"w/a.yaml": "a: 2", "w/c.yaml": "c: 2", "w/sub/b.yml": "b: 1"}
    assert git("status", "--porcelain").split() == ["M", "w/a.yaml", "D", "w/sub/b.yml"]


@pytest.mark.usefixtures("repository")
def test_branches_tags_hashes_and_trees_are_revisions():
    git("tag", "--annotate", "--message", "one", "v1")
    commit({"w/a.yaml": "a: 2"})
    for revision in ("main~1", "v1", "HEAD^", git("rev-parse", "v1^{commit}"), git("rev-parse", "v1^{tree}")):
        assert read(revision, "w/a.yaml")[0] == {"w/a.yaml": "a: 1"}, revision


def test_names_stay_as_they_are_from_the_folder_one_is_in(repository, monkeypatch):
    (repository / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir("w")
    assert set(read("HEAD", ".")[0]) == {"a.yaml", "sub/b.yml"}
    assert set(read("HEAD", "w", from_top=True)[0]) == {"w/a.yaml", "w/sub/b.yml"}
    monkeypatch.chdir("../deep/er")
    assert set(read("HEAD", "../../w")[0]) == {"../../w/a.yaml", "../../w/sub/b.yml"}
    assert set(read("HEAD", "", from_top=True)[0]) == {"policy.yaml", "w/a.yaml", "w/sub/b.yml"}


def test_an_absolute_source_is_named_from_the_current_folder(repository, tmp_path, monkeypatch):
    assert set(read("HEAD", repository / "w")[0]) == {"w/a.yaml", "w/sub/b.yml"}
    (tmp_path / "link").symlink_to(repository)
    assert set(read("HEAD", tmp_path / "link" / "w")[0]) == {"w/a.yaml", "w/sub/b.yml"}
    monkeypatch.chdir("w")
    assert set(read("HEAD", "../../link/w")[0]) == {"a.yaml", "sub/b.yml"}
    linked = tmp_path / "link" / "policy.yaml"
    assert read("HEAD", ".", policy=linked)[1] == Path("../policy.yaml")


@pytest.mark.usefixtures("repository")
def test_names_with_blanks_stars_colons_and_letters_of_any_script_are_only_names():
    odd = {
        f"{name}.yaml": f"{key}: 1"
        for key, name in zip("cdefg", ("a b", "*", ":(top)x", "-r", "日本é"), strict=True)
    }
    commit({f"odd/{name}": text for name, text in odd.items()})
    assert read("HEAD", "odd")[0] == {f"odd/{name}": text for name, text in odd.items()}
    for name, text in odd.items():
        assert read("HEAD", f"odd/{name}")[0] == {f"odd/{name}": text}
    commit(odd)
    for name, text in odd.items():
        assert read("HEAD", name)[0] == {name: text}


@pytest.mark.usefixtures("repository")
def test_only_what_is_read_is_written():
    compiled = {f"w/build/{name}": "{}" for name in ("manifest.json", "plan.json", "prometheus/rules.yml")}
    hidden = {"w/.github/ci.yaml": "", "w/.hidden.yml": ""}
    half = {"w/half/plan.json": "{}", "w/half/c.yaml": "c: 1"}
    Path("w/up").symlink_to("..")
    submodule("w/.module")
    commit({**compiled, **hidden, **half})
    assert git("ls-files", "--stage", "w/.module").startswith("160000")
    assert extracted("HEAD", "w") == {"w/a.yaml", "w/sub/b.yml", "w/half/c.yaml"}
    assert extracted("HEAD", "w/notes.txt") == {"w/notes.txt"}
    assert extracted("HEAD") == set()


@pytest.mark.usefixtures("repository")
def test_a_link_is_what_it_leads_to_at_that_revision():
    Path("w/link.yaml").symlink_to("sub/also.yaml")
    Path("w/sub/also.yaml").symlink_to("../../shared.yaml")
    commit({"shared.yaml": "then: 1"})
    Path("shared.yaml").write_text("now: 1")
    with at_revision("HEAD", [Path("w")]) as extract:
        # Two names of one file are one source, as in the working folder.
        found = find_sources(extract.sources, root=extract.root)
        assert [str(path) for path in found] == ["w/a.yaml", "w/link.yaml", "w/sub/b.yml"]
        assert (extract.root / "w/link.yaml").read_text() == "then: 1"
    assert read("HEAD", "w/link.yaml")[0]["w/link.yaml"] == "then: 1"


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../../else.yaml", "missing.yaml", "odd.yaml", "up/a.yaml"]
)
def test_a_link_that_leads_to_no_file_of_the_revision_is_refused(target):
    Path("w/odd.yaml").symlink_to(target)
    commit({})
    for named in ("w", "w/odd.yaml"):
        assert refusal("HEAD", named).startswith("`w/odd.yaml` at `HEAD` is a link to a missing file;")


@pytest.mark.usefixtures("repository")
def test_a_submodule_among_the_sources_is_refused():
    submodule("w/module")
    commit({})
    assert refusal("HEAD", "w").startswith("`w` at `HEAD` contains the submodule `w/module`,")
    assert set(read("HEAD", "w/sub")[0]) == {"w/sub/b.yml"}


@pytest.mark.usefixtures("repository")
def test_nothing_stays_behind(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    assert read("HEAD", "w")[0]
    assert refusal("HEAD", "missing")
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.usefixtures("repository")
def test_the_policy_file_is_the_one_of_the_revision(tmp_path):
    commit({"policy.yaml": "version: 2", "new.yaml": "version: 1"})
    with at_revision("HEAD~1", [Path()], Path("policy.yaml")) as extract:
        assert (extract.root / extract.policy).read_text() == "version: 1"
    assert read("HEAD~1", ".", policy=Path("new.yaml"))[1] is None
    assert set(read("HEAD", ".", policy=Path("new.yaml"))[0]) == {"policy.yaml", "w/a.yaml", "w/sub/b.yml"}
    outside = tmp_path / "rules.yaml"
    outside.write_text("version: 1")
    for policy in (Path("../rules.yaml"), outside):
        assert read("HEAD", "w", policy=policy)[1] == policy


def test_the_policy_file_is_named_from_where_the_sources_are(repository, monkeypatch):
    monkeypatch.chdir("w")
    assert read("HEAD", "w", policy=Path("../policy.yaml"), from_top=True)[1] == Path("policy.yaml")
    assert read("HEAD", ".", policy=Path("../policy.yaml"))[1] == Path("../policy.yaml")
    (repository.parent / "rules.yaml").write_text("version: 1")
    assert read("HEAD", "w", policy=Path("../../rules.yaml"), from_top=True)[1] == Path("../rules.yaml")


def test_no_number_of_dots_leads_out_of_the_temporary_folder(repository):
    up = "/".join([".."] * 40)
    assert set(read("HEAD", f"{up}{repository}/w")[0]) == {"w/a.yaml", "w/sub/b.yml"}
    (repository.parent / "rules.yaml").write_text("version: 1")
    policy = Path(f"{up}{repository.parent}/rules.yaml")
    assert read("HEAD", "w", policy=policy)[1] == Path("../rules.yaml")


@pytest.mark.usefixtures("repository")
def test_what_a_revision_lacks_is_said(monkeypatch):
    Path("link.yaml").symlink_to("w")
    submodule("module")
    commit({})
    Path("late.yaml").write_text("a: 1")
    assert refusal("HEAD", "late.yaml") == (
        "`late.yaml` at `HEAD`: there is no such file or folder; "
        "if it had another path then, write `git:HEAD:PATH`"
    )
    with monkeypatch.context() as patch:
        patch.chdir("w")
        assert refusal("HEAD", "w", from_top=False).endswith(", or `git:HEAD:./PATH` from this folder")
    assert (
        refusal("HEAD", "link.yaml") == "`link.yaml` at `HEAD` is a link to the folder `w`; name the folder"
    )
    assert "there is no such file or folder" in refusal("HEAD", "link.yaml/a.yaml")
    assert refusal("HEAD", "module").startswith("`module` at `HEAD` is a submodule;")
    refused = refusal("HEAD", "w", policy=Path("link.yaml"))
    assert refused == "`link.yaml` at `HEAD` is a link to the folder `w`; name the folder"
    for outside in ("..", "/", "../other"):
        assert refusal("HEAD", outside).startswith(f"`{outside}` is not in this repository")


@pytest.mark.usefixtures("repository")
def test_an_unknown_revision_is_said_and_never_an_option():
    for revision in ("nowhere", "HEAD~9", "a b", "0" * 40, "*", "\u00e9", "main:w", "HEAD^{blob}"):
        assert refusal(revision, "w").startswith(f"the repository has no revision `{revision}`"), revision
    for revision in ("", "-h", "--all", "--output=x", "a\0b"):
        assert refusal(revision, "w").startswith(f"`{revision}` is not a revision"), revision
    assert not Path("x").exists()


def test_a_folder_without_a_repository_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert refusal("HEAD", "w") == (
        "this folder is not in a git repository; run the command in a repository, or name files instead"
    )


def test_a_repository_without_a_working_folder_is_said(repository, tmp_path, monkeypatch):
    git("clone", "--quiet", "--bare", str(repository), str(tmp_path / "bare"))
    for folder in (tmp_path / "bare", repository / ".git"):
        monkeypatch.chdir(folder)
        assert refusal("HEAD", "w") == (
            "this is an internal folder of git without files to compare; run the command in a checkout "
            "(`git worktree add DIR REV` creates one), or name files instead"
        )


def test_a_repository_without_a_commit_is_said_and_fetching_only_where_there_is_something_to_fetch(
    repository, tmp_path, monkeypatch
):
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    git("init", "--quiet", "--initial-branch=main")
    nothing = "the repository has no revision `main`: it has no commits yet"
    assert refusal("main", "w") == f"{nothing}; name files instead"
    git("remote", "add", "origin", str(repository))
    fetch = "run `git fetch --all --tags` to fetch new commits"
    assert refusal("main", "w") == f"{nothing}; {fetch}"
    subprocess.run(["git", "fetch", "--quiet", "--all", "--tags"], check=True)
    assert read("origin/main", "w")[0]
    assert refusal("nowhere", "w").endswith(f"no revision `nowhere`; {fetch}")
    monkeypatch.chdir(repository)
    assert refusal("nowhere", "w").endswith("; run `git branch --all` and `git tag` to list revisions")


@pytest.mark.usefixtures("repository")
def test_a_repository_of_another_user_is_said(monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert "`git config --global --add safe.directory DIR` to allow it" in refusal("HEAD", "w")


@pytest.mark.usefixtures("repository")
def test_a_machine_without_room_for_temporary_files_is_said(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    assert (
        refusal("HEAD", "w")
        == "cannot write the files of `HEAD` to a temporary folder: No such file or directory"
    )


def test_a_machine_without_git_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal("HEAD", "w") == "git is not installed, or not on PATH"


@pytest.fixture
def shallow(repository, tmp_path, monkeypatch):
    """A clone of the last of three commits, in the current folder; `stable` is a branch it does not know."""
    git("branch", "stable")
    commit({"w/a.yaml": "a: 2"})
    commit({"w/a.yaml": "a: 3"})
    git("config", "uploadpack.allowReachableSHA1InWant", "true")
    git("clone", "--quiet", "--depth", "1", repository.as_uri(), str(tmp_path / "clone"))
    first = git("rev-parse", "stable")
    monkeypatch.chdir(tmp_path / "clone")
    return first


@pytest.mark.parametrize("asked", ["HEAD~2", "main^^", "origin/main~2", "origin/stable", "{first}", "v0"])
def test_in_a_shallow_clone_the_refusal_has_the_command_that_helps(shallow, repository, asked):
    git("-C", str(repository), "tag", "v0", shallow)
    revision = asked.format(first=shallow)
    said = refusal(revision, "w")
    assert "shallow" in said
    command = re.search(r"`(git fetch [^`]*)`", said)[1]
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    assert read(revision, "w")[0]["w/a.yaml"] == "a: 1"


@pytest.mark.usefixtures("shallow")
def test_the_last_commit_of_a_shallow_clone_is_read():
    assert read("origin/main", "w")[0]["w/a.yaml"] == "a: 3"


def test_a_partial_clone_whose_origin_is_gone_quotes_git(repository, tmp_path, monkeypatch):
    git("config", "uploadpack.allowFilter", "true")
    commit({"w/a.yaml": "a: 2"})
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--filter=blob:none", repository.as_uri(), str(clone))
    monkeypatch.chdir(clone)
    assert read("HEAD", "w")[0]["w/a.yaml"] == "a: 2"
    repository.rename(tmp_path / "gone")
    assert refusal("HEAD~1", "w").startswith("git cannot read `w/a.yaml`: ")


@pytest.mark.usefixtures("repository")
def test_an_object_that_is_missing_is_said():
    # More than a pipe holds: git is still writing when nobody reads on.
    commit({"w/b.yaml": "#" * 1_000_000})
    name = git("rev-parse", "HEAD:w/a.yaml")
    Path(".git", "objects", name[:2], name[2:]).unlink()
    assert refusal("HEAD", "w") == "git cannot read `w/a.yaml`: its git object is missing"


@pytest.mark.usefixtures("repository")
def test_a_tree_that_no_git_has_written_stays_in_the_temporary_folder():
    blob = git("hash-object", "-w", "--stdin", text=b"a: 1")
    bytes_of = bytes.fromhex(blob)
    inner = git(
        "hash-object", "-t", "tree", "-w", "--literally", "--stdin", text=b"100644 x.yaml\0" + bytes_of
    )
    entry = b"40000 ..\0" + bytes.fromhex(inner) + b"100644 ../../../y.yaml\0" + bytes_of
    tree = git(
        "hash-object",
        "-t",
        "tree",
        "-w",
        "--literally",
        "--stdin",
        text=entry + b"100644 z.yaml\0" + bytes_of,
    )
    assert extracted(tree, ".") == {"z.yaml"}
    twice = b"100644 a.yaml\0" + bytes_of
    tree = git(
        "hash-object",
        "-t",
        "tree",
        "-w",
        "--literally",
        "--stdin",
        text=b"40000 a.yaml\0" + bytes.fromhex(inner) + twice,
    )
    assert refusal(tree, ".").startswith(
        f"cannot write the files of `{tree}` to a temporary folder: "
    ) or extracted(tree, ".")


@pytest.mark.usefixtures("repository")
def test_a_file_that_is_too_large_is_a_finding_as_ever_and_too_many_are_refused(monkeypatch):
    commit({"big.yaml": "a: 1\n#" + "x" * LARGEST_FILE_BYTES})
    with at_revision("HEAD", [Path()]) as extract:
        names = find_sources(extract.sources, root=extract.root)
        _, findings = load.load(names, root=extract.root)
    assert [(each.name, each.place.file) for each in findings] == [("document-too-large", "big.yaml")]
    monkeypatch.setattr("policycompiler.load.git.MOST_BYTES", LARGEST_FILE_BYTES)
    assert "name fewer files" in refusal("HEAD", ".")


@pytest.mark.usefixtures("repository")
def test_an_empty_revision_has_no_sources():
    git("hash-object", "-t", "tree", "-w", "/dev/null")
    assert extracted(EMPTY_TREE, ".") == set()


@pytest.mark.usefixtures("repository")
def test_another_work_tree_of_the_repository_is_one_too(tmp_path, monkeypatch):
    git("worktree", "add", "--quiet", "--detach", str(tmp_path / "second"))
    monkeypatch.chdir(tmp_path / "second")
    assert set(read("main", "w")[0]) == {"w/a.yaml", "w/sub/b.yml"}
