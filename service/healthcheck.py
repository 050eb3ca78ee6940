"""python -m service.healthcheck: ends with 0 where the service on this machine is ready, as its container asks it."""

import http.client
import os
import sys

from service.tls import context_for_itself

ADDRESS = "127.0.0.1"
# The path is the service's own: a root path is what a proxy has taken off.
PATH = "/v2/health/ready"
TIMEOUT_SECONDS = 2


def main() -> None:
    """Asks once, at HEED_PORT; over HTTPS where HEED_TLS_CERTIFICATE is set. Else a line on stderr, and status 1."""
    connection = _connection(int(os.environ["HEED_PORT"]))
    try:
        connection.request("GET", PATH)
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"no answer: {error!r}")
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        sys.exit(f"{response.status}: {content.decode()}")


def _connection(port: int) -> http.client.HTTPConnection:
    if "HEED_TLS_CERTIFICATE" not in os.environ:
        return http.client.HTTPConnection(ADDRESS, port, timeout=TIMEOUT_SECONDS)
    return http.client.HTTPSConnection(ADDRESS, port, timeout=TIMEOUT_SECONDS, context=context_for_itself())


if __name__ == "__main__":
    main()
