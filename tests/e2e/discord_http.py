"""The HTTP side of the Discord imitation: routes, headers, faults, the control interface. State is discord_imitation's."""

import json
import math
import select
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import discord_rules as rules

MAX_BODY = 1 << 20


@dataclass
class Request:
    method: str
    path: str                   # without the token
    arrived_ns: int             # monotonic: when its head had been read
    arrived_wall_ns: int
    status: int = 0             # 0: not answered
    done: bool = False          # answered, or broken off
    body: str = ""
    headers: dict = field(default_factory=dict)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, owner):
        self.owner = owner
        self._sockets, self._lock = set(), threading.Lock()
        super().__init__(address, _Handler)

    def get_request(self):
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._sockets.add(connection)
        return connection, address

    def shutdown_request(self, request):
        with self._lock:
            self._sockets.discard(request)
        super().shutdown_request(request)

    def close_connections(self):
        with self._lock:
            for connection in self._sockets:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "imitation", ""
    wbufsize = -1               # one packet an answer

    def log_message(self, *unused):
        pass

    def _answer(self, status, body=None, headers=None, content_type="application/json"):
        data = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def _read_body(self):
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = -1
        if not 0 <= length <= MAX_BODY:
            self.close_connection = True
            raise rules.ApiError(413, 40005, "Request entity too large")
        return self.rfile.read(length)

    def _serve(self):
        arrived = (time.monotonic_ns(), time.time_ns())
        owner = self.server.owner
        url = urlsplit(self.path)
        record = Request(self.command, url.path.replace(owner.token, "TOKEN"), *arrived, headers=dict(self.headers))
        is_control = url.path.startswith("/_control/")
        if not is_control:
            with owner.changed:
                owner.requests.append(record)
        try:
            data = self._read_body()
            if is_control:
                return self._answer(200, _control(owner, url.path[10:], json.loads(data or b"{}")))
            record.body = data.decode("utf-8", "replace")
            self._webhook(owner, url, data, record)
        except rules.ApiError as error:
            self._error(owner, record, error, {})
        finally:
            if not is_control:
                with owner.changed:
                    record.done = True
                    owner.changed.notify_all()

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _serve

    def _error(self, owner, record, error, headers):
        record.status = error.status
        self._answer(error.status, error.body, headers)

    def _webhook(self, owner, url, data, record):
        with owner.changed:
            fault = owner.next_fault(self.command)
        if fault and not self._before_storing(owner, fault, record):
            return
        headers, wait = {}, None
        try:
            message_id = _route(owner, url.path, self.headers)
            with owner.changed:
                if self.command != "GET":
                    headers, wait = owner.rate_limit.take()
                if wait is None:
                    status, body = self._carry_out(owner, url, data, message_id)
        except rules.ApiError as error:
            return self._error(owner, record, error, headers)
        if wait is not None:
            return self._too_many(record, wait, headers, is_global=False, html=False)
        if fault and fault.kind == "store_close":
            return self._drop()
        if fault and fault.kind == "no_id":
            status, body = 200, {}
        record.status = status
        self._answer(status, body, headers)

    def _carry_out(self, owner, url, data, message_id):
        query = parse_qs(url.query)
        if self.command == "GET" and message_id is None:
            return 200, owner.webhook_json()
        if self.command == "GET":
            return 200, owner.message_json(owner._find(message_id))
        if self.command == "DELETE" and message_id:
            owner.delete(message_id)
            return 204, None
        body = _parse(self.headers, data)
        if self.command == "PATCH" and message_id:
            return 200, owner.message_json(owner.edit(message_id, body, query))
        if self.command == "POST" and message_id is None:
            message = owner.execute(body, query)
            return (200, owner.message_json(message)) if query.get("wait") == ["true"] else (204, None)
        raise rules.ApiError(405, 0, "405: Method Not Allowed")

    def _before_storing(self, owner, fault, record):
        """Returns whether the request is still to be carried out."""
        if fault.kind in ("store_close", "no_id"):
            return True
        if fault.kind in ("hang", "slow"):
            self._wait(owner, fault.seconds)
            return fault.kind == "slow"
        if fault.kind == "close":
            self._drop()
        elif fault.kind == "429":
            self._too_many(record, fault.retry_after, {}, fault.is_global, fault.html)
        else:
            record.status = int(fault.kind)
            html = fault.html or record.status >= 500
            body = fault.body or ("<html>error</html>" if html else {"message": "injected", "code": fault.code})
            self._answer(record.status, body, {}, "text/html" if html else "application/json")
        return False

    def _wait(self, owner, seconds):
        """Until the time is over, the client has gone or the server stops."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not owner._stopping.is_set():
            readable, _, _ = select.select([self.connection], [], [], min(0.1, max(0.0, end - time.monotonic())))
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                break

    def _drop(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _too_many(self, record, wait, headers, is_global, html):
        record.status = 429
        headers = dict(headers, **{"Retry-After": str(math.ceil(wait))})
        if html:
            return self._answer(429, "<html>error 1015</html>", headers, "text/html")
        headers["X-RateLimit-Scope"] = "global" if is_global else "user"
        if is_global:
            headers["X-RateLimit-Global"] = "true"
        body = {"message": "You are being rate limited.", "retry_after": wait, "global": is_global}
        return self._answer(429, body, headers)


def _route(owner, path, headers):
    """Returns the message id of the path, or None for the webhook itself."""
    parts = path.strip("/").split("/")
    if parts[:1] == ["api"]:
        parts = parts[1:]
        if parts and parts[0] in ("v6", "v7", "v8", "v9", "v10"):
            parts = parts[1:]
        if len(parts) in (3, 5) and parts[0] == "webhooks" and (len(parts) == 3 or parts[3] == "messages"):
            if not headers.get("User-Agent", "").strip():
                raise rules.ApiError(403, 40333, "internal network error")
            if parts[1] != owner.webhook_id or not owner.exists:
                raise rules.ApiError(404, 10015, "Unknown Webhook")
            if parts[2] != owner.token:
                raise rules.ApiError(401, 50027, "Invalid Webhook Token")
            return parts[4] if len(parts) == 5 else None
    raise rules.ApiError(404, 0, "404: Not Found")


def _parse(headers, data):
    if (headers.get("Content-Type") or "").split(";")[0].strip().lower() != "application/json":
        message = "Expected \"Content-Type\" header to be one of {'application/json'}."
        raise rules.ApiError(400, 50035, "Invalid Form Body", {"_errors": [{"code": "CONTENT_TYPE_INVALID", "message": message}]})
    try:
        return json.loads(data.decode("utf-8"), parse_constant=lambda name: math.inf)
    except (ValueError, RecursionError):
        raise rules.ApiError(400, 50109, "The request body contains invalid JSON.") from None


def _wait_for(owner, body):
    """Until there are so many "messages", "edits" in all and "requests" done, or the "timeout" is over."""
    def enough():
        return (len(owner.messages) >= body.get("messages", 0) and sum(r.done for r in owner.requests) >= body.get("requests", 0)
                and sum(len(m.edits) for m in owner.messages) >= body.get("edits", 0))
    with owner.changed:
        owner.changed.wait_for(enough, min(float(body.get("timeout", 30)), 300))
    return owner.state()


def _control(owner, what, body):
    if what == "state":
        return owner.state()
    if what == "wait":
        return _wait_for(owner, body)
    if what == "faults":
        owner.fault(body.pop("kind"), body.pop("count", 1), **body)
    elif what == "rate_limit":
        owner.set_rate_limit(**body)
    elif what == "delete_message":
        owner.delete_message(body["id"])
    elif what == "delete_webhook":
        owner.delete_webhook()
    elif what == "reset":
        owner.reset()
    else:
        raise rules.ApiError(404, 0, "unknown control")
    return {}
