"""The zip file that a model is saved in: what is read from it is looked at first.

Only four members are ever read, whole and into memory; nothing is unpacked to the disk.
"""

import json
import stat
import zipfile
import zlib
from typing import Any

CONFIG, METADATA, WEIGHTS, STATE = "config.json", "metadata.json", "model.weights.h5", "fastml_state.json"

MAX_MEMBERS = 1000
# Configurations of the largest models take some MB.
MAX_JSON_BYTES = 64 << 20
# How much larger a member may be than what is stored of it. Keras does not compress, and weights hardly compress.
MAX_EXPANSION = 100
FREE_BYTES = 16 << 20

_ENCRYPTED = 0x1


class Archive:
    """A ``.keras`` file, open for reading.

    Parameters
    ----------
    path : str

    Raises
    ------
    ValueError
        If it is no zip file, or one that could do harm: members whose names leave the folder, links, two members of
        one name, encrypted or oversized ones.
    """

    def __init__(self, path: str):
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            raise ValueError(f"'{path}' is no `.keras` file, which is a zip file: {error}") from error
        try:
            self._members = _checked(path, self._zip.infolist())
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *exception: Any) -> None:
        self._zip.close()

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str, limit: int | None = None) -> bytes:
        """A member.

        Raises
        ------
        ValueError
            If there is none of that name, if it is larger than ``limit`` bytes, or if it is damaged.
        """
        if name not in self._members:
            raise ValueError(
                f"'{self.path}' has no member '{name}': it is no `.keras` file, or not a whole one."
            )
        size = self._members[name].file_size
        if limit is not None and size > limit:
            raise ValueError(
                f"'{self.path}': member '{name}' has {size} bytes, more than the {limit} allowed."
            )
        try:
            # zipfile gives no more bytes than declared, and checks the checksum.
            return self._zip.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise ValueError(f"'{self.path}': member '{name}' is damaged: {error}") from error

    def json(self, name: str) -> Any:
        """A member of JSON text."""
        try:
            return json.loads(self.read(name, MAX_JSON_BYTES))
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"'{self.path}': member '{name}' is no JSON text: {error}") from error


def _checked(path: str, infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    if len(infos) > MAX_MEMBERS:
        raise ValueError(f"'{path}' has {len(infos)} members, more than the {MAX_MEMBERS} allowed.")
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        fault = _fault(info) or ("is there twice" if info.filename in members else None)
        if fault is not None:
            raise ValueError(f"'{path}' is not loaded: its member {info.filename!r} {fault}.")
        members[info.filename] = info
    return members


def _fault(info: zipfile.ZipInfo) -> str | None:
    """What is wrong with a member, if anything is."""
    # As it stands in the file: zipfile cuts names at a zero byte.
    name = info.orig_filename
    parts = name.rstrip("/").split("/")
    if "\\" in name or "\0" in name or ":" in parts[0] or any(part in ("", ".", "..") for part in parts):
        return "has a path that is absolute or leaves the folder"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is compressed by method {info.compress_type}, which Keras does not use"
    if info.file_size > FREE_BYTES + MAX_EXPANSION * info.compress_size:
        return f"would unpack {info.compress_size} bytes to {info.file_size}"
    return None
