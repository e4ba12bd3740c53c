"""A process's role in a distributed job. MXNet reads it in DMLC_ROLE."""

import os

from common.errors import fail_at_import, is_command

#: Whoever starts a process of a job sets this variable beside DMLC_ROLE, to the same role.
OWN_ROLE = 'DFN_ROLE'


def check_role() -> None:
    """End before the import of MXNet where another job left its role: as a server, MXNet would never return from it."""
    role = os.environ.get('DMLC_ROLE')
    if role is not None and role != os.environ.get(OWN_ROLE) and is_command():
        fail_at_import(
            f'DMLC_ROLE={role} in the environment is of another job: unset DMLC_ROLE (python -m distributed.launch '
            f'starts a job; to start its processes by other means, set {OWN_ROLE}={role} as well)'
        )
