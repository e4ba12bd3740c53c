"""The downloader against a real HTTP server on loopback that breaks off, lies and ignores ranges."""

from collections import Counter
import hashlib
import http.server
import os
import threading

import pytest

from common.errors import UserError
from data import download as download_module
from data.download import Archive, download, fetch, refuse

CONTENT = os.urandom(3_000_000)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; the path chooses what goes wrong. `seen` counts (path, range header)."""

    seen = Counter()

    def do_GET(self):
        start = self.headers.get('Range', '')
        self.seen[self.path, start] += 1
        if self.path == '/gone':
            return self.send_error(404)
        offset = 0 if self.path == '/no-ranges' or not start else int(start[len('bytes=') : -1])
        body = CONTENT[offset:]
        self.send_response(206 if offset else 200)
        self.send_header('Content-Length', str(len(body)))
        if offset:
            self.send_header('Content-Range', f'bytes {offset}-{len(CONTENT) - 1}/{len(CONTENT)}')
        self.end_headers()
        breaks = self.path == '/dead' or self.path in ('/breaks', '/no-ranges') and self.seen[self.path, start] == 1
        self.wfile.write(body[:1_200_000] if breaks and offset < 2_000_000 else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    """Its address; requests is kept from any proxy, and pauses are short."""
    monkeypatch.setenv('no_proxy', '*')
    monkeypatch.setattr(download_module, 'PAUSE', 0.01)
    Handler.seen.clear()
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{served.server_address[1]}/'
        served.shutdown()


def archive(server, name, content=CONTENT):
    return Archive(name, server, len(content), hashlib.md5(content).hexdigest())


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def test_whole_file_in_one_go(server, tmp_path):
    path = download(archive(server, 'whole'), str(tmp_path / 'new'))
    assert read(path) == CONTENT
    assert os.listdir(str(tmp_path / 'new')) == ['whole']


def test_a_broken_connection_is_taken_up_where_it_broke(server, tmp_path):
    assert read(download(archive(server, 'breaks'), str(tmp_path))) == CONTENT
    ranges = [header for _, header in Handler.seen]
    assert ranges[0] == '' and ranges[1].startswith('bytes=1') and len(ranges) >= 2


def test_a_later_call_goes_on_with_the_part_that_is_there(server, tmp_path):
    (tmp_path / 'whole.part').write_bytes(CONTENT[:1_000_000])
    assert read(download(archive(server, 'whole'), str(tmp_path))) == CONTENT
    assert list(Handler.seen) == [('/whole', 'bytes=1000000-')]


def test_a_server_without_ranges_starts_over(server, tmp_path):
    (tmp_path / 'no-ranges.part').write_bytes(b'x' * 500_000)
    assert read(download(archive(server, 'no-ranges'), str(tmp_path))) == CONTENT


def test_a_wrong_checksum_leaves_nothing_that_looks_whole(server, tmp_path):
    wrong = Archive('whole', server, len(CONTENT), '0' * 32)
    with pytest.raises(UserError, match='is not the official file: MD5 .* instead of 000'):
        download(wrong, str(tmp_path))
    assert Handler.seen == {('/whole', ''): 2}
    assert not (tmp_path / 'whole').exists()
    assert not (tmp_path / 'whole.part').exists()  # the next call starts over
    assert read(download(archive(server, 'whole'), str(tmp_path))) == CONTENT


def test_a_wrong_length_is_said(server, tmp_path):
    with pytest.raises(UserError, match='cannot fetch .*3,000,000 bytes instead of 2,999,999'):
        download(archive(server, 'whole', CONTENT[:-1]), str(tmp_path))


@pytest.mark.parametrize('name', ['gone', 'dead'])
def test_giving_up_says_where_and_what_to_do(server, tmp_path, name, monkeypatch):
    if name == 'dead':  # nothing more comes after the first piece
        monkeypatch.setattr(Handler, 'do_GET', lambda self: self.send_error(503))
    with pytest.raises(UserError, match=f'cannot fetch http://127.0.0.1.*{name} .HTTP status .*run the command again'):
        download(archive(server, name), str(tmp_path))
    assert not (tmp_path / name).exists()


def test_no_server_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv('no_proxy', '*')
    monkeypatch.setattr(download_module, 'PAUSE', 0.01)
    with pytest.raises(UserError, match='cannot fetch .* .no connection.: run .* or put x into'):
        download(Archive('x', 'http://127.0.0.1:9/', 10, ''), str(tmp_path))


def test_a_file_that_is_there_is_checked_and_not_fetched_again(server, tmp_path):
    """A file just fetched was checked already."""
    official = archive(server, 'whole')
    path = str(tmp_path / 'whole')
    assert fetch(official, str(tmp_path)) == fetch(official, str(tmp_path)) == (path, None)
    for content, expected in (
        (CONTENT[:-1], '2,999,999 bytes instead of 3,000,000'),
        (CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), f'MD5 .* instead of {official.md5}'),
    ):
        (tmp_path / 'whole').write_bytes(content)
        _, problem = fetch(official, str(tmp_path))
        refuse(problem, verify=False)
        with pytest.raises(
            UserError,
            match=f'^{path} is truncated or altered .{expected}.: delete it to fetch it '
            'again, or use it as it is with --no-verify$',
        ):
            refuse(problem, verify=True)
    assert len(Handler.seen) == 1
