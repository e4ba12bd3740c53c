"""Servers that never end, encode, ask for a password, answer something else, break off or trickle; full disks.

Each is a real server on loopback. Whatever it does, the download ends in the right file or in one line, and no more
bytes are taken than the archive has.
"""

import gzip
import hashlib
import http.server
import os
import threading
import time

import pytest

from common.errors import UserError
from data import download as download_module
from data.download import Archive, download, fetch

CONTENT = bytes(range(251)) * 2000
LOGIN = b'<html>Please log in</html>' * 100
#: Bytes that a server would send at most, where it has no end.
ENDLESS = 50_000_000
BOMB = gzip.compress(bytes(ENDLESS))


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as `behave` says; `sent` counts the bytes that the client took, `requests` the range headers."""

    protocol_version = 'HTTP/1.1'
    behave, sent, requests = None, 0, []

    def do_GET(self):
        start = self.headers.get('Range', 'bytes=0-')
        type(self).requests = [*self.requests, start]
        self.close_connection = True
        try:
            self.behave(int(start[len('bytes=') : -1]))
        except OSError:  # the client has left
            pass

    def answer(self, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), str(value))
        self.end_headers()

    def send(self, content):
        self.wfile.write(content)
        type(self).sent += len(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    """A function: start a server that behaves in some way; the official file that it ought to have."""
    monkeypatch.setenv('no_proxy', '*')
    monkeypatch.setattr(download_module, 'PAUSE', 0.01)
    Handler.sent, Handler.requests = 0, []
    servers = []

    def start(behave):
        monkeypatch.setattr(Handler, 'behave', behave)
        served = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        served.daemon_threads = True
        servers.append(served)
        threading.Thread(target=served.serve_forever, args=[0.01], daemon=True).start()
        base = f'http://127.0.0.1:{served.server_address[1]}/'
        return Archive('file', base, len(CONTENT), hashlib.md5(CONTENT).hexdigest())

    yield start
    for served in servers:
        served.shutdown()
        served.socket.close()


def right(handler, start):
    """As a good server."""
    body = CONTENT[start:]
    ranges = {'Content_Range': f'bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}'} if start else {}
    handler.answer(206 if start else 200, Content_Length=len(body), **ranges)
    handler.send(body)


def endless(handler, start):
    handler.answer()
    while Handler.sent < ENDLESS:
        handler.send(bytes(100_000))


def endless_chunks(handler, start):
    handler.answer(Transfer_Encoding='chunked')
    while Handler.sent < ENDLESS:
        handler.send(b'%x\r\n%s\r\n' % (100_000, bytes(100_000)))


def right_and_more(handler, start):
    handler.answer()
    handler.send(CONTENT)
    while Handler.sent < ENDLESS:
        handler.send(bytes(100_000))


def right_in_chunks(handler, start):
    handler.answer(Transfer_Encoding='chunked')
    for place in range(0, len(CONTENT), 77_777):
        block = CONTENT[place : place + 77_777]
        handler.send(b'%x\r\n%s\r\n' % (len(block), block))
    handler.send(b'0\r\n\r\n')


def encoded(handler, start):
    handler.answer(Content_Encoding='gzip', Content_Length=len(BOMB))
    handler.send(BOMB)


def login_page(handler, start):
    handler.answer(Content_Type='text/html; charset=utf-8')
    handler.send(LOGIN)


def login_page_of_no_type(handler, start):
    handler.answer(Content_Length=len(LOGIN))
    handler.send(LOGIN)


def another_range(handler, start):
    handler.answer(206, Content_Range=f'bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}')
    handler.send(CONTENT[5:])


def longer(handler, start):
    handler.answer(Content_Length=10**13)
    handler.send(bytes(100_000))


def nothing(handler, start):
    handler.answer(204)


def no_http(handler, start):
    handler.send(b'\x00\xff\x1b[31m nonsense\r\n\r\n')


def redirect_to_itself(handler, start):
    handler.answer(302, Location='/file', Content_Length=0)


def trickle(handler, start):
    handler.answer()
    for _ in range(300):
        handler.send(b'x')
        time.sleep(0.02)


def silence(handler, start):
    handler.answer()
    time.sleep(3)


def never_right(handler, start):
    handler.answer(Content_Length=len(CONTENT) - start)
    handler.send(bytes(len(CONTENT) - start))


@pytest.mark.parametrize(
    'behave, expected',
    [
        (endless, 'is not the official file: MD5'),
        (endless_chunks, 'is not the official file: MD5'),
        (never_right, 'is not the official file: MD5'),
        (encoded, 'content is encoded as gzip'),
        (login_page, 'a web page, perhaps one that asks for a password'),
        (login_page_of_no_type, '2,600 bytes instead of 502,000'),
        (another_range, 'another part of the file'),
        (longer, '10,000,000,000,000 bytes instead of 502,000'),
        (nothing, 'HTTP status 204'),
        (no_http, 'no connection|ended early'),
        (redirect_to_itself, 'no connection'),
        (trickle, 'fewer than 1,000 bytes a second'),
        (silence, 'no answer|no connection'),
    ],
)
def test_a_bad_server_is_one_line_and_leaves_no_file(server, tmp_path, monkeypatch, behave, expected):
    monkeypatch.setattr(download_module, 'TIMEOUT', 0.3)
    begun = time.monotonic()
    with pytest.raises(UserError, match=expected) as error:
        download(server(behave), str(tmp_path))
    assert '\n' not in str(error.value) and str(error.value).isprintable()
    assert time.monotonic() - begun < 10
    assert not (tmp_path / 'file').exists()
    assert Handler.sent < 20_000_000  # what the buffers of two connections took
    assert not (tmp_path / 'file.part').exists() or (tmp_path / 'file.part').stat().st_size <= len(CONTENT)


@pytest.mark.parametrize('behave', [right, right_in_chunks, right_and_more])
def test_no_more_is_written_than_the_archive_has(server, tmp_path, behave):
    path = download(server(behave), str(tmp_path))
    with open(path, 'rb') as file:
        assert file.read() == CONTENT
    assert Handler.requests == ['bytes=0-']


@pytest.mark.parametrize(
    'behave', [login_page, login_page_of_no_type, encoded, another_range, longer, nothing, redirect_to_itself]
)
def test_a_part_outlives_answers_that_are_refused(server, tmp_path, behave):
    """Such as the page of a hotel's network, between two good connections."""
    half = CONTENT[:250_000]
    (tmp_path / 'file.part').write_bytes(half)
    with pytest.raises(UserError, match='run the command again to go on'):
        download(server(behave), str(tmp_path))
    assert (tmp_path / 'file.part').read_bytes() == half
    assert download(server(right), str(tmp_path)) == str(tmp_path / 'file')
    assert Handler.requests[-1] == 'bytes=250000-'


@pytest.mark.parametrize('part', [LOGIN, bytes(250_000), CONTENT[:1000] + b'x' + CONTENT[1001:], CONTENT + b'more'])
def test_a_spoilt_part_is_fetched_again_in_the_same_call(server, tmp_path, capsys, part):
    (tmp_path / 'file.part').write_bytes(part)
    with open(download(server(right), str(tmp_path)), 'rb') as file:
        assert file.read() == CONTENT
    assert os.listdir(str(tmp_path)) == ['file']
    assert Handler.requests[-1] == 'bytes=0-' and len(Handler.requests) <= 2
    assert len(part) > len(CONTENT) or 'is not the official file (MD5' in capsys.readouterr().out


def test_connections_that_break_again_and_again_end_in_the_whole_file(server, tmp_path):
    def breaks(handler, start):
        handler.answer(206 if start else 200, Content_Length=len(CONTENT) - start, Content_Range=f'bytes {start}-')
        handler.send(CONTENT[start : start + 60_000])

    with open(download(server(breaks), str(tmp_path)), 'rb') as file:
        assert file.read() == CONTENT
    assert len(Handler.requests) == 9


def test_a_disk_without_room_is_one_line_and_the_part_goes_on(server, tmp_path, full_disk):
    archive = server(right)
    for size in (0, 100_000):
        with full_disk(size), pytest.raises(UserError, match='cannot be written .File too large.: make room or name'):
            download(archive, str(tmp_path))
        assert os.listdir(str(tmp_path)) == ['file.part'] * (size > 0)
    assert (tmp_path / 'file.part').stat().st_size <= 100_000
    assert download(archive, str(tmp_path)) == str(tmp_path / 'file')


@pytest.mark.parametrize('name', ['file', 'file.part'])
@pytest.mark.parametrize('make', [os.mkfifo, os.mkdir, lambda path: os.symlink('nowhere', path)])
def test_what_is_no_file_is_one_line_and_no_wait(server, tmp_path, name, make):
    make(str(tmp_path / name))
    with pytest.raises(UserError, match=f'{name} is not a file'):
        fetch(server(right), str(tmp_path))
    assert not Handler.requests
