"""The old name of distributed/launch.py, kept for commands written before it moved."""

from common.cli import run

from distributed.launch import main

if __name__ == '__main__':
    run(main)
