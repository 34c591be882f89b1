"""Files in object stores and on servers, through fsspec: every operation tried again when it fails.

Networks drop connections, cut bodies short and ask to slow down. None of this may change a result:
an operation is repeated with growing pauses, and a stream that breaks is opened again where it
broke. What the store says for certain (there is no such object, it is forbidden) is told at once. A
file that is no longer the one that was opened is an error, for half of each would be neither.

Storage options come from the environment, as fsspec and the drivers read them: `FSSPEC_S3_KEY`,
`FSSPEC_S3_ENDPOINT_URL`, `AWS_ENDPOINT_URL`, `AWS_PROFILE` and so on.
"""

import contextlib
import errno
import glob
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import fsspec

from corpusmill.errors import MillError, RunError, UsageError

ATTEMPTS = 9
"""How often an operation is tried; with the pauses below it is given up after 26 seconds, and the
time that the attempts take themselves."""
FIRST_PAUSE = 0.1
"""Seconds before the second attempt. It doubles each time."""
LONGEST_PAUSE = 20.0
"""Seconds."""
BLOCK = 4 << 20
"""Bytes of one request when a file is read in order, and of memory for each open file. A request
takes some 30 ms to begin and 50 ms for 4 MiB; extraction takes longer than both."""
FIRST_BLOCK = 256 << 10
"""Bytes of the first request after a jump; it doubles with each one that follows in order. Tables
are read in jumps, and their readers come back to the same place."""

_T = TypeVar("_T")

_CERTAIN = (
    MillError,
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    FileExistsError,
    ImportError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    NotImplementedError,
)
"""Errors that another attempt would only repeat."""

_PASSING_STATUS = (408, 409, 425, 429)
"""Answers that blame the client and yet may be another one next time."""
_PASSING_CODES = ("RequestTimeout", "IncompleteBody", "BadDigest", "RequestTimeTooSkewed")
"""S3's codes for a request that was damaged on the way; their status is 400."""
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError")
_CHANGED = "FileExpired"
"""s3fs' name for an object that is not the one that was opened (If-Match fails)."""

_DRIVERS = {
    "s3": ("s3fs", "'corpusmill[s3]'"),
    "s3a": ("s3fs", "'corpusmill[s3]'"),
    "gs": ("gcsfs", "gcsfs"),
    "gcs": ("gcsfs", "gcsfs"),
    "az": ("adlfs", "adlfs"),
    "abfs": ("adlfs", "adlfs"),
    "abfss": ("adlfs", "adlfs"),
    "http": ("aiohttp", "aiohttp"),
    "https": ("aiohttp", "aiohttp"),
}
_TAGS = ("ETag", "etag", "generation", "md5Hash", "content_md5", "VersionId")
"""Where drivers keep what a store calls a version of a file's content, best first."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A file as a store lists it."""

    path: str
    """Its URL."""
    bytes: int
    tag: str
    """What changes when the content does, the size included; empty when the store has nothing."""


def shown(path: str) -> str:
    """A URL as messages may quote it: without user, password and signature."""
    try:
        parts = urlsplit(path)
    except ValueError:
        return path.partition("://")[0] + "://..."
    query = f"?{parts.query}" if parts.query and not parts.scheme.startswith("http") else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{query}"


def open_read(path: str) -> io.BufferedReader:
    """Open a remote file; it can seek, and reads no more than BLOCK bytes beyond what is asked for.

    Raises:
        OSError: it is not there, is forbidden, or the store does not answer.
        RunError: when reading: the file has changed since it was opened.
    """
    return io.BufferedReader(_RemoteFile(path), 64 << 10)


def write(path: str, data: bytes | memoryview) -> None:
    """Store a file whole: object stores show it when all of it has arrived, or not at all."""
    fs, inner = filesystem(path)
    content = data if isinstance(data, bytes) else bytes(data)
    _insist("write", path, lambda: fs.pipe_file(inner, content))


def stat(path: str) -> Stored:
    """Size and tag of a file, asked for anew."""
    fs, inner = filesystem(path)
    return _stored(path, _insist("read", path, lambda: _info(fs, inner)))


def exists(path: str) -> bool:
    """Whether there is a file or folder."""
    fs, inner = filesystem(path)
    try:
        _insist("look for", path, lambda: _info(fs, inner))
    except FileNotFoundError:
        return False
    return True


def list_files(path: str) -> list[Stored]:
    """All files below a folder, those that a pattern matches, or the file itself; sorted by path.

    Sizes and tags come with the listing, a thousand files for one request.
    """
    fs, inner = filesystem(path)

    def listed() -> dict[str, dict[str, Any]]:
        fs.invalidate_cache()
        found: dict[str, dict[str, Any]] = {}
        if glob.has_magic(inner):
            found = fs.glob(inner, detail=True)
        return found or fs.find(inner, detail=True)  # brackets may stand in a name

    try:
        found = _insist("list", path, listed)
    except FileNotFoundError:
        return []
    files = [
        _stored(fs.unstrip_protocol(name), info)
        for name, info in found.items()
        if info.get("type") != "directory"
    ]
    return sorted(files, key=lambda file: file.path)


def remove(path: str) -> None:
    """Remove a file or a whole folder; not being there is fine."""
    fs, inner = filesystem(path)

    def removed() -> None:
        fs.invalidate_cache()
        with contextlib.suppress(FileNotFoundError):
            fs.rm(inner, recursive=True)

    _insist("remove", path, removed)


def can_swap(path: str) -> bool:
    """Whether the store has an operation that `swap` can be made of."""
    return path.partition("://")[0] in ("s3", "s3a")


def content(path: str) -> bytes | None:
    """All bytes of a small file, asked for anew; None when there is no such file."""
    fs, inner = filesystem(path)
    return _insist("read", path, lambda: _content(fs, inner))


def swap(path: str, old: bytes | None, new: bytes) -> bool:
    """Store a file if its content is still `old` (None: there is no file); whether this was so.

    Of several that try at the same time one is told that it was. A store that does not know
    conditions (its answer is 501) stores the file all the same.
    """
    fs, inner = filesystem(path)
    bucket, key, _ = fs.split_path(inner)
    where = {"Bucket": bucket, "Key": key}

    def swapped() -> bool:
        condition = {"IfNoneMatch": "*"}
        if old is not None:
            try:
                # The version first: should the content be of a later one, the condition fails.
                condition = {"IfMatch": _info(fs, inner)["ETag"]}
            except FileNotFoundError:
                return False
        now = _content(fs, inner)
        if now != old:
            return now == new  # ours, of an attempt whose answer was lost
        try:
            fs.call_s3("put_object", **where, Body=new, **condition)
        except Exception as error:
            status = _answer(error)[0]
            if status == 412 or (status == 404 and old is not None):
                return _content(fs, inner) == new
            if status != 501:
                raise
            fs.pipe_file(inner, new)
        return True

    return _insist("write", path, swapped)


def _content(fs: Any, inner: str) -> bytes | None:
    fs.invalidate_cache(inner)
    try:
        data: bytes = fs.cat_file(inner)
    except FileNotFoundError:
        return None
    return data


def filesystem(path: str) -> tuple[Any, str]:
    """The store of a path, and the path in it. Raises UsageError where a driver is missing."""
    protocol = path.partition("://")[0]
    options: dict[str, Any] = {}
    if protocol in ("s3", "s3a") and "config_kwargs" not in fsspec.config.conf.get(protocol, {}):
        # one layer that tries again, this one: three would multiply attempts and pauses
        options["config_kwargs"] = {"retries": {"total_max_attempts": 1}}
    try:
        fs, inner = fsspec.core.url_to_fs(path, **options)
    except ImportError as error:
        driver, package = _DRIVERS.get(protocol, (None, None))
        need = f"{protocol}:// needs {driver}: pip install {package}" if driver else str(error)
        raise UsageError(f"{shown(path)}: {need}") from None
    except ValueError as error:
        raise UsageError(f"{shown(path)}: {str(error).replace(path, shown(path))}") from None
    if options:
        fs.retries = 1
    return fs, inner


def _info(fs: Any, inner: str) -> dict[str, Any]:
    fs.invalidate_cache(inner)
    info: dict[str, Any] = fs.info(inner)
    return info


def _stored(path: str, info: dict[str, Any]) -> Stored:
    size = int(info.get("size") or 0)
    tag = next((str(info[key]).strip('"') for key in _TAGS if info.get(key)), "")
    return Stored(path=path, bytes=size, tag=f"{tag}-{size}" if tag else "")


def _insist(what: str, path: str, operation: Callable[[], _T]) -> _T:
    """The result of an operation, tried again while it fails for reasons that pass."""
    import tenacity  # brings asyncio's machinery, which local runs never need

    attempts = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE),
        retry=tenacity.retry_if_exception(_may_pass),
        reraise=True,
    )
    try:
        return attempts(operation)
    except MillError:
        raise
    except Exception as error:  # drivers raise what their libraries raise
        raise _told(what, path, error) from None


def _may_pass(error: BaseException) -> bool:
    name = type(error).__name__
    if not isinstance(error, Exception) or isinstance(error, _CERTAIN):
        return False
    if name in _NO_CREDENTIALS or name in (_CHANGED, "ParamValidationError"):
        return False
    status, code = _answer(error)
    return (
        status is None
        or not 400 <= status < 500
        or status in _PASSING_STATUS
        or (code in _PASSING_CODES)
    )


def _answer(error: BaseException) -> tuple[int | None, str]:
    """The HTTP status and the store's own code that an error carries, where it does."""
    for holder in (error, error.__cause__):
        response = getattr(holder, "response", None)
        if isinstance(response, dict):  # botocore's
            code = str(response.get("Error", {}).get("Code", ""))
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return status, code if re.fullmatch(r"[A-Za-z0-9]{1,40}", code) else ""
    for name in ("status", "code", "status_code"):  # aiohttp's, gcsfs', azure's
        value = getattr(error, name, None)
        if isinstance(value, int):
            return value, ""
    return None, ""


def _told(what: str, path: str, error: Exception) -> Exception:
    """The error as the user sees it. Messages of libraries may hold signed addresses: only the kind
    of error, and the store's code for it, are quoted."""
    name = type(error).__name__
    status, code = _answer(error)
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(errno.ENOENT, "there is no such file", shown(path))
    if name == _CHANGED:
        return changed(path)
    if isinstance(error, PermissionError) or name in _NO_CREDENTIALS or status in (401, 403):
        why = "no credentials were found" if name in _NO_CREDENTIALS else "the store forbids it"
        return PermissionError(errno.EACCES, why, shown(path))
    kind = f"{name}, {code}" if code else name
    attempts = f"{ATTEMPTS} attempts" if _may_pass(error) else "an error that stays"
    return OSError(errno.EIO, f"cannot {what} it: given up after {attempts} ({kind})", shown(path))


def changed(path: str) -> RunError:
    """The error about a file that is not the one it was."""
    return RunError(f"{shown(path)} was changed or removed while the run read its sources")


class _RemoteFile(io.RawIOBase):
    """The bytes of one version of a remote file, asked for in blocks."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fs, self._inner = filesystem(path)
        self._position = 0
        self._stream: Any = None
        self._version: Stored | None = None
        self._block = b""
        self._block_start = 0
        self._ahead = FIRST_BLOCK
        _insist("read", path, self._open)

    def _open(self) -> None:
        self._fs.invalidate_cache(self._inner)
        stream = self._fs.open(self._inner, "rb", cache_type="none")
        version = _stored(self._path, getattr(stream, "details", None) or {})
        if not version.tag:
            version = _stored(self._path, _info(self._fs, self._inner))
        if self._version is not None and version != self._version:
            stream.close()
            raise changed(self._path)
        self._stream, self._version = stream, version

    @property
    def _size(self) -> int:
        assert self._version is not None
        return self._version.bytes

    def _fetch(self, n: int) -> bytes:
        """At least one byte, at most n, from the current position."""
        try:
            if self._stream is None:
                self._open()
            self._stream.seek(self._position)
            data: bytes = self._stream.read(n)
            if not data:
                raise ConnectionError("a body without bytes, before the end of the file")
        except FileNotFoundError:
            raise changed(self._path) from None
        except Exception:
            self._drop_stream()
            raise
        return data[:n]

    def _next_block(self, n: int) -> None:
        """Make the current position part of the block, with n bytes from there when they fit."""
        in_order = self._position == self._block_start + len(self._block)
        self._ahead = min(2 * self._ahead, BLOCK) if in_order and self._block else FIRST_BLOCK
        wanted = min(max(n, self._ahead), BLOCK, self._size - self._position)
        self._block = b""  # not two at a time
        self._block = _insist("read", self._path, lambda: self._fetch(wanted))
        self._block_start = self._position

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def readinto(self, buffer: Any) -> int:
        """Fewer bytes than the buffer holds are no end: none are."""
        view = memoryview(buffer).cast("B")
        n = min(len(view), self._size - self._position)
        if n <= 0:
            return 0
        if not self._block_start <= self._position < self._block_start + len(self._block):
            self._next_block(n)
        at = self._position - self._block_start
        data = self._block[at : at + n]
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def readall(self) -> bytes:
        """The rest of the file, in large pieces; Python by itself would read 8 KiB at a time."""
        parts = []
        while part := self.read(BLOCK):
            parts.append(part)
        return b"".join(parts)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Costs nothing: the next read asks for what it needs."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, "cannot seek before the start", shown(self._path))
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Bytes from the start."""
        return self._position

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Let go of the connection."""
        self._drop_stream()
        super().close()
