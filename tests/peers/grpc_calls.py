"""gRPC calls of every kind. The server logs what it served, in apitap's words: a JSON line a call.

    grpc_calls.py serve ADDRESS LOG
    grpc_calls.py call ADDRESS
"""

import json
import sys
import threading
from concurrent import futures

import grpc

SERVICE = "shop.v1.Orders"
STATUS = {code.value[0]: code for code in grpc.StatusCode}


class Served:
    """One call, as the server's side counts it."""

    lock = threading.Lock()
    log = None

    def __init__(self, method, host):
        self.row = {
            "protocol": "http/2",
            "scheme": "http",
            "method": "POST",
            "host": host,
            "path": f"/{SERVICE}/{method}",
            "status": 200,
            "rpc": "grpc",
            "grpc_status": 0,
            "request_messages": 0,
            "request_message_bytes": 0,
            "response_messages": 0,
            "response_message_bytes": 0,
        }

    def request(self, message):
        self.row["request_messages"] += 1
        self.row["request_message_bytes"] += len(message)
        return message

    def response(self, message):
        self.row["response_messages"] += 1
        self.row["response_message_bytes"] += len(message)
        return message

    def write(self):
        for way in ("request", "response"):
            # Five bytes stand before a message.
            bytes = self.row[f"{way}_message_bytes"]
            self.row[f"{way}_bytes"] = bytes + 5 * self.row[f"{way}_messages"]
        if self.row["path"].endswith("Packed"):
            # Compressed beneath what is seen here.
            for way in ("request", "response"):
                self.row[f"{way}_message_bytes"] = self.row[f"{way}_bytes"] = "?"
        with self.lock:
            print(json.dumps(self.row), file=self.log, flush=True)


def abort(served, context, code):
    served.row["grpc_status"] = code
    served.write()
    context.abort(STATUS[code], "as asked: 100% \u00e9")


def handlers(host):
    def unary(message, context, method="Get"):
        served = Served(method, host)
        fail, _, code = served.request(message).partition(b" ")
        if fail == b"fail" and code != b"0":
            abort(served, context, int(code))
        served.response(message * 2)
        served.write()
        return message * 2

    def server_stream(message, context):
        served = Served("List", host)
        count, size, code = json.loads(served.request(message))
        for _ in range(count):
            yield served.response(b"x" * size)
        if code:
            abort(served, context, code)
        served.write()

    def client_stream(messages, context):
        served = Served("Put", host)
        total = sum(len(served.request(m)) for m in messages)
        answer = served.response(str(total).encode())
        served.write()
        return answer

    def bidi(messages, context):
        served = Served("Talk", host)
        for message in messages:
            served.request(message)
            yield served.response(message)
            yield served.response(message[:1])
        served.write()

    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "Get": grpc.unary_unary_rpc_method_handler(unary),
            "GetPacked": grpc.unary_unary_rpc_method_handler(
                lambda m, c: unary(m, c, "GetPacked")
            ),
            "List": grpc.unary_stream_rpc_method_handler(server_stream),
            "Put": grpc.stream_unary_rpc_method_handler(client_stream),
            "Talk": grpc.stream_stream_rpc_method_handler(bidi),
        },
    )


class Unknown(grpc.ServerInterceptor):
    """Calls of what is not there meet no handler; their one message is an empty one."""

    def __init__(self, host):
        self.host = host

    def intercept_service(self, continuation, details):
        handler = continuation(details)
        if handler is None:
            served = Served("", self.host)
            served.row.update(path=details.method, grpc_status=12)
            served.request(b"")
            served.write()
        return handler


def serve(address, log):
    Served.log = open(log, "a")
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=16),
        interceptors=[Unknown(address)],
    )
    server.add_generic_rpc_handlers((handlers(address),))
    assert server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


class Counting(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """How many calls were made."""

    calls = 0

    def intercept_unary_unary(self, continuation, details, request):
        self.calls += 1
        return continuation(details, request)

    intercept_unary_stream = intercept_unary_unary
    intercept_stream_unary = intercept_unary_unary
    intercept_stream_stream = intercept_unary_unary


def code_of(call):
    try:
        call()
        return 0
    except grpc.RpcError as e:
        return e.code().value[0]


def call(address):
    counting = Counting()
    # Two connections: one of many calls at once, one that compresses.
    with grpc.insecure_channel(address) as plain:
        channel = grpc.intercept_channel(plain, counting)
        unary = channel.unary_unary(f"/{SERVICE}/Get")
        lists = channel.unary_stream(f"/{SERVICE}/List")
        put = channel.stream_unary(f"/{SERVICE}/Put")
        talk = channel.stream_stream(f"/{SERVICE}/Talk")
        at_once = [unary.future(b"order " * n) for n in range(150)]
        for n, future in enumerate(at_once):
            assert future.result() == b"order " * n * 2
        assert unary(b"big" * 200_000) == b"big" * 400_000
        for code in range(17):
            assert code_of(lambda: unary(b"fail %d" % code)) == code
        for count, size in ((0, 0), (1, 10), (40, 3_000), (3, 150_000)):
            ask = json.dumps([count, size, 0]).encode()
            assert [len(m) for m in lists(ask)] == [size] * count
            # What fails after its messages, and what fails at once.
            ask = json.dumps([count, size, 9]).encode()
            assert code_of(lambda: list(lists(ask))) == 9
        for count in (0, 1, 30):
            sizes = [n * 999 for n in range(count)]
            assert int(put(iter([b"y" * n for n in sizes]))) == sum(sizes)
            assert len(list(talk(iter([b"z" * n for n in sizes])))) == 2 * count
        assert code_of(lambda: channel.unary_unary(f"/{SERVICE}/Missing")(b"")) == 12
        assert code_of(lambda: channel.unary_unary("/other.Service/Get")(b"")) == 12
    with grpc.insecure_channel(address, compression=grpc.Compression.Gzip) as plain:
        channel = grpc.intercept_channel(plain, counting)
        packed = channel.unary_unary(f"/{SERVICE}/GetPacked")
        for n in (0, 1, 100, 10_000):
            assert packed(b"order " * n) == b"order " * n * 2
    print(counting.calls)


if __name__ == "__main__":
    {"serve": serve, "call": call}[sys.argv[1]](*sys.argv[2:])
