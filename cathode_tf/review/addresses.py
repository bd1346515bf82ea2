"""Where a server listens, and by which names a browser may call it."""

from __future__ import annotations

import ipaddress
import socket

from cathode_tf.errors import InputError

DEFAULT_PORT = 8765


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens on the port, or on the first free one from 8765 on.

    Raises:
        InputError: If the port is taken.
    """
    candidates = [port] if port is not None else [*range(DEFAULT_PORT, DEFAULT_PORT + 20), 0]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in candidates:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, candidate))
            listening.listen(128)
            return listening
        except OSError as error:
            listening.close()
            reason = error.strerror
    raise InputError(f"port {port}: cannot be opened on {host} ({reason}). Choose another with --port.")


def names_of(host: str) -> list[str]:
    """What a browser may call us: never more than was asked for, or any page could reach us by DNS."""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if host in ("0.0.0.0", "::"):
        return [socket.gethostname(), "127.0.0.1", "localhost"]
    return [host, "localhost", "127.0.0.1"] if local else [host]


def network_address() -> str:
    """The address by which others in the network reach this computer; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address of documentation: only the route is asked for
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()
