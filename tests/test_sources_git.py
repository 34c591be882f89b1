"""Git repositories: the same files as git itself shows, and nothing that a repository asks for."""

import hashlib
import os
import random
import shutil
import stat
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cost import is_within

from corpusmill.errors import UsageError
from corpusmill.stages.sources import git_objects, git_trees
from corpusmill.stages.sources.git_trees import (
    is_repository,
    read_repository,
    read_tree,
    resolve,
    tree_bytes,
)
from corpusmill.stages.sources.limits import MAX_PAYLOAD, Refused
from corpusmill.stages.sources.listing import list_inputs
from corpusmill.stages.sources.records import RawDocument, Skipped
from corpusmill.stages.sources.source import Source

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="compares with git itself")

CODE = Source(name="s", kind="code", path="in")


def git(folder: Path, *arguments: str) -> bytes:
    """What git prints, without the user's settings."""
    return subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", *arguments],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
        },
        check=True,
        capture_output=True,
    ).stdout


def files_of(path: Path, commit: str) -> dict[str, bytes]:
    """The files that our reader gives."""
    found = read_tree(str(path), commit, lambda _: True)
    return {name: content for name, content in found if isinstance(content, bytes)}


def fates(path: Path, commit: str) -> dict[str, str]:
    """Path -> `file`, or why there is none."""
    found = read_tree(str(path), commit, lambda _: True)
    return {
        name: "file" if isinstance(content, bytes) else content.reason for name, content in found
    }


def files_by_git(path: Path, commit: str) -> dict[str, bytes]:
    """The files that git shows, links and submodules left out."""
    listed = git(path, "ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")[:-1]
    files = {}
    for line in listed:
        meta, _, name = line.partition(b"\t")
        mode, kind, blob = meta.split()
        if kind == b"blob" and mode != b"120000":
            content = git(path, "cat-file", "blob", blob.decode())
            files[name.decode("utf-8", "backslashreplace")] = content
    return files


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with a history, tags, a branch, odd names, a link and files git does not track."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "pkg").mkdir()
    (folder / "pkg.py").write_text("import pkg\n")
    (folder / "pkg" / "ümlaut.c").write_text("int x;\n")
    (folder / "empty").write_text("")
    os.symlink("/etc/passwd", folder / "link.py")
    (folder / "untracked.py").write_text("secret = 1\n")
    with open(os.fsencode(folder) + b"/caf\xe9.py", "wb") as file:
        file.write(b"x = 1\n")
    big = [f"value_{i} = {i * i}" for i in range(3000)]
    for version in range(12):
        big[version * 100] = f"changed = {version}"
        (folder / "big.py").write_text("\n".join(big))
        git(folder, "add", "-A")
        git(folder, "rm", "-q", "--cached", "untracked.py")
        git(folder, "commit", "-q", "-m", f"version {version}")
        if version == 4:
            git(folder, "tag", "light")
            git(folder, "tag", "-a", "heavy", "-m", "a tag with a message")
            git(folder, "branch", "side/way")
    return folder


@needs_git
@pytest.mark.parametrize(
    "state", ["loose", "packed", "packed by hash", "bare", "worktree", "shallow"]
)
def test_files_are_those_that_git_shows(project: Path, tmp_path: Path, state: str) -> None:
    where = project
    names = ["HEAD", "main", "refs/heads/main", "light", "heavy", "side/way", "tags/heavy"]
    if state == "packed":
        git(project, "gc", "-q", "--aggressive")
    elif state == "packed by hash":
        git(project, "-c", "repack.useDeltaBaseOffset=false", "repack", "-q", "-adf")
    elif state == "bare":
        where = tmp_path / "bare.git"
        git(tmp_path, "clone", "-q", "--bare", str(project), str(where))
    elif state == "worktree":
        where = tmp_path / "tree"
        git(project, "worktree", "add", "-q", str(where), "light")
    elif state == "shallow":
        where = tmp_path / "shallow"
        git(tmp_path, "clone", "-q", "--depth", "1", f"file://{project}", str(where))
        names = ["HEAD", "main", "origin/main"]
    assert is_repository(str(where))
    for name in names:
        commit = resolve(str(where), name)
        assert commit == git(where, "rev-parse", name + "^{commit}").decode().strip()
        assert resolve(str(where), commit) == commit
        ours, theirs = files_of(where, commit), files_by_git(where, commit)
        assert ours == theirs
        assert list(ours) == list(theirs)  # in the order of git's own listing
        assert tree_bytes(str(where), commit) == sum(map(len, theirs.values()))
    assert "untracked.py" not in ours
    assert "caf\\xe9.py" in ours


@needs_git
def test_links_and_submodules_are_skipped(project: Path) -> None:
    commit = resolve(str(project), "HEAD")
    git(project, "update-index", "--add", "--cacheinfo", f"160000,{commit},vendor/sub")
    git(project, "commit", "-q", "-m", "submodule")
    found = fates(project, resolve(str(project), "HEAD"))
    assert (found["link.py"], found["vendor/sub"], found["pkg.py"]) == ("link", "submodule", "file")


@needs_git
def test_documents_are_called_by_their_paths(project: Path) -> None:
    (project / "__pycache__").mkdir()
    (project / "__pycache__" / "cached.py").write_text("x")
    git(project, "add", "-f", "__pycache__")
    git(project, "commit", "-q", "-m", "cache")
    commit = resolve(str(project), "HEAD")
    found = {f.locator: f for f in read_repository(CODE, str(project), commit, "in/project")}
    document = found["pkg/ümlaut.c"]
    assert isinstance(document, RawDocument)
    assert (document.uri, document.payload) == ("in/project#pkg/ümlaut.c", b"int x;\n")
    assert found["__pycache__/cached.py"] == Skipped(
        reason="ignored_folder", locator="__pycache__/cached.py"
    )
    assert found["link.py"] == Skipped(reason="link", locator="link.py")
    assert found["empty"] == Skipped(reason="empty_file", locator="empty")


@needs_git
def test_nothing_that_a_repository_names_is_run(project: Path, tmp_path: Path) -> None:
    alarm = tmp_path / "alarm"
    script = project / ".git" / "run-me"
    script.write_text(f"#!/bin/sh\ntouch '{alarm}'\n")
    script.chmod(0o755)
    for hook in ("post-checkout", "pre-commit", "fsmonitor-watchman", "post-index-change"):
        shutil.copy(script, project / ".git" / "hooks" / hook)
    (project / ".gitattributes").write_text("*.py filter=evil diff=evil\n")
    git(project, "add", ".gitattributes")
    git(project, "commit", "-q", "-m", "attributes", "--no-verify")
    alarm.unlink(missing_ok=True)
    with (project / ".git" / "config").open("a") as config:
        config.write(
            f"[core]\n\tfsmonitor = {script}\n\tpager = {script}\n\tsshCommand = {script}\n"
            f'[filter "evil"]\n\tsmudge = {script}\n\tclean = {script}\n\trequired = true\n'
            f'[diff "evil"]\n\ttextconv = {script}\n'
        )
    commit = resolve(str(project), "HEAD")
    assert files_of(project, commit)["pkg.py"] == b"import pkg\n"
    assert list(read_repository(CODE, str(project), commit, "p"))
    assert not alarm.exists()
    git(project, "status")  # git itself does run it: the trap works
    assert alarm.exists()


def test_what_is_no_repository_says_so(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert not is_repository(str(tmp_path))
    assert not is_repository(str(tmp_path / "none"))
    assert not is_repository("https://example.com/a.git")
    with pytest.raises(UsageError, match="not a git repository"):
        resolve(str(tmp_path), "HEAD")
    with pytest.raises(UsageError, match="local folders only"):
        resolve("https://example.com/a.git", "HEAD")


@needs_git
def test_a_commit_that_is_not_there_says_so(project: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    git(tmp_path, "init", "-q", str(empty))
    with pytest.raises(UsageError, match="no commit yet"):
        resolve(str(empty), "HEAD")
    for name in (
        "v9",
        "a" * 40,
        "a" * 64,
        "../../etc/passwd",
        "HEAD~1",
        "-x",
        "",
        "config",
        "HEAD/",
    ):
        with pytest.raises(UsageError, match=r"no full commit hash .*branch or tag"):
            resolve(str(project), name)
    tree = git(project, "rev-parse", "HEAD^{tree}").decode().strip()
    with pytest.raises(UsageError, match="damaged"):
        resolve(str(project), tree)


@needs_git
def test_objects_from_elsewhere_are_refused(project: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    git(tmp_path, "clone", "-q", "--shared", str(project), str(shared))
    with pytest.raises(UsageError, match="borrows objects"):
        resolve(str(shared), "HEAD")
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / ".git").write_text(f"gitdir: {project}/.git\n")
    with pytest.raises(UsageError, match="does not know this folder"):
        resolve(str(stranger), "HEAD")
    git(project, "worktree", "add", "-q", str(tmp_path / "tree"), "light")
    (stranger / ".git").write_text(f"gitdir: {project}/.git/worktrees/tree\n")
    with pytest.raises(UsageError, match="does not know this folder"):
        resolve(str(stranger), "HEAD")
    linked = tmp_path / "linked.git"
    shutil.copytree(project / ".git", linked)
    shutil.rmtree(linked / "objects")
    os.symlink(project / ".git" / "objects", linked / "objects")
    with pytest.raises(UsageError, match="link to another folder"):
        resolve(str(linked), "HEAD")
    (stranger / ".git").unlink()
    os.symlink(project / ".git", stranger / ".git")
    assert not is_repository(str(stranger))


@needs_git
def test_a_submodule_of_a_checkout_is_a_repository(project: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    git(tmp_path, "init", "-q", str(outer))
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(project), "sub")
    commit = resolve(str(outer / "sub"), "HEAD")
    assert files_of(outer / "sub", commit) == files_by_git(project, "HEAD")


@needs_git
def test_sha256_repositories_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    git(tmp_path, "init", "-q", "--object-format=sha256", str(folder))
    (folder / "a.py").write_text("x = 1\n" * 50)
    git(folder, "add", "a.py")
    git(folder, "commit", "-q", "-m", "one")
    commit = resolve(str(folder), "HEAD")
    assert len(commit) == 64
    assert files_of(folder, commit) == {"a.py": b"x = 1\n" * 50}
    git(folder, "gc", "-q")
    assert files_of(folder, commit) == {"a.py": b"x = 1\n" * 50}


# Hostile repositories, made by hand.


class Loose:
    """A bare repository of loose objects."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("refs/heads", "objects/pack"):
            (folder / name).mkdir(parents=True)
        (folder / "HEAD").write_text("ref: refs/heads/main\n")

    def add(self, kind: bytes, content: bytes, size: int | None = None) -> str:
        whole = b"%s %d\0" % (kind, len(content) if size is None else size) + content
        name = hashlib.sha1(whole).hexdigest()
        path = self.folder / "objects" / name[:2] / name[2:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zlib.compress(whole))
        return name

    def tree(self, *entries: tuple[bytes, int, str]) -> str:
        lines = (b"%o %s\0%s" % (mode, name, bytes.fromhex(child)) for name, mode, child in entries)
        return self.add(b"tree", b"".join(lines))

    def commit(self, tree: str) -> str:
        name = self.add(b"commit", b"tree %s\nauthor A\n\nmessage\n" % tree.encode())
        (self.folder / "refs/heads/main").write_text(name + "\n")
        return name


FILE, FOLDER = 0o100644, 0o040000


@pytest.fixture
def loose(tmp_path: Path) -> Loose:
    return Loose(tmp_path / "loose.git")


def test_unsafe_paths_are_refused_and_others_kept(loose: Loose) -> None:
    blob = loose.add(b"blob", b"x = 1\n")
    inner = loose.tree((b"hooks.py", FILE, blob))
    commit = loose.commit(
        loose.tree(
            (b"..", FOLDER, inner), (b".git", FOLDER, inner), (b".GIT", FOLDER, inner),
            (b".", FOLDER, inner), (b"a.py", FILE, blob), (b"a.py", FILE, blob),
            (b"/etc/x.py", FILE, blob), (b"", FILE, blob), (b"b", FOLDER, inner),
            (b"long" * 2000, FOLDER, inner),
        )
    )  # fmt: skip
    assert resolve(str(loose.folder), "main") == commit
    found = list(read_repository(CODE, str(loose.folder), commit, "p"))
    problems = [f.problem for f in found if isinstance(f, RawDocument)]
    assert problems.count("unsafe_path") == 7
    read = [f.locator for f in found if isinstance(f, RawDocument) and not f.problem]
    assert read == ["a.py", "a.py#2", "b/hooks.py"]


def test_folders_within_themselves_end(loose: Loose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_trees, "MAX_MEMBERS", 5000)
    tree = loose.tree((b"a.py", FILE, loose.add(b"blob", b"x = 1\n")))
    for _ in range(60):
        tree = loose.tree(*((b"%d" % i, FOLDER, tree) for i in range(10)))
    commit = loose.commit(tree)
    reasons = [
        c.reason for _, c in read_tree(str(loose.folder), commit, bool) if isinstance(c, Refused)
    ]
    assert reasons == ["too_many_members"]
    deep = loose.tree((b"a.py", FILE, loose.add(b"blob", b"x = 1\n")))
    for _ in range(400):
        deep = loose.tree((b"d", FOLDER, deep))
    assert list(fates(loose.folder, loose.commit(deep)).values()) == ["too_deep"]


def test_objects_that_lie_about_their_size_are_refused(loose: Loose) -> None:
    lies = {
        b"bomb.py": loose.add(b"blob", b"x" * 100_000, size=10),
        b"huge.py": loose.add(b"blob", b"x", size=MAX_PAYLOAD + 1),
        b"short.py": loose.add(b"blob", b"x", size=1000),
        b"kind.py": loose.add(b"tag", b"x"),
        b"none.py": "ab" * 20,
    }
    damaged = loose.add(b"blob", b"some text")
    path = loose.folder / "objects" / damaged[:2] / damaged[2:]
    path.write_bytes(zlib.compress(b"blob 9\0some tExt"))
    lies[b"other.py"] = damaged
    lies[b"rot.py"] = loose.add(b"blob", b"rotten")
    path = loose.folder / "objects" / lies[b"rot.py"][:2] / lies[b"rot.py"][2:]
    path.write_bytes(b"noise")
    pipe = loose.folder / "objects" / "cd" / ("cd" * 19)
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    lies[b"pipe.py"] = "cd" * 20
    lies[b"whole.py"] = loose.add(b"blob", b"good = 1\n")
    commit = loose.commit(loose.tree(*((name, FILE, blob) for name, blob in sorted(lies.items()))))
    assert fates(loose.folder, commit) == {
        "bomb.py": "damaged_object",
        "huge.py": "too_large",
        "kind.py": "damaged_object",
        "none.py": "missing_object",
        "other.py": "damaged_object",
        "pipe.py": "missing_object",
        "rot.py": "damaged_object",
        "short.py": "damaged_object",
        "whole.py": "file",
    }


def test_files_that_share_their_bytes_end(loose: Loose) -> None:
    blob = loose.add(b"blob", b"x" * 4_000_000)
    tree = loose.tree(*((b"%03d.py" % i, FILE, blob) for i in range(100)))
    found = list(fates(loose.folder, loose.commit(tree)).values())
    assert found == ["file"] * 2 + ["decompression_ratio"]


def number(value: int, first_bits: int = 7, flags: int = 0) -> bytes:
    """A number as packs have it: seven bits a byte, the lowest first."""
    low, value = value & ((1 << first_bits) - 1), value >> first_bits
    out = [flags << 4 | low]
    while value:
        out[-1] |= 0x80
        out.append(value & 0x7F)
        value >>= 7
    return bytes(out)


def write_pack(loose: Loose, objects: list[tuple[str, bytes]]) -> None:
    """A pack of entries that stand as they are given, and its index."""
    from dulwich.pack import write_pack_index_v2

    data = b"PACK" + struct.pack(">LL", 2, len(objects))
    entries = []
    for name, entry in objects:
        entries.append((bytes.fromhex(name), len(data), zlib.crc32(entry)))
        data += entry
    checksum = hashlib.sha1(data).digest()
    stem = loose.folder / "objects" / "pack" / f"pack-{checksum.hex()}"
    stem.with_suffix(".pack").write_bytes(data + checksum)
    with stem.with_suffix(".idx").open("wb") as file:
        write_pack_index_v2(file, sorted(entries), checksum)


def delta(base_size: int, result_size: int, instructions: bytes) -> bytes:
    return number(base_size) + number(result_size) + instructions


def blob_name(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def test_delta_bombs_are_not_unpacked(loose: Loose) -> None:
    base = b"x" * 65_536
    copies = b"\x80" * 2000  # each copies the whole base: 131 MB of 2 kB
    bomb = delta(len(base), len(base) * 2000, copies)
    lie = delta(len(base), 10, copies)
    loop_a, loop_b, good = "aa" * 20, "bb" * 20, base + b"more"
    instructions = b"\x80" + b"\x04more"

    def on(base_name: str, change: bytes) -> bytes:
        return number(len(change), 4, 7) + bytes.fromhex(base_name) + zlib.compress(change)

    packed = {
        "base": (blob_name(base), number(len(base), 4, 3) + zlib.compress(base)),
        "bomb": ("01" * 20, on(blob_name(base), bomb)),
        "lie": ("02" * 20, on(blob_name(base), lie)),
        "a": (loop_a, on(loop_b, lie)),
        "b": (loop_b, on(loop_a, lie)),
        "zlib": ("03" * 20, number(10, 4, 3) + zlib.compress(b"x" * 50_000_000)),
        "before": ("04" * 20, number(10, 4, 6) + b"\xff\xff\x7f" + zlib.compress(b"x")),
        "none": ("05" * 20, on("ee" * 20, lie)),
        "claims": ("06" * 20, number(1 << 40, 4, 3) + zlib.compress(b"x")),
        "good": (blob_name(good), on(blob_name(base), delta(len(base), len(good), instructions))),
    }
    write_pack(loose, list(packed.values()))
    tree = loose.tree(*((name.encode(), FILE, packed[name][0]) for name in sorted(packed)))
    commit = loose.commit(tree)
    assert is_within(5, lambda: fates(loose.folder, commit))
    assert fates(loose.folder, commit) == {
        "a": "delta_chain",
        "b": "delta_chain",
        "base": "file",
        "before": "damaged_object",
        "bomb": "too_large",
        "claims": "too_large",
        "good": "file",
        "lie": "damaged_object",
        "none": "damaged_object",
        "zlib": "damaged_object",
    }
    assert files_of(loose.folder, commit)["good"] == good
    assert tree_bytes(str(loose.folder), commit) > 0


def test_chains_of_large_deltas_cost_bounded_work(
    loose: Loose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand deltas of a few bytes, each of which copies a megabyte."""
    monkeypatch.setattr(git_objects, "_MAX_WORK", 50_000_000)
    monkeypatch.setattr(git_objects, "_CACHE_BYTES", 1_000_000)
    base = b"y" * 1_000_000
    name = blob_name(base)
    entries = [(name, number(len(base), 4, 3) + zlib.compress(base))]
    copy = b"\xf0\x40\x42\x0f"  # 1,000,000 bytes from the start
    for i in range(1000):
        data = zlib.compress(d := delta(len(base), len(base), copy))
        entries.append((f"{i:040x}", number(len(d), 4, 7) + bytes.fromhex(name) + data))
        name = f"{i:040x}"
    write_pack(loose, entries)
    commit = loose.commit(loose.tree((b"deep.py", FILE, name)))
    assert fates(loose.folder, commit) == {"deep.py": "decompression_ratio"}


@pytest.mark.parametrize("where", [".pack", ".idx", "HEAD", "packed-refs", "main"])
@needs_git
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_damage_never_raises(project: Path, tmp_path: Path, where: str, seed: int) -> None:
    """Whatever is flipped: an error for the user, or files that are whole, or refusals."""
    whole = tmp_path / "whole.git"
    if not whole.exists():
        git(tmp_path, "clone", "-q", "--bare", f"file://{project}", str(whole))
        (whole / "refs/heads/main").write_bytes(git(project, "rev-parse", "main"))
    commit = git(whole, "rev-parse", "HEAD").decode().strip()
    contents = files_by_git(whole, "HEAD").values() if seed % 5 == 0 else None
    damaged = tmp_path / "damaged.git"
    shutil.rmtree(damaged, ignore_errors=True)
    shutil.copytree(whole, damaged)
    (path,) = (p for p in damaged.rglob("*") if p.is_file() and p.name.endswith(where))
    noise = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(noise.choice([1, 5, 40])):
        data[noise.randrange(len(data))] = noise.randrange(256)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    path.write_bytes(data[: noise.choice([len(data), noise.randrange(len(data))])])
    try:
        resolve(str(damaged), "HEAD")
        tree_bytes(str(damaged), commit)
        found = files_of(damaged, commit)
    except UsageError:
        return
    if contents is not None:
        assert set(found.values()) <= set(contents)


@needs_git
def test_a_pipe_in_place_of_any_file_does_not_hang(project: Path) -> None:
    commit = resolve(str(project), "HEAD")
    git(project, "gc", "-q")
    for pattern in ("HEAD", "packed-refs", "objects/pack/*.idx"):
        for path in (project / ".git").glob(pattern):
            kept = path.read_bytes()
            path.unlink()
            os.mkfifo(path)
            with pytest.raises(UsageError):
                resolve(str(project), "main" if pattern != "HEAD" else "HEAD")
            path.unlink()
            path.write_bytes(kept)
    assert files_of(project, commit)


@needs_git
def test_repositories_of_a_folder_that_are_not_read_say_why(project: Path, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    git(shelf, "clone", "-q", str(project), "whole")
    git(shelf, "clone", "-q", "--shared", str(project), "borrowing")
    git(shelf, "init", "-q", "empty")
    source = Source(name="s", kind="code", path=str(shelf))
    listed = {file.relative: (file.problem, file.skipped) for file in list_inputs(source)}
    assert listed == {
        "borrowing": ("borrowed_objects", ""),
        "empty": ("", "empty_repository"),
        "whole": ("", ""),
    }
    other = source.model_copy(update={"commit": "v9"})
    skipped = {file.relative: file.skipped for file in list_inputs(other)}
    assert skipped["whole"] == "no_such_commit"
