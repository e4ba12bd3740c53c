"""Digests, output files, flushing and locks, on file systems that may know neither of the last two."""

from collections.abc import Iterator
import contextlib
import errno
import fcntl
import hashlib
import os
import sys

from common.errors import UserError

BLOCK = 1 << 20  # bytes
LOCK = '.deep-fusion.lock'  # a file in a folder, as long as it is locked
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # what a full disk, a quota or a limit says
MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)  # no file; other OSErrors may pass
NOWHERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}  # what a path that leads to nothing says
NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}  # some NFS, Lustre and FUSE mounts
NO_SYNC = {errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP, errno.ENOSYS}  # some FUSE and network mounts


def file_digest(path: str, algorithm: str) -> str:
    """The hexadecimal digest of a file."""
    with open(path, 'rb') as file:
        digest = hashlib.new(algorithm)
        for block in iter(lambda: file.read(BLOCK), b''):
            digest.update(block)
    return digest.hexdigest()


def stat_of(path: str) -> os.stat_result | None:
    """What a path leads to; None where it leads nowhere.

    Raises:
        OSError: it cannot be looked at, which may pass.
    """
    try:
        return os.stat(path)
    except OSError as error:
        if error.errno not in NOWHERE:
            raise
        return None


def walk(top: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """As os.walk, but into links to folders elsewhere too, into each once. Nothing where there is no folder.

    A folder that is removed meanwhile, such as an old checkpoint of a run that is training, has nothing in it.

    Raises:
        OSError: a folder cannot be read.
    """
    if not os.path.isdir(top):
        return
    root, seen = os.path.realpath(top), set()
    for parent, folders, files in os.walk(top, followlinks=True, onerror=_raise):
        for folder in list(folders):
            path = os.path.join(parent, folder)
            place = os.path.realpath(path)
            inside = os.path.commonpath([place, root]) in (place, root)  # a link there may lead in a circle
            if place in seen or (os.path.islink(path) and inside):
                folders.remove(folder)
            else:
                seen.add(place)
        yield parent, folders, files


def _raise(error):
    if not isinstance(error, FileNotFoundError):
        raise error


def write_atomically(path: str, text: str) -> None:
    """Replace the contents of a file as a whole or not at all."""
    with (
        replacing(path) as temporary,
        open(temporary, 'w', newline='', encoding='utf-8', errors='backslashreplace') as file,
    ):
        file.write(text)


def check_outputs(*paths: str) -> None:
    """Raise UserError where a file could not be written, or one would take the place of another."""
    taken = set()
    for path in paths:
        folder = os.path.dirname(os.path.realpath(path) if os.path.islink(path) else path)
        if not os.path.isdir(folder or '.'):
            raise UserError(f'{path} cannot be written: there is no folder {folder}')
        if os.path.isdir(path):
            raise UserError(f'{path} is a folder: give the name of a file')
        place = path if _is_special(path) else folder or '.'
        if not os.access(place, os.W_OK):
            raise UserError(f'{path} cannot be written: you may not write to {place}')
        if os.path.realpath(path) in taken:
            raise UserError(f'{path} would be written twice: give each file a name of its own')
        taken.add(os.path.realpath(path))


def check_utf8(path: str) -> None:
    """Raise UserError where MXNet, for which every name is UTF-8, would not find a path or find another one."""
    if path.encode(errors='surrogatepass') != os.fsencode(path):
        raise UserError(f'MXNet cannot write to {path}, which is not UTF-8 here: choose a name of plain letters')


def check_folder(path: str, option: str) -> None:
    """Raise UserError where a folder can neither be written to nor made.

    Args:
        option: which names another one, for the message.
    """
    check_utf8(path)
    place = path
    while not os.path.lexists(place):
        place = os.path.dirname(place) or '.'
    if not os.path.isdir(place):
        raise UserError(f'{path} cannot be made: {place} is not a folder; choose another {option}')
    longest = max(path.split(os.sep), key=lambda name: len(os.fsencode(name)))
    if len(os.fsencode(longest)) > os.pathconf(place, 'PC_NAME_MAX'):
        raise UserError(
            f'{path} cannot be made: the name {longest} is too long'
            + ('; --init-from is a part of it: name weights with a shorter path' if 'init_' in longest else '')
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f'{path} cannot be written: you may not write to {place}; choose another {option}')


def _is_special(path):
    """Whether a path is a pipe or a device, or stands for an open file, as /dev/stdout does."""
    is_open = os.path.abspath(path).startswith(('/dev/std', '/dev/fd/', '/proc/'))
    return is_open or (os.path.exists(path) and not os.path.isfile(path))


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """Yield a name to write to; what is written there takes the place of `path` as a whole or not at all.

    A pipe or a device, such as /dev/stdout, is written to as it is. Of a link, it is the file that it leads to.

    Raises:
        OSError: as always, but with the file's name where the disk is full.
    """
    if _is_special(path):
        yield path
        return
    path = os.path.realpath(path)
    temporary = hidden(path)
    try:
        yield temporary
        fsync(temporary)
        os.replace(temporary, path)
    except OSError as error:
        if error.errno and error.filename is None:
            error.filename = path
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)


def hidden(path: str) -> str:
    """Where a file or folder is made before it gets its name. A later try takes the place of what a kill left there."""
    folder, name = os.path.split(os.path.normpath(path))
    return os.path.join(folder, f'.{name}.tmp')


def fsync(path: str) -> None:
    """Flush a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        sync(handle)
    finally:
        os.close(handle)


def sync(handle: int) -> None:
    """Flush an open file or folder to the disk, where the file system can do that on demand."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


def lock_folder(folder: str, otherwise: str) -> contextlib.ExitStack:
    """Lock a folder for this process alone, until what is returned is closed.

    The folder's own lock keeps out other processes of this machine. NFS does not tell other machines of it, but it does
    tell them of the lock on a file, so a file in the folder is locked too.

    Args:
        otherwise: what the user has to take care of where there are no locks.

    Raises:
        BlockingIOError: another process has it.
        OSError: the folder cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        handle = os.open(folder, os.O_RDONLY)
        stack.callback(os.close, handle)
        if not _lock_existing(handle, folder, folder, otherwise):
            return stack.pop_all()
        path = os.path.join(folder, LOCK)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:  # a folder that is read-only or full, or another user's file
            return stack.pop_all()
        stack.callback(os.close, handle)
        _lock_existing(handle, path, folder, otherwise)
        stack.callback(_remove, path)
        return stack.pop_all()


def _lock_existing(handle, path, folder, otherwise):
    """As lock, but what the process that had it has removed is not worth locking."""
    removed = BlockingIOError(f'{path} was removed by the process that had it')
    try:
        locked, held = lock(handle, folder, otherwise), os.fstat(handle)
        there = stat_of(path)
        is_there = there is not None and os.path.samestat(held, there)
        if held.st_nlink == 0 and not is_there:  # the count alone does not tell: some mounts have none for folders
            raise removed
        return locked
    except OSError as error:
        if error.errno == errno.ESTALE:  # what NFS says of a file that another machine removed
            raise removed from None
        raise


def _remove(path):
    with contextlib.suppress(OSError):  # it may be another user's, in a folder with the sticky bit
        os.remove(path)


def lock(handle: int, path: str, otherwise: str) -> bool:
    """Lock an open file or folder for this process alone, until it is closed.

    Args:
        path: its name, for the message.
        otherwise: what the user has to take care of where the file system has no locks.

    Returns:
        Whether it is locked. On a file system without locks it is not, and one line says so.

    Raises:
        BlockingIOError: another process has it.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        print(f'note: the file system of {path} has no locks ({error.strerror}): {otherwise}', file=sys.stderr)
        return False
