"""Servers for tests/long/hostile that break HTTP, TLS and the protocol of PostgreSQL: one behaviour for each path or port."""
import socketserver, struct, threading, time

BLOCK = b"x" * 65536
OK = b"HTTP/1.1 200 OK\r\n"
MIB = 1 << 20


def repeat(socket, data, seconds=30, pause=0):
    until = time.time() + seconds
    while time.time() < until:
        socket.sendall(data)
        time.sleep(pause)


def reset(socket):
    # linger for no time: the connection is reset
    socket.setsockopt(1, 13, struct.pack("ii", 1, 0))


def many_headers(socket):
    socket.sendall(OK + b"".join(b"x-h%d: 1\r\n" % i for i in range(100_000)) + b"content-length: 0\r\n\r\n")


def huge_header(socket):
    socket.sendall(OK + b"x-h: ")
    for _ in range(300):
        socket.sendall(b"x" * MIB)
    socket.sendall(b"\r\ncontent-length: 0\r\n\r\n")


def deep(socket):
    body = b"[" * 10_000 + b"]" * 10_000
    socket.sendall(OK + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


HTTP = {
    "no response": lambda s: time.sleep(30),
    "a byte a second": lambda s: (s.sendall(OK + b"content-length: 100\r\n\r\n"), repeat(s, b"x", pause=1)),
    "header without an end": lambda s: (s.sendall(OK + b"x-h: "), repeat(s, BLOCK)),
    "2 GB announced, then closed": lambda s: s.sendall(OK + b"content-length: 2147483648\r\n\r\nabc"),
    "JSON 10,000 deep": deep,
    "reset": reset,
    "half closed": lambda s: (s.sendall(OK), s.shutdown(1), time.sleep(30)),
    "HTTP 0.9": lambda s: s.sendall(b"hello\r\n"),
    "bytes that are no HTTP": lambda s: s.sendall(bytes(range(256)) * 100),
    "100 Continue without an end": lambda s: repeat(s, b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "100,000 headers": many_headers,
    "header of 300 MB": huge_header,
    "redirects without an end": lambda s: s.sendall(b"HTTP/1.1 302 Found\r\nlocation: /redirects-without-an-end\r\ncontent-length: 0\r\n\r\n"),
    "flood of server-sent events": lambda s: (s.sendall(OK + b"content-type: text/event-stream\r\n\r\n"), repeat(s, b"data: x\n\n" * 1000)),
}


PORTS = {
    "TLS: bytes that are no TLS": lambda s: s.sendall(bytes(range(256)) * 100),
    "TLS: no response": lambda s: time.sleep(30),
    "PostgreSQL: no response": lambda s: time.sleep(30),
    "PostgreSQL: closed at once": lambda s: None,
    "PostgreSQL: bytes of no message": lambda s: (s.recv(8), s.sendall(b"N"), s.recv(1000), s.sendall(bytes(range(256)) * 100), time.sleep(30)),
    "PostgreSQL: message of 2 GB": lambda s: (s.recv(8), s.sendall(b"N"), s.recv(1000), s.sendall(b"R\x7f\xff\xff\xff"), repeat(s, BLOCK)),
    "PostgreSQL: settings without an end": lambda s: (s.recv(8), s.sendall(b"N"), s.recv(1000), s.sendall(b"R\0\0\0\x08\0\0\0\0"), settings(s)),
    "MySQL: packets without an end": lambda s: repeat(s, b"\xff\xff\xff\0" + b"x" * 0xffffff),
    "PostgreSQL: notices without an end": lambda s: (s.recv(8), s.sendall(b"N"), s.recv(1000), repeat(s, b"N\0\0\0\x0bSabc\0\0")),
}


def settings(socket):
    for n in range(1 << 30):
        name = b"%0100000d\0x\0" % n
        socket.sendall(b"S" + struct.pack(">I", len(name) + 4) + name)


def path_of(name):
    return "/" + name.lower().replace(" ", "-").replace(",", "")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def serve(behave):
    """Starts a server on a port of its own, and returns the port."""
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            try:
                behave(self.request)
            except (OSError, KeyError):
                pass

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def http(socket):
    paths = {path_of(name): behave for name, behave in HTTP.items()}
    head = b""
    while b"\r\n\r\n" not in head:
        part = socket.recv(4096)
        if not part:
            return
        head += part
    paths[head.split(b" ")[1].decode()](socket)
