"""What data/ and training/ both do with files."""
import hashlib
import os

BLOCK = 1 << 20


def file_digest(path, algorithm):
    """Hexadecimal digest of a file."""
    digest = hashlib.new(algorithm)
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(BLOCK), b''):
            digest.update(block)
    return digest.hexdigest()


def write_atomically(path, text):
    """Replace a file's contents whole or not at all."""
    with open(path + '.tmp', 'w', newline='', encoding='utf-8') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + '.tmp', path)
