"""On which addresses a process and what it has started listen."""

import ipaddress

import psutil


def listening(pid: int | None = None) -> dict[int, tuple[str, str]]:
    """{port: (address, process)} of TCP sockets that a process and its descendants listen on.

    pid: of the process; None: this one.
    """
    this = psutil.Process(pid)
    found = {}
    for process in (this, *this.children(recursive=True)):
        try:
            for entry in process.net_connections("inet"):
                if entry.status == psutil.CONN_LISTEN:
                    found[entry.laddr.port] = (entry.laddr.ip, process.name())
        except psutil.Error:  # it has just ended
            continue
    return found


def reachable_from_elsewhere(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    mapped = getattr(ip, "ipv4_mapped", None)
    return not (mapped or ip).is_loopback
