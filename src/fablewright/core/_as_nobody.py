"""Becomes another user and then the given program: a small step that root takes before PostgreSQL starts.

Run as a script, by path, with nothing but the standard library:
`_as_nobody.py uid gid reach... -- program argument...`.

PostgreSQL refuses to run as root, and the user it runs as may not be able to pass the folders above its
files (`/root` is 0700). Opening those folders for everybody would change the machine, so the program is given
one Linux capability instead, and only if one of the `reach` paths is indeed out of reach: CAP_DAC_READ_SEARCH
(may read everything), or, where a container withholds that one, CAP_DAC_OVERRIDE (may also write everything).
Everything else that root may do is gone.
"""

import ctypes
import os
import sys
from collections.abc import Sequence

CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _permitted() -> int:
    """The first 32 permitted capabilities of this process, as bits."""
    sets = (_Sets * 2)()
    header = _Header(_CAPABILITY_VERSION_3, 0)
    _checked(_libc().capget(ctypes.byref(header), sets), "capget")
    return int(sets[0].permitted)


def _keep_only(capability: int) -> None:
    """Hold this capability and no other, and pass it on to the programs that follow."""
    bit = 1 << capability
    sets = (_Sets * 2)()
    sets[0] = _Sets(bit, bit, bit)
    header = _Header(_CAPABILITY_VERSION_3, 0)
    _checked(_libc().capset(ctypes.byref(header), sets), "capset")
    raised = _libc().prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0)
    _checked(raised, "prctl(PR_CAP_AMBIENT_RAISE)")


def _choose_capability() -> int:
    permitted = _permitted()
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if permitted & (1 << capability):
            return capability
    raise PermissionError("neither CAP_DAC_READ_SEARCH nor CAP_DAC_OVERRIDE is available here")


def _drop_all() -> None:
    sets = (_Sets * 2)()
    header = _Header(_CAPABILITY_VERSION_3, 0)
    _checked(_libc().capset(ctypes.byref(header), sets), "capset")


def _reachable(path: str) -> bool:
    """Whether the user we became can read, and where it is a folder or program enter or run, this path.

    access(2) leaves capabilities out of account for everybody but root: plain permissions decide.
    """
    return os.access(path, os.R_OK | os.X_OK)


def become(uid: int, gid: int, reach: Sequence[str]) -> None:
    """Turn this process into `uid`:`gid`, with a capability only if a path in `reach` needs one."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    if not sys.platform.startswith("linux"):
        os.setresuid(uid, uid, uid)
        return
    _checked(_libc().prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(PR_SET_KEEPCAPS)")
    os.setresuid(uid, uid, uid)
    if all(_reachable(path) for path in reach):
        _drop_all()
    else:
        _keep_only(_choose_capability())


def main(arguments: Sequence[str]) -> None:
    """Read the command line, become the user, and become the program."""
    split = arguments.index("--")
    program = list(arguments[split + 1 :])
    try:
        become(int(arguments[0]), int(arguments[1]), arguments[2:split])
        os.execv(program[0], program)  # noqa: S606
    except OSError as error:
        sys.exit(f"FATAL: cannot run {program[0]} as uid {arguments[0]}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
