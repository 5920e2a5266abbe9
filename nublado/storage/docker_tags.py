"""Parse lists of tags, which may be long, while they arrive."""

from __future__ import annotations

from collections.abc import Iterable

import ijson

__all__ = ["parse_tags"]


def parse_tags(chunks: Iterable[bytes]) -> list[str]:
    """Parse the response to a request for tags.

    Registries of Google describe all manifests beside the tags, which makes
    it megabytes. Nothing but the tags is kept.

    Parameters
    ----------
    chunks
        The body, ``{"name": …, "tags": […]}``, in pieces.

    Raises
    ------
    ValueError
        Raised if there is no list of tags.
    """
    collected = _Tags()
    events: list[tuple[str, object]] = ijson.sendable_list()
    parser = ijson.basic_parse_coro(events)
    try:
        for chunk in filter(None, chunks):
            parser.send(chunk)
            collected.take(events)
        parser.close()
    except ijson.JSONError as e:
        raise ValueError("is not JSON") from e
    collected.take(events)
    if collected.tags is None:
        raise ValueError("has no list of tags")
    return collected.tags


class _Tags:
    """Picks the list below the key ``tags`` out of the events of a parser."""

    def __init__(self) -> None:
        self.tags: list[str] | None = None
        self._depth = 0
        self._key: object = None

    def take(self, events: list[tuple[str, object]]) -> None:
        for event, value in events:
            self._take(event, value)
        events.clear()

    def _take(self, event: str, value: object) -> None:
        is_tags = self._key == "tags"
        if event in ("start_map", "start_array"):
            if is_tags and self._depth == 1 and event == "start_array":
                self.tags = []
            self._depth += 1
        elif event in ("end_map", "end_array"):
            self._depth -= 1
        elif self._depth == 1:
            if event == "map_key":
                self._key = value
            elif is_tags and event == "null":
                # A repository without any.
                self.tags = []
        elif self.tags is not None and is_tags and self._depth == 2:
            self.tags += [value] if isinstance(value, str) else []
