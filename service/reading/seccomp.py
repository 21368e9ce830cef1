"""A filter of system calls (Linux, seccomp(2)) for a process that decodes files.

It refuses what no decoder asks for: other processes, programs, sockets, writing to files, memory
that no limit counts. What is refused is listed, not what is allowed: the C library and the decoders
go other ways from version to version. Calls newer than the list do not exist for the process.
Numbers are those of `asm/unistd.h`; libraries that hold them (libseccomp's binding) are no longer
kept.
"""

import ctypes
import errno
import os
import platform
import struct

AFTER_LAST_KNOWN = 463
"""The first number that was not given when this was written (Linux 6.10)."""

# Named for both machines: x86-64, AArch64; None where a machine has no such call.
_REFUSED: dict[str, tuple[int | None, int]] = {
    # Sockets other than the one there is.
    **{"socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "bind": (49, 200)},
    **{"listen": (50, 201), "socketpair": (53, 199), "accept4": (288, 242)},
    # Programs and processes.
    **{"vfork": (58, 220), "execve": (59, 221), "execveat": (322, 281), "unshare": (272, 97)},
    **{"setns": (308, 268), "ptrace": (101, 117), "kcmp": (312, 272), "kill": (62, 129)},
    **{"tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240)},
    **{"process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_open": (434, 434)},
    **{"pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "process_madvise": (440, 440)},
    **{"process_mrelease": (448, 448), "setpriority": (141, 140), "ioprio_set": (251, 30)},
    **{"sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "prctl": (157, 167)},
    **{"sched_setaffinity": (203, 122), "sched_setattr": (314, 274), "move_pages": (279, 239)},
    **{"migrate_pages": (256, 238), "personality": (135, 92)},
    # Whose process it is.
    **{"setuid": (105, 146), "setgid": (106, 144), "setresuid": (117, 147), "capset": (126, 91)},
    **{"setresgid": (119, 149), "keyctl": (250, 219), "add_key": (248, 217)},
    "request_key": (249, 218),
    # Files: names, modes, and whatever writes by a path.
    **{"truncate": (76, 45), "ftruncate": (77, 46), "mkdirat": (258, 34), "mknodat": (259, 33)},
    **{"unlinkat": (263, 35), "renameat": (264, 38), "renameat2": (316, 276), "linkat": (265, 37)},
    **{"symlinkat": (266, 36), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452)},
    **{"fchown": (93, 55), "fchownat": (260, 54), "utimensat": (280, 88), "setxattr": (188, 5)},
    **{"lsetxattr": (189, 6), "fsetxattr": (190, 7), "openat2": (437, 437), "chroot": (161, 51)},
    **{"name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "mount": (165, 40)},
    **{"umount2": (166, 39), "pivot_root": (155, 41), "move_mount": (429, 429)},
    **{"open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431), "fspick": (433, 433)},
    **{"fsmount": (432, 432), "mount_setattr": (442, 442), "inotify_init1": (294, 26)},
    "fanotify_init": (300, 262),
    # Memory that RLIMIT_AS does not count, or that others see.
    **{"memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194)},
    **{"shmat": (30, 196), "shmctl": (31, 195), "msgget": (68, 186), "msgsnd": (69, 189)},
    **{"msgrcv": (70, 188), "semget": (64, 190), "semop": (65, 193), "semtimedop": (220, 192)},
    "mq_open": (240, 180),
    # Ways into the kernel that a decoder has no business with.
    **{"io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427)},
    **{"bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282)},
    **{"init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104)},
    **{"kexec_file_load": (320, 294), "syslog": (103, 116), "quotactl": (179, 60)},
}
_REFUSED_X86 = (
    *(57, 85, 86, 87, 82, 88, 83, 84, 133, 90, 92, 94),  # fork, creat, link, unlink, rename, ...
    *(154, 172, 173, 253),  # modify_ldt, iopl, ioperm, inotify_init
)

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SECCOMP = {"x86_64": 317, "aarch64": 277}

_LOAD, _EQUALS, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
_CLONE_THREAD = 0x10000
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand (struct sock_filter)."""


class Unsupported(Exception):
    """Kernel or machine has no such thing; the message says what is missing."""


def program(machine: str, pid: int) -> list[Instruction]:
    """Return the filter for a machine, as `platform.machine` calls it, and this process."""
    x86 = machine == "x86_64"
    refused = {pair[0] if x86 else pair[1] for pair in _REFUSED.values()}
    refused |= set(_REFUSED_X86) if x86 else set()
    # Those of which some are allowed, or that say "no such call" so that another is tried.
    clone, tgkill, openat, prlimit = (56, 234, 257, 302) if x86 else (220, 131, 56, 261)
    refused.discard(clone)
    made: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUALS, 1, 0, _AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        # Among them those of x32.
        *_refuse_if(_AT_LEAST, AFTER_LAST_KNOWN, errno.ENOSYS),
        *_refuse_if(_EQUALS, 435, errno.ENOSYS),  # clone3, whose flags cannot be looked at
    ]
    for number in sorted(one for one in refused if one is not None):
        made += _refuse_if(_EQUALS, number, errno.EPERM)
    made += _allow_only(clone, 0, (_ANY_BIT, 1, 0, _CLONE_THREAD))
    made += _allow_only(tgkill, 0, (_EQUALS, 1, 0, pid))
    made += _allow_only(prlimit, 0, (_EQUALS, 1, 0, 0))
    made += _allow_only(openat, 2, (_ANY_BIT, 0, 1, _WRITES))
    if x86:
        made += _allow_only(2, 1, (_ANY_BIT, 0, 1, _WRITES))  # open
    return [*made, (_RETURN, 0, 0, _ALLOW)]


def _refuse_if(test: int, operand: int, error: int) -> tuple[Instruction, ...]:
    return (test, 0, 1, operand), (_RETURN, 0, 0, _ERRNO | error)


def _allow_only(number: int, argument: int, test: Instruction) -> tuple[Instruction, ...]:
    """Refuse a call unless the test of an argument's lower half jumps over the refusal."""
    return (
        (_EQUALS, 0, 4, number),
        (_LOAD, 0, 0, _ARGUMENTS + 8 * argument),
        test,
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install() -> None:
    """Filter the calls of this process from now on, of all its threads.

    Raises
    ------
    Unsupported
        The kernel or the machine has no filters, or none that is known here.
    """
    machine = platform.machine()
    if machine not in _AUDIT_ARCH or struct.calcsize("P") != 8:
        raise Unsupported(f"no filter for {machine[:32]}")
    code = b"".join(struct.pack("<HBBI", *one) for one in program(machine, os.getpid()))
    filter_program = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    mode_filter, of_all_threads = 1, 1
    if libc.syscall(
        ctypes.c_long(_SECCOMP[machine]),
        ctypes.c_uint(mode_filter),
        ctypes.c_uint(of_all_threads),
        ctypes.byref(filter_program),
    ):
        raise Unsupported(f"the kernel has no seccomp filters (errno {ctypes.get_errno()})")
