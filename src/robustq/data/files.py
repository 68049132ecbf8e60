"""Where data files come from: ``ROBUSTQ_DATA_DIR`` first, else a download; always checked."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from robustq.errors import DataError

VARIABLE = "ROBUSTQ_DATA_DIR"


@dataclass(frozen=True)
class DataFile:
    """One file of a data set.

    Attributes:
        path: its place below ``ROBUSTQ_DATA_DIR``.
        sha256: checksum of that file.
        url: where the same bytes can be downloaded, if anywhere.
    """

    path: str
    sha256: str
    url: str | None = None

    def fetch(self) -> Path:
        """The verified local file.

        Raises:
            DataError: if it is nowhere to be had, or its checksum is wrong.
        """
        folder = os.environ.get(VARIABLE)
        if folder and (Path(folder) / self.path).is_file():
            return self._verified(Path(folder) / self.path)
        if self.url is None:
            where = f"{folder!r} has no such file" if folder else "it is not set"
            raise DataError(f"expected {self.path} in the folder named by {VARIABLE}, but {where}")
        return self._download(self.url)

    def _verified(self, path: Path) -> Path:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != self.sha256:
            raise DataError(f"{path}: expected sha256 {self.sha256[:16]}..., got {digest[:16]}...")
        return path

    def _download(self, url: str) -> Path:
        import pooch

        try:
            local = pooch.retrieve(
                url,
                known_hash=f"sha256:{self.sha256}",
                fname=self.path.replace("/", "-"),
                path=pooch.os_cache("robustq"),
                downloader=pooch.HTTPDownloader(timeout=30),
            )
        except Exception as failure:
            raise DataError(
                f"expected {self.path} in the folder named by {VARIABLE}, or a download of {url}, "
                f"which failed: {failure}"
            ) from failure
        return Path(local)
