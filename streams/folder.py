"""What a path in the settings means on disk: a picture, a film, a folder of them, or a pattern: `clips/**/*.mp4`."""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path

from streams.watch import FolderAway, Version
from streams.wholeness import looks_whole

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
FILMS = frozenset({".mp4", ".mkv", ".avi", ".mov", ".gif", ".ts", ".webm", ".m4v"})


def is_film(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in FILMS


def find_files(path: str) -> list[Path]:
    """The pictures and films that a file name, a folder or a pattern (`**` included) means, sorted by name.

    Hidden files are none of them: they are halves of copies, or what macOS leaves beside a picture. Raises OSError
    where the file system will not say: a name too long, a folder that may not be entered.
    """
    root = Path(os.path.expanduser(path))  # Path.expanduser raises for an unknown user; such a path is just not there
    if root.is_file():
        found: Iterator[Path] = iter([root])
    elif root.is_dir():
        found = (file for file in root.iterdir() if not file.name.startswith("."))
    else:
        found = (Path(name) for name in glob.glob(str(root), recursive=True))
    return sorted(file for file in found if _has_ending(file.name) and file.is_file())


class FolderFiles:
    """`streams.watch.Files` on a real file system, by listing alone: on network shares nothing else tells of changes.

    A path without `*`, `?` and `[` that ends like a picture or film is that one file; any other one is a folder.
    """

    def __init__(self, path: str) -> None:
        whole = os.path.abspath(os.path.expanduser(path))
        if glob.has_magic(whole) and not os.path.exists(whole):
            parts = Path(whole).parts
            first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
            self._base, self._parts = os.path.join(*parts[:first]), parts[first:]
        elif os.path.isfile(whole) or (not os.path.isdir(whole) and _has_ending(whole)):
            self._base, self._parts = os.path.dirname(whole), (glob.escape(os.path.basename(whole)),)
        else:
            self._base, self._parts = whole, ("*",)
        self._device: int | None = None

    def names(self) -> dict[str, int]:
        try:
            device = os.stat(self._base).st_dev
            found = dict(_matching(self._base, self._parts))
        except OSError as error:
            raise FolderAway(f"the folder {self._base} cannot be read ({error.strerror}); waiting for it") from None
        if found:
            self._device = device
        elif self._device not in (None, device):
            # The empty folder over which a share was mounted: its files are not gone, they are out of sight.
            raise FolderAway(f"the folder {self._base} is empty, as if its share were not mounted; waiting for it")
        return found

    def version(self, name: str) -> Version | None:
        try:
            found = os.stat(name)
        except OSError:
            return None
        return Version(found.st_mtime_ns, found.st_size)

    def whole(self, name: str) -> bool:
        try:
            return looks_whole(name)
        except OSError:
            return False


def _has_ending(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in PICTURES | FILMS


def _matching(folder: str, parts: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Path and inode number of every picture and film below `folder` whose path matches the parts of a pattern.

    Raises OSError where `folder` itself cannot be listed; folders below it that cannot are passed over, as a shell
    does. Hidden names match only what begins with a dot, and `**` follows no links.
    """
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _matching(folder, rest or ("*",))
        with os.scandir(folder) as entries:
            below = [e.path for e in entries if not e.name.startswith(".") and e.is_dir(follow_symlinks=False)]
        for path in below:
            with contextlib.suppress(OSError):
                yield from _matching(path, parts)
        return
    fits = re.compile(fnmatch.translate(part)).match
    shows_hidden = part.startswith(".")
    with os.scandir(folder) as entries:
        for entry in entries:
            if not fits(entry.name) or (entry.name.startswith(".") and not shows_hidden):
                continue
            if rest:
                if entry.is_dir():
                    with contextlib.suppress(OSError):
                        yield from _matching(entry.path, rest)
            elif _has_ending(entry.name) and entry.is_file():
                yield entry.path, entry.inode()
