"""Python imports this at start when its folder is on PYTHONPATH: it cuts the network off.

Only addresses of this machine can be reached (a Jupyter kernel needs them). Everything else
raises OSError at once, wherever the tests run. Port 9 is where tests/nbval_tolerance.py sends
programs that look for a proxy, such as the C++ code in TensorFlow, which no Python hook sees.
"""

import errno
import sys

LOCAL = ("", "localhost", "127.0.0.1", "::1", "0.0.0.0")
ADDRESS_AT = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
}


def refuse(event, args):
    """Audit hook: raise OSError if the event reaches for another machine."""
    if event not in ADDRESS_AT:
        return
    address = args[ADDRESS_AT[event]]
    host, port = (address[0], address[1]) if isinstance(address, tuple) else (address, None)
    if isinstance(host, bytes):
        host = host.decode(errors="replace")
    if event == "socket.connect" and not isinstance(address, tuple):
        return  # a Unix socket
    if (host is None or host in LOCAL) and port != 9:
        return
    raise OSError(errno.ENETUNREACH, f"the network is cut off while notebooks are tested: {host}")


sys.addaudithook(refuse)
