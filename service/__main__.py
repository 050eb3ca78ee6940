"""python -m service: reads the settings, binds the port, runs the workers, stops them in peace."""

import argparse
import contextlib
import signal
import socket
import sys
from functools import partial
from pathlib import Path

import structlog
from pydantic import ValidationError

from service.api_keys import taken_keys
from service.greeting import Address, greet_when_ready
from service.libraries import HOW_TO_WRITE_THEM, missing_libraries
from service.logs import configure_logging
from service.metrics_directory import MetricsDirectoryError, metrics_directory
from service.readiness import Readiness
from service.runtime_directory import runtime_directory
from service.server import Server, server_config
from service.settings import Settings, complaints, settings_help
from service.workers import Workers, create_app_in_worker

EXIT_NOT_STARTED = 1
EXIT_WRONG_SETTING = 2
EXIT_PORT_TAKEN = 3
# Loading a model holds the interpreter lock, and a worker that does not answer its parent in time is replaced.
WORKER_SILENCE_SECONDS = 30


def main() -> None:
    """Run until SIGTERM or SIGINT; running requests are answered before the process ends."""
    argparse.ArgumentParser(
        prog="python -m service",
        description="Serve the models of a repository over HTTP.\n\nSettings, as environment variables:\n"
        + settings_help().replace("%", "%%"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    settings = _settings()
    configure_logging(settings.log_level)
    _tell_of_missing_libraries()
    _prepare_for_signals()
    listener = _bound(settings)
    try:
        with contextlib.ExitStack() as stack:
            runtime = stack.enter_context(runtime_directory())
            if settings.workers > 1 and settings.metrics:
                # One process counts in its own memory.
                stack.enter_context(metrics_directory(runtime))
            _serve(settings, listener, runtime)
    except MetricsDirectoryError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_WRONG_SETTING)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as invalid:
        print("\n".join(complaints(invalid)), file=sys.stderr)
        sys.exit(EXIT_WRONG_SETTING)


def _tell_of_missing_libraries() -> None:
    if missing := missing_libraries():
        detail = f"the page and the documentation need them; {HOW_TO_WRITE_THEM} writes them"
        structlog.get_logger("service").warning("libraries are missing", names=missing, detail=detail)


def _prepare_for_signals() -> None:
    # Until a server listens to it: there is nothing to read anew yet.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # uvicorn ends by raising the signal again; this makes it a normal end, also before uvicorn listens to signals.
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: sys.exit(0))


def _bound(settings: Settings) -> socket.socket:
    # Bound but not listening yet: until a worker accepts, a connection is refused and not left waiting.
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, UnicodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "the host is no name or address") or error
        print(f"HEED_HOST, HEED_PORT: cannot listen on {settings.host}:{settings.port}: {reason}", file=sys.stderr)
        sys.exit(EXIT_PORT_TAKEN)
    listener.set_inheritable(True)
    return listener


def _address(settings: Settings, port: int) -> Address:
    keys = taken_keys(settings.api_keys, settings.api_keys_file)
    return Address(settings.host, port, settings.tls_certificate is not None, next(iter(keys), None))


def _serve(settings: Settings, listener: socket.socket, runtime: Path) -> None:
    readiness = Readiness(settings.workers, runtime)
    greet = partial(greet_when_ready, _address(settings, listener.getsockname()[1]))
    config = server_config(
        partial(create_app_in_worker, readiness, runtime),
        runtime,
        factory=True,
        workers=settings.workers,
        root_path=settings.root_path,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        timeout_graceful_shutdown=settings.shutdown_timeout_seconds,
        timeout_worker_healthcheck=WORKER_SILENCE_SECONDS,
    )
    if settings.workers == 1:
        greet()
        has_failed = _has_failed_alone(Server(config), listener)
    else:
        workers = Workers(config, [listener], readiness, greet)
        workers.run()
        has_failed = workers.has_failed
    if has_failed:
        structlog.get_logger("service").critical("the service cannot answer and ends; the lines above say why")
        sys.exit(EXIT_NOT_STARTED)


def _has_failed_alone(server: Server, listener: socket.socket) -> bool:
    try:
        server.run(sockets=[listener])
    except SystemExit as ended:  # a signal's, or the server's own where its application did not start
        return bool(ended.code)
    except Exception:  # noqa: BLE001  # whatever it is, the log's last line says what became of the service
        structlog.get_logger("service").exception("the server failed")
        return True
    return False


if __name__ == "__main__":
    main()
