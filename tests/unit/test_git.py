"""Which commit a folder stands at."""

import stat
import subprocess
from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from gates.errors import EnvironmentFault
from gates.git import changed_since, head, repository


def git(folder, *words):
    done = subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_repository_has_a_commit(tmp_path):
    git(tmp_path, "init", "-q")
    assert head(tmp_path) is None
    names = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    git(tmp_path, *names, "commit", "-q", "--allow-empty", "-m", "first")
    assert head(tmp_path) == git(tmp_path, "rev-parse", "HEAD")


def test_a_folder_outside_of_one_has_none(tmp_path):
    assert head(tmp_path) is None
    assert head(tmp_path / "nowhere") is None


# --- what a commit holds -----------------------------------------------------------------------------


@pytest.fixture
def committed(tmp_path):
    """A repository with a plain file, a folder, a link and odd names; and its commit."""
    git(tmp_path, "init", "-q")
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "zürich\n.bin").write_bytes(b"\0\xff\r\n" * 1000)
    (tmp_path / "*").write_text("star")
    (tmp_path / "x.txt").write_text("x")
    (tmp_path / "link").symlink_to("/etc/passwd")
    git(tmp_path, "add", "--all")
    git(tmp_path, "-c", "user.name=A", "-c", "user.email=a@x", "commit", "-qm", "first")
    return repository(tmp_path), git(tmp_path, "rev-parse", "HEAD")


def found(repo, sha, *paths, deep=True):
    return repo.entries(sha, [PurePosixPath(path) for path in paths], deep=deep)


def test_a_path_is_taken_to_the_letter(committed):
    repo, sha = committed
    assert [str(entry.path) for entry in found(repo, sha, "*")] == ["*"]
    assert found(repo, sha, "nowhere", ":(top)x.txt", "-r") == ()
    assert found(repo, sha) == ()


def test_bytes_come_out_as_they_went_in(committed, tmp_path):
    repo, sha = committed
    (entry,) = found(repo, sha, "a b")
    target = tmp_path / "out" / "deep" / "file"
    repo.unpack(entry, target)
    assert entry.size == 4000
    assert target.read_bytes() == b"\0\xff\r\n" * 1000
    assert not target.stat().st_mode & stat.S_IWUSR
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_a_link_is_no_plain_file_and_a_folder_is_one(committed):
    repo, sha = committed
    kinds = {str(e.path): (e.plain, e.folder) for e in found(repo, sha, "link", "a b", deep=False)}
    assert kinds == {"link": (False, False), "a b": (False, True)}


def test_a_commit_that_is_not_here_is_none(committed):
    repo, sha = committed
    assert repo.commit(sha) == repo.commit("HEAD") == sha
    assert [repo.commit(name) for name in ("f" * 40, "nothing", "--help", f"{sha}:x.txt")] == [
        None
    ] * 4
    assert repo.parents(sha) == repo.parents("f" * 40) == ()
    with pytest.raises(EnvironmentFault, match="cannot list the files"):
        found(repo, "f" * 40, "x.txt")


def test_a_blob_that_is_not_here_is_told(committed, tmp_path):
    repo, sha = committed
    (entry,) = found(repo, sha, "x.txt")
    with pytest.raises(EnvironmentFault, match=r"git cannot read `x\.txt`"):
        repo.unpack(replace(entry, oid="f" * 40), tmp_path / "out" / "x")


def test_a_folder_in_a_repository_knows_its_top(committed, tmp_path):
    assert repository(tmp_path / "a b").top.resolve() == tmp_path.resolve()
    with pytest.raises(EnvironmentFault, match="git knows of no work tree here"):
        repository(tmp_path.parent)


# --- what changed ----------------------------------------------------------------------------------


@pytest.fixture
def changed(tmp_path):
    """A repository with a folder `ml`, a base commit tagged `base`, and a change on top."""
    git(tmp_path, "init", "-q", "-b", "main")
    for name in ("ml/a.py", "ml/b.py", "top.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1\n")
    commit(tmp_path, "first")
    git(tmp_path, "tag", "base")
    (tmp_path / "ml/a.py").write_text("2\n")
    (tmp_path / "top.py").write_text("2\n")
    commit(tmp_path, "second")
    return tmp_path


def commit(folder, message):
    names = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    git(folder, "add", "--all")
    git(folder, *names, "commit", "-q", "-m", message)


def test_what_changed_is_told_as_seen_from_the_folder(changed):
    base = git(changed, "rev-parse", "base")
    assert changed_since(changed, "base") == (base, ("ml/a.py", "top.py"))
    assert changed_since(changed / "ml", base) == (base, ("a.py", "../top.py"))
    assert changed_since(changed, "HEAD") == (git(changed, "rev-parse", "HEAD"), ())


def test_what_others_merged_meanwhile_is_not_our_change(changed):
    git(changed, "checkout", "-q", "-b", "theirs", "base")
    (changed / "ml/b.py").write_text("3\n")
    commit(changed, "theirs")
    git(changed, "checkout", "-q", "main")
    assert changed_since(changed, "theirs")[1] == ("ml/a.py", "top.py")


def test_what_a_head_changes_counts_though_its_base_has_the_same_by_now(changed):
    """Others merged a change that the head has, too: the merge of both brings nothing."""
    names = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    git(changed, "checkout", "-q", "-b", "theirs", "base")
    (changed / "ml/a.py").write_text("2\n")
    commit(changed, "the same")
    git(changed, *names, "merge", "-q", "--no-ff", "-m", "merge", "main")
    assert changed_since(changed, "theirs^1")[1] == ("top.py",)
    assert changed_since(changed, "theirs^1", "main")[1] == ("top.py", "ml/a.py")
    assert changed_since(changed, "theirs^1", "f" * 40)[1] == ("top.py",), "one that is not here"


def test_a_moved_file_changed_in_both_places_and_so_did_what_is_not_committed(changed):
    git(changed, "mv", "ml/b.py", "moved é\n.py")
    assert changed_since(changed, "HEAD")[1] == ("ml/b.py", "moved é\n.py")


def test_what_a_repository_configures_has_no_say(changed):
    (changed / ".gitattributes").write_text("*.py -diff diff=evil filter=x\n")
    for key in ("diff.external", "diff.evil.textconv", "diff.evil.command"):
        git(changed, "config", key, f"touch {changed}/pwned; cat")
    assert changed_since(changed, "base")[1] == ("ml/a.py", "top.py")
    assert not (changed / "pwned").exists()


@pytest.mark.parametrize("revision", ["nonsense", "--output=pwned", "", "base:top.py", "HEAD~9"])
def test_a_revision_that_is_none_is_the_surroundings_fault(changed, revision):
    with pytest.raises(EnvironmentFault, match="fetch-depth: 0"):
        changed_since(changed, revision)
    assert not (changed / "pwned").exists()


def test_history_that_is_cut_off_is_the_surroundings_fault(changed, tmp_path_factory):
    clone = tmp_path_factory.mktemp("clone")
    subprocess.run(["git", "clone", "-q", "--depth=1", changed.as_uri(), clone], check=True)
    with pytest.raises(EnvironmentFault, match="cannot tell what changed since `HEAD~1`"):
        changed_since(clone, "HEAD~1")


def test_more_than_can_be_told_is_said(changed):
    deep = changed.joinpath(*["x" * 250] * 14)
    deep.mkdir(parents=True)
    for number in range(300):
        (deep / f"{number}").touch()
    git(changed, "add", "--all")
    assert changed_since(changed, "base")[1] is None
