"""Whether a file still holds what it held when it was opened.

HDF5 reads what lies behind the end of a file as zeros, which would be counts of 0. It looks at the
end only when it opens a file; a file that is cut later must be found out here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from exitwave.errors import FileFormatError


class FileWatch:
    """Remembers how long the files of a dataset are; :meth:`check` after each read.

    Parameters
    ----------
    data : h5py.Dataset, or anything else, which is not watched
    """

    def __init__(self, data: Any) -> None:
        self._sizes: dict[int | Path, int] = {}
        if not type(data).__module__.startswith("h5py"):
            return
        self._name = data.file.filename
        for each in (_handle(data), *_other_files(data)):
            if each is not None:
                self._sizes[each] = os.stat(each).st_size  # noqa: PTH116  may be a descriptor

    def check(self) -> None:
        """Raise FileFormatError where a file has become shorter, or has gone."""
        for each, size in self._sizes.items():
            try:
                now = os.stat(each).st_size  # noqa: PTH116
            except OSError as error:
                now, reason = -1, error.strerror
            else:
                reason = f"{now} bytes where there were {size}"
            if now < size:
                name = self._name if isinstance(each, int) else each
                raise FileFormatError(
                    f"data in {name} cannot be read any more ({reason}); the file was cut while it "
                    "was read, put it in place again."
                )


def _handle(data: Any) -> int | None:
    """Descriptor of the file, which follows it through any change of its name."""
    if data.file.driver != "sec2":  # others have no descriptor, or several
        return None
    return int(data.file.id.get_vfd_handle())


def _other_files(data: Any) -> list[Path]:
    """Files that a virtual or external dataset takes its frames from."""
    folder = Path(data.file.filename).parent
    names: list[str] = []
    if data.is_virtual:
        names = [source.file_name for source in data.virtual_sources()]
    elif data.external:
        names = [os.fsdecode(entry[0]) for entry in data.external]
    found = {folder / name for name in names if name != "." and "%b" not in name}
    return sorted(path for path in found if path.exists())
