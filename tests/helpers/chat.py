"""A small server on loopback that speaks OpenAI's chat completions, and misbehaves as asked. It is deterministic."""

import hashlib
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fluency.edits.forms import Change

Fault = Callable[["_Handler"], None]
PRICES = {"input_price": 100.0, "output_price": 400.0}  # of a million tokens


def said(change: Change) -> dict[str, Any]:
    """What the server thinks of a change: the same each time, and of two changes rarely the same."""
    share = int.from_bytes(hashlib.sha256("".join(change).encode()).digest()[:4]) / 2**32
    return {
        "verdict": "fluent" if share >= 0.5 else "non-fluent",
        "probability": round(share, 4),
        "reason": f"A share of {share:.4f}.",
    }


def tokens(change: Change) -> tuple[int, int]:
    """How many tokens the server bills for a change, in and out."""
    return 100 + len(change[0]), 10 + len(change[1])


@dataclass
class ChatServer:
    """A model, and what shall go wrong.

    Attributes:
        model: the only one it knows.
        key: the key that it wants.
        refuses: a request with one of these is answered by `refusal`.
        refusal: how, as Gemini does if it isn't set.
        content: the text of the answer.
        logprobs: what the answer has under that name.
        faults: what to do instead for a change's first requests, one after the other.
        requests: the bodies of all requests so far.
        headers, paths: what came with them, and where they went.
        answered: how often each change was answered, and billed.
        on_answer: called before an answer is sent.
    """

    model: str = "judge-1"
    key: str | None = None
    refuses: tuple[str, ...] = ()
    refusal: Callable[[str], Fault] = lambda name: json_body(
        [{"error": {"message": f'Invalid JSON payload. Unknown name "{name}".'}}], 400
    )
    content: Callable[[Change], str | None] = lambda change: json.dumps(said(change))
    logprobs: Callable[[Change], Any] = lambda change: None
    faults: Callable[[Change], list[Fault]] = lambda change: []
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Message] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    answered: Counter[Change] = field(default_factory=Counter)
    on_answer: Callable[[], None] = lambda: None
    lock: threading.Lock = field(default_factory=threading.Lock)
    tried: Counter[Change] = field(default_factory=Counter)

    def __enter__(self) -> "ChatServer":
        handler = type("Handler", (_Handler,), {"server_of": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.socket.close()

    def asked(self) -> Counter[Change]:
        """How often each change was asked about."""
        return Counter(change_of(body) for body in self.requests)


def change_of(body: dict[str, Any]) -> Change:
    """The change that a request is about."""
    pair = json.loads(body["messages"][-1]["content"].rpartition("\n")[2])
    return pair["before"], pair["after"]


def status(code: int, message: str = "no", **headers: str) -> Fault:
    """An error, in OpenAI's form."""
    return lambda handler: handler.answer(code, {"error": {"message": message}}, **headers)


def hang(handler: "_Handler") -> None:
    """No answer until the client hangs up."""
    handler.connection.recv(1)


def drip(handler: "_Handler") -> None:
    """An answer that begins and never ends, though never for long without a byte."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while True:
        handler.wfile.write(b" ")
        threading.Event().wait(0.01)


def drop(handler: "_Handler") -> None:
    """A connection reset instead of an answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


def cut(handler: "_Handler") -> None:
    """An answer that ends early."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.connection.shutdown(socket.SHUT_RDWR)


def body(content: bytes, kind: str = "application/json") -> Fault:
    """A response of this body instead of a chat completion."""
    return lambda handler: handler.send(200, content, kind)


def json_body(value: Any, code: int = 200) -> Fault:
    """A response of this JSON."""
    return lambda handler: handler.answer(code, value)


def completion(message: Any, finish_reason: str | None = "stop", **more: Any) -> Fault:
    """A chat completion of this message."""
    return json_body({"choices": [{"message": message, "finish_reason": finish_reason}], **more})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: ChatServer

    def handle(self) -> None:
        with suppress(OSError, ValueError):  # the client hung up, or a fault closed the connection
            super().handle()

    def do_POST(self) -> None:
        server = self.server_of
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        change, key = change_of(request), (self.headers["Authorization"] or "").removeprefix("Bearer ")
        with server.lock:
            server.requests.append(request)
            server.headers.append(self.headers)
            server.paths.append(self.path)
            tried = server.tried[change]
            server.tried[change] += 1
        faults = server.faults(change)
        if tried < len(faults):
            return faults[tried](self)
        if server.key and key != server.key:
            return self.answer(401, {"error": {"message": f"Incorrect API key provided: {key}."}})
        if request["model"] != server.model:
            return self.answer(404, {"error": {"message": f"The model {request['model']} does not exist"}})
        for name in server.refuses:
            if name in request:
                return server.refusal(name)(self)
        read, written = tokens(change)
        with server.lock:
            server.answered[change] += 1
            server.on_answer()
        self.answer(
            200,
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 0,
                "model": f"{server.model}-2026",
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "stop",
                        "message": {"role": "assistant", "content": server.content(change)},
                        "logprobs": server.logprobs(change),
                    }
                ],
                "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
            },
        )

    def answer(self, code: int, value: Any, **headers: str) -> None:
        self.send(code, json.dumps(value).encode(), "application/json", **headers)

    def send(self, code: int, content: bytes, kind: str, **headers: str) -> None:
        self.send_response(code)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in (headers | {"Content-Type": kind, "Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
