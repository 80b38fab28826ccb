"""HTTP as the clients of registries do it: their certificates, logins from the address or netrc, bounded answers.

Start at `get` and `download`. Credentials never follow a redirect to another host.
"""

from __future__ import annotations

import base64
import netrc
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.registries import FetchError

TIMEOUT_S = 60
_MAX_DOWNLOAD_BYTES = 2 << 30


class _NoCrossHostAuthorization(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and takes no credentials along to another host."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        old_host, new_host = (urllib.parse.urlsplit(url).hostname for url in (req.full_url, newurl))
        if new is not None and old_host != new_host:
            new.headers.pop("Authorization", None)
        return new


def _open(url: str, certificates: str | None, headers: Mapping[str, str]) -> Any:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https", "file"):
        raise FetchError(f"{shown_address(url)}: only http, https and file addresses are read")
    sent = {"User-Agent": "polymix", **headers}
    login = (
        (urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")) if parts.username else None
    )
    if login is None and parts.scheme in ("http", "https"):
        login = _netrc_login(parts.hostname or "")
    if parts.username:
        host = parts.netloc.rpartition("@")[2]
        url = urllib.parse.urlunsplit(parts._replace(netloc=host))
    if login is not None and "Authorization" not in sent:
        sent["Authorization"] = "Basic " + base64.b64encode(f"{login[0]}:{login[1]}".encode()).decode()
    context = ssl.create_default_context(cafile=certificates if certificates and Path(certificates).is_file() else None)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _NoCrossHostAuthorization())
    return opener.open(urllib.request.Request(url, headers=sent), timeout=TIMEOUT_S)


def _netrc_login(host: str) -> tuple[str, str] | None:
    try:
        found = netrc.netrc().authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None
    return (found[0], found[2]) if found else None


def shown_address(url: str) -> str:
    """Return an address without its password."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def get(url: str, certificates: str | None = None, headers: Mapping[str, str] | None = None) -> tuple[bytes, str]:
    """Return an address's bytes and content type.

    Raises:
        FetchError: No answer, or one above the cap.
        urllib.error.HTTPError: An answer that is an error.
    """
    last: Exception | None = None
    for _ in range(3):
        try:
            with _open(url, certificates, headers or {}) as answer:
                data: bytes = answer.read(_MAX_DOWNLOAD_BYTES + 1)
                if len(data) > _MAX_DOWNLOAD_BYTES:
                    raise FetchError(f"{shown_address(url)}: more than {_MAX_DOWNLOAD_BYTES:,} bytes: refused")
                return data, str(answer.headers.get_content_type())
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise
            last = error
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            last = error
    raise FetchError(f"{shown_address(url)}: no answer ({last}); check the network and the client's configuration")


def download(url: str, certificates: str | None, headers: Mapping[str, str] | None = None) -> bytes:
    """Return an address's bytes; an answer that is an error is a `FetchError`."""
    if url.startswith("file:"):
        return Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path)).read_bytes()
    try:
        return get(url, certificates, headers)[0]
    except urllib.error.HTTPError as error:
        raise FetchError(f"{shown_address(url)} answered {error.code} {error.reason}") from error
