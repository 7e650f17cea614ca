"""A file on its way in: received in pieces, bounded, looked at before anything is stored."""

import hashlib
import tempfile
from collections.abc import Iterator

from jobs.leads.files import Layout, UnusableFile, decoder_of, layout_of

CHUNK = 512 * 1024
"""Bytes of a piece in the table: some 6,000 rows, which are one transaction of the import."""
IN_MEMORY = 1024 * 1024
BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


class FileTooLarge(ValueError):
    """There is more of it than an upload may have."""


class Upload:
    """Bytes as they arrive, on disk if they are many. Use it as a context manager, which forgets them.

    Args:
        max_bytes: how many there may be.
    """

    def __init__(self, max_bytes: int) -> None:
        self.size = 0
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> "Upload":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            FileTooLarge: there are too many.
        """
        self.size += len(data)
        if self.size > self._max_bytes:
            raise FileTooLarge(
                f"the file has more than {self._max_bytes:,} bytes: send it in parts, each with the header, or raise "
                "WORKROW_LEAD_IMPORT_MAX_BYTES"
            )
        self._hash.update(data)
        self._file.write(data)

    @property
    def sha256(self) -> str:
        """Of all that has come."""
        return self._hash.hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """The file from its beginning."""
        self._file.seek(0)
        while chunk := self._file.read(CHUNK):
            yield chunk

    def layout(self) -> Layout:
        """How the file is to be read; looks at every byte of it.

        Raises:
            UnusableFile: nothing of it can be imported.
        """
        first = next(self.chunks(), b"")
        if not first.strip():
            raise UnusableFile("the file is empty")
        return layout_of(first, self._encoding(first), whole=self.size <= CHUNK)

    def _encoding(self, first: bytes) -> str:
        said = next((encoding for bom, encoding in BOMS.items() if first.startswith(bom)), None)
        try:
            self._decode(said or "utf-8-sig")
        except UnicodeDecodeError as error:
            if said:
                raise UnusableFile(
                    f"its byte order mark says {said.removesuffix('-sig').upper()}, and it is not: {error.reason}; "
                    "export it anew as UTF-8"
                ) from None
            return "cp1252"
        return said or "utf-8-sig"

    def _decode(self, encoding: str) -> None:
        decoder = decoder_of(encoding)
        for chunk in self.chunks():
            decoder.decode(chunk)
        decoder.decode(b"", True)
