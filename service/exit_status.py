"""How the commands end: one number, one meaning, told in `mammoseg --help`."""

SOME_FAILED = 1
"""The command did its work; some of what it was given could not be dealt with, and was named."""

START_FAILED = 2
"""It could not begin: an argument, a setting, the model or the device."""

DEVICE_FAILED = 3
"""The device failed meanwhile: a new process may find it well."""

WRITE_FAILED = 4
"""What it had to write cannot be written: the folder, the disk, the output."""

TRY_AGAIN = 75
"""It could not begin now, though nothing need be wrong: the port is taken, the address is not up
yet, the database does not answer, the disk is full, no thread can be started (EX_TEMPFAIL of
sysexits.h)."""

PROGRAM_FAILED = 70
"""An error of the program itself (EX_SOFTWARE of sysexits.h)."""

INTERRUPTED = 130
"""Ctrl-C: 128 and the number of SIGINT, as shells count."""

BROKEN_PIPE = 141
"""Nobody reads the output any more: 128 and the number of SIGPIPE."""

MEANINGS = {
    0: "done",
    SOME_FAILED: "done, but some of what was given could not be dealt with",
    START_FAILED: "could not begin: an argument, a setting, the model or the device",
    DEVICE_FAILED: "the device failed meanwhile",
    WRITE_FAILED: "results or output cannot be written",
    PROGRAM_FAILED: "an error of the program itself",
    TRY_AGAIN: "could not begin now: port, address, database, disk or threads; a later start may",
    INTERRUPTED: "interrupted by Ctrl-C",
    BROKEN_PIPE: "nobody read the output any more",
}
"""In the words of `mammoseg --help`."""
