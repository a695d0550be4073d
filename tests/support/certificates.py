"""A private certificate authority for tests, and the certificate of a server on `localhost`."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

from tools import needs


class Certificates(NamedTuple):
    """Files: the authority that signed the server, the server's certificate and key, and another authority."""

    authority: Path
    server: Path
    key: Path
    stranger: Path


def certificates(folder: Path) -> Certificates:
    """Made with openssl, valid for a day, for the name `localhost` only."""
    found = Certificates(*(folder / name for name in ("ca.pem", "server.pem", "server.key", "other.pem")))
    key = folder / "ca.key"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    for authority, its_key in ((found.authority, key), (found.stranger, folder / "other.key")):
        subject = ["-subj", f"/CN={authority.stem}", "-addext", "keyUsage=critical,keyCertSign"]
        _openssl("req", "-x509", *curve, *subject, "-keyout", its_key, "-out", authority)
    asked = folder / "server.csr"
    _openssl("req", *curve[:-2], "-subj", "/CN=localhost", "-keyout", found.key, "-out", asked)
    names = folder / "names"
    names.write_text("subjectAltName=DNS:localhost\n")
    signed = ["-CA", found.authority, "-CAkey", key, "-CAcreateserial", "-days", "1", "-extfile", names]
    _openssl("x509", "-req", "-in", asked, *signed, "-out", found.server)
    return found


def _openssl(*words: object) -> None:
    command = [needs("openssl"), *map(str, words)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
