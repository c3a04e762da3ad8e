"""A witness over real HTTP that does what a test tells it, true by default."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ledger.log.checkpoint import parse_checkpoint
from ledger.log.cosignature import CosignatureSigner, Cosigner, MlDsaSigner
from ledger.log.note import read_text
from ledger.log.witness_protocol import (
    SIZE_MEDIA_TYPE,
    AddCheckpoint,
    encode_size,
    parse_add_checkpoint,
)
from ledger.signing import PrivateKey

COSIGNED_AT_S = 1_700_000_000


@dataclass
class Answer:
    status: int
    body: bytes
    media_type: str = "text/plain; charset=utf-8"


@dataclass
class ScriptedWitness:
    """Answers each request by `behaviour`; counts them by size of the log."""

    cosigner: Cosigner
    size: int = 0
    asked: list[int] = field(default_factory=list)
    shown: bytes | None = None
    """What it shows as its newest note; 404 if None."""
    behaviour: Callable[[bytes], Answer] | None = None
    server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        assert self.server is not None
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def name(self) -> str:
        return self.cosigner.verifier.name.rpartition("/")[2]

    def policy_line(self, *, url: str | None = None) -> str:
        vkey = self.cosigner.verifier.vkey
        return f"witness {self.name} {vkey} {url or self.url}"

    def answer(self, body: bytes) -> Answer:
        request = parse_add_checkpoint(body)
        self.asked.append(parse_checkpoint(read_text(request.note)).size)
        return self.behaviour(body) if self.behaviour else self.cosign(request)

    def cosign(self, request: AddCheckpoint) -> Answer:
        """As a true witness does, but for the checks, which others test."""
        if request.old_size != self.size:
            return Answer(409, encode_size(self.size), SIZE_MEDIA_TYPE)
        text = read_text(request.note)
        self.size = parse_checkpoint(text).size
        line = self.cosigner.cosign(text, time_s=COSIGNED_AT_S).line
        return Answer(200, line.encode())


def make_witness(name: str, *, is_ml_dsa: bool = False) -> ScriptedWitness:
    seed = name.encode().ljust(32, b".")
    full_name = f"witness.example/{name}"
    if is_ml_dsa:
        return ScriptedWitness(MlDsaSigner.from_seed(full_name, seed))
    return ScriptedWitness(CosignatureSigner(full_name, PrivateKey(seed)))


@contextmanager
def serve_witness(witness: ScriptedWitness, port: int = 0) -> Iterator[ScriptedWitness]:
    """Serve a witness on a loopback port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self._send(witness.answer(body))

        def do_GET(self) -> None:
            shown = witness.shown
            self._send(Answer(404, b"") if shown is None else Answer(200, shown))

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("content-type", answer.media_type)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_arguments: object) -> None:
            """Keep the output of the tests clean."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    witness.server = server
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield witness
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
