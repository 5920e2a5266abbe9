"""What containers have written, as ``kubectl logs`` asks for it.

References
----------
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from nublado.sandbox.kubernetes.errors import bad_request
from nublado.sandbox.kubernetes.requests import flag, number

__all__ = ["ContainerLogs", "LogQuery"]

_KEPT = 2
_LOOK_SECONDS = 0.1


class ContainerLogs:
    """Knows where the logs of containers are: the latest, and the one before."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, str], list[Path]] = {}

    def begin(self, uid: str, container: str, path: Path) -> None:
        """Note the file of a container that starts; remove those of long ago."""
        files = self._files.setdefault((uid, container), [])
        files.append(path)
        for outdated in files[:-_KEPT]:
            for file in outdated.parent.glob(f"{outdated.stem}.*"):
                file.unlink()
        del files[:-_KEPT]

    def forget(self, uid: str) -> None:
        """Forget the files of a pod."""
        for key in [key for key in self._files if key[0] == uid]:
            del self._files[key]

    def is_known(self, uid: str, container: str) -> bool:
        """Whether a container has run, so that its log is not made up."""
        return (uid, container) in self._files

    def find(self, uid: str, container: str, *, previous: bool) -> Path | None:
        """File of the latest start of a container, or of the one before it."""
        files = self._files.get((uid, container), [])
        position = 2 if previous else 1
        return files[-position] if len(files) >= position else None


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which part of a log is asked for.

    Parameters
    ----------
    follow
        Whether to go on until the container has ended.
    timestamps
        Whether each line begins with its time.
    tail
        How many lines at the end are asked for; None for all.
    since
        From which time on; None for all.
    limit
        How many bytes at most; None for no limit.
    """

    follow: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: datetime | None = None
    limit: int | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> LogQuery:
        """Read the parameters of a request.

        Raises
        ------
        ApiError
            Raised if one makes no sense (400).
        """
        return cls(
            follow=flag(query, "follow"),
            timestamps=flag(query, "timestamps"),
            tail=number(query, "tailLines"),
            since=_since(query),
            limit=number(query, "limitBytes"),
        )

    async def read(
        self, path: Path, is_over: Callable[[], bool]
    ) -> AsyncIterator[bytes]:
        """Read the part of a log that is asked for.

        Parameters
        ----------
        path
            The log.
        is_over
            Tells whether the container has ended.
        """
        left = self.limit
        async for data in self._read(path, is_over):
            part = data if left is None else data[:left]
            if part:
                yield part
            if left is not None:
                left -= len(part)
                if left == 0:
                    return

    async def _read(
        self, path: Path, is_over: Callable[[], bool]
    ) -> AsyncIterator[bytes]:
        with closing(_Reader(path)) as reader:
            entries = (e for e in reader.entries() if self._is_wanted(e))
            yield b"".join(self._show(e) for e in deque(entries, self.tail))
            while self.follow:
                ended = is_over()
                yield b"".join(self._show(entry) for entry in reader.entries())
                if ended:
                    return
                await asyncio.sleep(_LOOK_SECONDS)

    def _is_wanted(self, entry: _Entry) -> bool:
        return self.since is None or entry.time >= self.since

    def _show(self, entry: _Entry) -> bytes:
        stamp = entry.stamp + b" " if self.timestamps else b""
        return stamp + entry.text


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of a log: a line, or a part of a long one."""

    stamp: bytes
    text: bytes

    @property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.stamp.decode())


class _Reader:
    """Reads a log on from where it was last, also when it has begun anew.

    The file stays open, so that its end can be read after it has been removed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def entries(self) -> Iterator[_Entry]:
        """Entries that have been written since."""
        while True:
            if self._file is None:
                try:
                    self._file = self._path.open("rb")
                except FileNotFoundError:
                    return
            is_latest = self._is_latest(self._file)
            yield from _complete_entries(self._file)
            if is_latest:
                return
            self.close()

    def _is_latest(self, file: BinaryIO) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(file.fileno()))
        except FileNotFoundError:
            return True


def _complete_entries(file: BinaryIO) -> Iterator[_Entry]:
    position = file.tell()
    for line in iter(file.readline, b""):
        if not line.endswith(b"\n"):
            file.seek(position)
            return
        position += len(line)
        yield _parse(line)


def _parse(line: bytes) -> _Entry:
    stamp, _, tag, text = line.split(b" ", 3)
    return _Entry(stamp, text if tag == b"F" else text[:-1])


def _since(query: Mapping[str, str]) -> datetime | None:
    seconds = number(query, "sinceSeconds")
    if seconds is not None:
        return datetime.now(UTC) - timedelta(seconds=seconds)
    text = query.get("sinceTime")
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as e:
        raise bad_request(f'sinceTime: cannot parse "{text}" as a time') from e
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
