"""A GraphQL API, and a feed of server-sent events. The server logs what it served, in apitap's
words; what an operation asks for it takes from graphql-core's reading of it.

    graphql_queries.py serve ADDRESS LOG
    graphql_queries.py call ADDRESS
"""

import http.client
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    build_schema,
    graphql_sync,
    parse,
)

SCHEMA = build_schema(
    """
    type Query { user(id: ID): User, users(first: Int): [User!], version: String }
    type Mutation { rename(id: ID!, name: String!): User, drop(id: ID!): Boolean }
    type User { id: ID, name: String, friends: [User!], orders: [Order!] }
    type Order { id: ID, total: Float, buyer: User }
    """
)
ORDER = {"id": "o1", "total": 9.5}
USER = {"id": "u1", "name": "Ada", "friends": [], "orders": [ORDER]}
ROOT = {
    "user": lambda info, id=None: USER,
    "users": lambda info, first=1: [USER] * first,
    "version": "1",
    "rename": lambda info, id, name: USER | {"name": name},
    "drop": lambda info, id: True,
}


class Asked:
    """What the operation that runs asks for, fragments followed."""

    def __init__(self, text, name):
        document = parse(text)
        self.fragments = {
            d.name.value: d
            for d in document.definitions
            if isinstance(d, FragmentDefinitionNode)
        }
        # A fragment's are written once, however often it is spread.
        self.aliases = set()
        self.top = []
        operation = next(
            d
            for d in document.definitions
            if isinstance(d, OperationDefinitionNode)
            and (not name or (d.name and d.name.value == name))
        )
        self.depth = self.walk(operation, 1)
        if operation.name:
            called = operation.name.value
        else:
            called = "{" + " ".join(self.top) + "}"
        self.operation = f"{operation.operation.value} {called}"

    def walk(self, node, depth):
        deepest = depth
        for chosen in node.selection_set.selections:
            below = depth
            if isinstance(chosen, FragmentSpreadNode):
                chosen = self.fragments[chosen.name.value]
            elif isinstance(chosen, FieldNode):
                if chosen.alias:
                    self.aliases.add(id(chosen))
                if depth == 1 and chosen.name.value not in self.top:
                    self.top.append(chosen.name.value)
                below += 1
            if chosen.selection_set:
                deepest = max(deepest, self.walk(chosen, below))
        return deepest


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    lock = threading.Lock()
    log = None

    def do_GET(self):
        if self.path.startswith("/events"):
            self.events()
            return
        query = urlsplit(self.path).query
        pairs = {k: v[0] for k, v in parse_qs(query).items()}
        variables = json.loads(pairs.get("variables", "{}"))
        self.answer([(pairs["query"], pairs.get("operationName"), variables)], 0, query)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Type"] == "application/graphql":
            self.answer([(body.decode(), None, {})], len(body))
            return
        asked = json.loads(body)
        calls = asked if isinstance(asked, list) else [asked]
        calls = [(c["query"], c.get("operationName"), c.get("variables")) for c in calls]
        self.answer(calls, len(body), batch=isinstance(asked, list))

    def answer(self, calls, received, query=None, batch=False):
        results = []
        for text, name, variables in calls:
            done = graphql_sync(SCHEMA, text, ROOT, None, variables, name)
            results.append(done.formatted)
        said = {"operation_kind": "graphql"}
        try:
            asked = [Asked(text, name) for text, name, _ in calls]
        except GraphQLError:
            # No document, so no operation.
            said = {}
        else:
            said["operation"] = ", ".join(sorted({a.operation for a in asked}))
            said["graphql_depth"] = max(a.depth for a in asked)
            said["graphql_aliases"] = sum(len(a.aliases) for a in asked)
            said["graphql_fields"] = list(dict.fromkeys(f for a in asked for f in a.top))
        if batch:
            said["operations"] = len(calls)
        bad = not batch and "data" not in results[0]
        content = json.dumps(results if batch else results[0]).encode()
        self.send_response(400 if bad else 200)
        self.send_header("Content-Type", "application/graphql-response+json")
        self.send_header("Content-Length", len(content))
        self.end_headers()
        self.wfile.write(content)
        self.served(
            query=query,
            status=400 if bad else 200,
            request_bytes=received,
            response_bytes=len(content),
            content_type="application/graphql-response+json",
            **said,
        )

    def events(self):
        """An answer in chunks, until there is no more to say."""
        count = int(self.path.rsplit("/", 1)[1])
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        sent = 0
        for n in range(count):
            event = f": a comment\nid: {n}\ndata: {'x' * n}\ndata: more\n\n".encode()
            sent += len(event)
            # In two chunks, which cut the event.
            for piece in (event[: n + 1], event[n + 1 :]):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
        self.served(
            status=200,
            request_bytes=0,
            response_bytes=sent,
            content_type="text/event-stream",
        )
        self.served(
            type="event-stream",
            method=None,
            opened_by="GET",
            messages_up=0,
            messages_down=count,
            bytes_up=0,
            bytes_down=sent,
            over=True,
        )

    def served(self, **row):
        common = {
            "protocol": "http/1.1",
            "scheme": "http",
            "method": self.command,
            "host": self.headers["Host"],
            "path": urlsplit(self.path).path,
        }
        with self.lock:
            print(json.dumps(common | row), file=self.log, flush=True)

    def log_message(self, *_):
        pass


def serve(address, log):
    Handler.log = open(log, "a")
    host, port = address.split(":")
    ThreadingHTTPServer((host, int(port)), Handler).serve_forever()


QUERIES = [
    ("{ version }", None, None),
    ("query { users(first: 3) { id name } version }", None, None),
    ("query GetUser($id: ID) { user(id: $id) { id name } }", "GetUser", {"id": "u1"}),
    ("mutation Rename($n: String!) { rename(id: 1, name: $n) { name } }", None, {"n": "\u00e9"}),
    ("mutation { rename(id: 1, name: \"}{ \\\" # \") { name } drop(id: 2) }", None, None),
    ("query A { version } query B { users { orders { buyer { name } } } }", "B", None),
    ("{ a: user(id: 1) { ...F } b: user(id: 2) { ...F } } fragment F on User { i: id orders { total } }", None, None),
    ("query Inline { user { ... on User { name friends { name } } ... @include(if: true) { id } } }", None, None),
    ("# a comment, { not a field }\nquery Blocks { user(id: \"\"\"x \"quoted\" }\"\"\") { id } }", None, None),
    ("query Broken { user { ", None, None),
    ("query Unheard { nothing }", None, None),
    # Longer than a packet.
    ("query Long { " + " ".join(f"u{n}: user(id: {n}) {{ id name }}" for n in range(80)) + " }", None, None),
]


def call(address):
    lines = 0

    def ask(connection, method, path, body=None, kind="application/json"):
        nonlocal lines
        lines += 1
        connection.request(method, path, body, {"Content-Type": kind} if body else {})
        response = connection.getresponse()
        content = response.read()
        assert response.status in (200, 400), response.status
        return content

    connection = http.client.HTTPConnection(address)
    for text, name, variables in QUERIES:
        body = {"query": text, "operationName": name, "variables": variables}
        for shown in (body, dict(reversed(body.items()))):
            ask(connection, "POST", "/graphql", json.dumps(shown))
        if name is None and variables is None:
            ask(connection, "POST", "/graphql", text.encode(), "application/graphql")
        if not text.startswith("mutation"):
            pairs = {"query": text, "variables": json.dumps(variables or {})}
            pairs |= {"operationName": name} if name else {}
            ask(connection, "GET", "/graphql?" + urlencode(pairs))
    for size in (1, 2, 5):
        batch = [{"query": t, "operationName": n, "variables": v} for t, n, v in QUERIES[:size]]
        ask(connection, "POST", "/graphql", json.dumps(batch))
    for count in (0, 1, 50):
        ask(connection, "GET", f"/events/{count}")
        # And what it carried.
        lines += 1
    print(lines)


if __name__ == "__main__":
    {"serve": serve, "call": call}[sys.argv[1]](*sys.argv[2:])
