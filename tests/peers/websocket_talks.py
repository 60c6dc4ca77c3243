"""WebSocket connections of several kinds, in clear and over TLS. The server logs, in apitap's words,
the opening exchange of each and what it carried.

    websocket_talks.py serve ADDRESS LOG CERTIFICATE KEY
    websocket_talks.py call ADDRESS KEYLOG
"""

import asyncio
import contextlib
import http
import json
import logging
import ssl
import sys
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve as listen
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.frames import DATA_OPCODES, Opcode


class Counted:
    """The last of a connection's extensions: counts frames as they are on the wire."""

    name = "counted"

    def __init__(self):
        self.rows = {"up": [0, 0, 0], "down": [0, 0, 0]}
        self.pings = self.pongs = 0

    def frame(self, way, frame):
        self.pings += frame.opcode is Opcode.PING
        self.pongs += frame.opcode is Opcode.PONG
        if frame.opcode in DATA_OPCODES:
            row = self.rows[way]
            row[0] += frame.fin
            row[1] += len(frame.data)
            row[2] += frame.rsv1
        return frame

    def decode(self, frame, *, max_size=None):
        return self.frame("up", frame)

    def encode(self, frame):
        return self.frame("down", frame)


async def handler(connection):
    path = urlsplit(connection.request.path).path
    if path == "/live/push":
        for n in range(20):
            await connection.send("news " * n)
        await connection.close(1001)
    elif path == "/live/broken":
        await connection.recv()
        raise RuntimeError("as asked")  # 1011
    else:
        # A code but 1000 is an error to the library, and none here.
        with contextlib.suppress(ConnectionClosedError):
            async for message in connection:
                await connection.send(message)


def deny(connection, request):
    if request.path.startswith("/live/denied"):
        return connection.respond(http.HTTPStatus.FORBIDDEN, "no\n")
    return None


async def serve(address, log, certificate, key):
    log = open(log, "a")
    # What the library says of the one that is broken.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    host, port = address.split(":")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)

    def served(at, scheme):
        common = {"protocol": "http/1.1", "scheme": scheme, "host": at}

        def write(**row):
            print(json.dumps(common | row), file=log, flush=True)

        def answer(connection, request, response):
            path = urlsplit(request.path)
            asked = {"path": path.path, "query": path.query or None}
            write(
                method="GET",
                status=response.status_code,
                request_bytes=0,
                response_bytes=len(response.body or b""),
                **asked,
            )
            # The extensions were just agreed upon; frames come later.
            connection.counted = Counted()
            connection.protocol.extensions.append(connection.counted)

        async def talk(connection):
            try:
                await handler(connection)
            finally:
                asyncio.get_running_loop().create_task(ended(connection))

        async def ended(connection):
            await connection.wait_closed()
            counted = connection.counted
            row = {
                f"{what}_{way}": n
                for way, row in counted.rows.items()
                for what, n in zip(("messages", "bytes", "compressed"), row)
                if n or what != "compressed"
            }
            code = connection.close_code
            write(
                type="websocket",
                opened_by="GET",
                path=urlsplit(connection.request.path).path,
                pings=counted.pings or None,
                pongs=counted.pongs or None,
                close=None if code == 1006 else code,
                over=True,
                **row,
            )

        return {"handler": talk, "process_response": answer}

    options = {"process_request": deny, "ping_interval": None}
    tls_port = str(int(port) + 1)
    tls_at = f"{host}:{tls_port}"
    async with (
        listen(host=host, port=port, **options, **served(address, "http")),
        listen(host=host, port=tls_port, ssl=tls, **options, **served(tls_at, "https")),
    ):
        await asyncio.get_running_loop().create_future()


async def call(address, keylog):
    host, port = address.split(":")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    tls.keylog_filename = keylog

    lines = 0
    for base, options in (
        (f"ws://{address}", {}),
        (f"wss://{host}:{int(port) + 1}", {"ssl": tls}),
    ):
        for compression in (None, "deflate"):
            opened = lambda path: connect(
                base + path, compression=compression, ping_interval=None, **options
            )
            await asyncio.gather(*(echoes(opened, n) for n in range(8)))
            async with opened("/live/push") as connection:
                assert [len(m) async for m in connection] == [5 * n for n in range(20)]
            async with opened("/live/broken") as connection:
                await connection.send("go")
                await connection.wait_closed()
                assert connection.close_code == 1011
            try:
                async with opened("/live/denied"):
                    raise AssertionError("the door was open")
            except InvalidStatus as e:
                assert e.response.status_code == 403
            # Gone without a close frame.
            async with opened("/live/abrupt") as connection:
                await connection.send("hello")
                assert await connection.recv() == "hello"
                connection.transport.close()
            # The opening of each, and what it carried; one carried nothing.
            lines += 2 * (8 + 3) + 1
    print(lines)


async def echoes(opened, n):
    messages = ["", "a", "\u00e9" * 60, "text " * 200, b"\0" * 70_000, bytes(range(256)) * n]
    async with opened(f"/live/echo/{n}?n={n}") as connection:
        for message in messages:
            await connection.send(message)
            assert await connection.recv() == message
        await (await connection.ping(b"there?"))
        # Of three frames and an empty one.
        await connection.send(["one ", "two ", "three", ""])
        assert await connection.recv() == "one two three"
        # Not in turns.
        for k in range(50):
            await connection.send(f"{k}")
        assert [await connection.recv() for _ in range(50)] == [f"{k}" for k in range(50)]
        await connection.close(1000 if n % 2 else 4_000 + n, "bye")


if __name__ == "__main__":
    asyncio.run({"serve": serve, "call": call}[sys.argv[1]](*sys.argv[2:]))
