"""The filter of system calls, run here as the kernel would run it, for both machines."""

import errno
import os
import struct

import pytest

from service.reading.seccomp import Instruction, program

pytestmark = pytest.mark.unit

ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOWED, KILLED = 0x7FFF0000, 0x80000000
REFUSED, UNKNOWN = 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
PID = 4711

NAMES = ("read", "mmap", "futex", "socket", "execve", "ptrace", "kill", "clone", "clone3", "openat")
NUMBERS = {
    "x86_64": dict(zip(NAMES, (0, 9, 202, 41, 59, 101, 62, 56, 435, 257), strict=True)),
    "aarch64": dict(zip(NAMES, (63, 222, 98, 198, 221, 117, 129, 220, 435, 56), strict=True)),
}


def run(code: list[Instruction], arch: int, number: int, *arguments: int) -> int:
    """Return what a filter says of a call (classic BPF, as far as the filter uses it)."""
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("<IIQ6Q", number, arch, 0, *padded)
    at = value = 0
    while True:
        operation, if_true, if_false, operand = code[at]
        at += 1
        if operation == 0x06:
            return operand
        if operation == 0x20:
            (value,) = struct.unpack_from("<I", data, operand)
            continue
        met = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}
        at += if_true if met[operation] else if_false


@pytest.mark.parametrize("machine", NUMBERS)
def test_decoding_is_allowed_and_the_rest_refused(machine: str) -> None:
    code, numbers = program(machine, PID), NUMBERS[machine]

    def say(name: str, *arguments: int) -> int:
        return run(code, ARCH[machine], numbers[name], *arguments)

    assert {say(name) for name in ("read", "mmap", "futex")} == {ALLOWED}
    assert {say(name) for name in ("socket", "execve", "ptrace", "kill", "clone")} == {REFUSED}
    assert say("clone", 0x10000 | 0x100) == ALLOWED, "a thread"
    assert say("clone3") == UNKNOWN, "so that the C library asks for a thread by clone"
    assert say("openat", 0, 0, os.O_RDONLY | os.O_CLOEXEC) == ALLOWED
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_RDONLY | os.O_TRUNC):
        assert say("openat", 0, 0, flags) == REFUSED


@pytest.mark.parametrize(("machine", "tgkill"), [("x86_64", 234), ("aarch64", 131)])
def test_a_process_may_end_itself_but_no_other(machine: str, tgkill: int) -> None:
    code = program(machine, PID)
    assert run(code, ARCH[machine], tgkill, PID, PID, 6) == ALLOWED
    assert run(code, ARCH[machine], tgkill, PID + 1, PID + 1, 9) == REFUSED


@pytest.mark.parametrize("machine", NUMBERS)
def test_calls_of_other_machines_end_the_process_and_newer_ones_are_not_there(machine: str) -> None:
    code = program(machine, PID)
    (other,) = set(ARCH) - {machine}
    assert run(code, ARCH[other], 0) == KILLED
    assert run(code, ARCH[machine], 463) == UNKNOWN
    assert run(code, ARCH[machine], 0x40000000 | 41) == UNKNOWN, "x32's socket"


@pytest.mark.parametrize("machine", NUMBERS)
def test_every_jump_stays_within_the_filter(machine: str) -> None:
    code = program(machine, PID)
    assert all(at + 1 + max(one[1:3]) < len(code) for at, one in enumerate(code) if one[0] != 0x06)
    assert all(struct.pack("<HBBI", *one) for one in code)
