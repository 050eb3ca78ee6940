"""TLS: a certificate and its key, checked before anything is served with them, and the client that asks itself."""

import ssl
from pathlib import Path

from service.shown import shown


def check_certificate(path: Path) -> None:
    """Raises ValueError where there is no PEM certificate in the file."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except ssl.SSLError:
        raise ValueError(f"there is no PEM certificate in '{shown(path)}'") from None
    except OSError as error:
        raise _unreadable(path, error) from None


def check_key(path: Path, certificate: Path) -> None:
    """Raises ValueError where the file is not the certificate's PEM key, or where the key has a password."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, path, _no_password)
    except ssl.SSLError as error:
        reason = "" if error.reason is None else f": {error.reason.lower().replace('_', ' ')}"
        raise ValueError(f"'{shown(path)}' is not the PEM key of the certificate{reason}") from None
    except OSError as error:
        raise _unreadable(path, error) from None


def context_for_itself() -> ssl.SSLContext:
    """Of a client on the service's own machine: it trusts whoever answers, at an address that no certificate names."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _unreadable(path: Path, error: OSError) -> ValueError:
    return ValueError(f"the file '{shown(path)}' cannot be read: {error.strerror}")


def _no_password() -> str:
    # Without this, OpenSSL would ask for one on the terminal, once in each worker.
    raise ValueError("the key is encrypted, one without a password is expected")
