"""Runs a command in a terminal of its own, and prints what it wrote.

usage: in_terminal.py COLUMNS [COLUMNS_LATER SECONDS] -- COMMAND...

Prints the bytes as they came, the mark `\x1b_resized\x1b\\` where the terminal was resized, and at the end `\x1b_exit CODE\x1b\\`.
"""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

split = sys.argv.index("--")
numbers, command = sys.argv[1:split], sys.argv[split + 1:]
later = (int(numbers[1]), float(numbers[2])) if len(numbers) > 1 else None


def resize(terminal, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))


signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
child, terminal = pty.fork()
if child == 0:
    # until the parent has set the size
    signal.sigwait({signal.SIGUSR1})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    os.execvp(command[0], command)
resize(terminal, int(numbers[0]))
os.kill(child, signal.SIGUSR1)
start = time.monotonic()
out = sys.stdout.buffer
while True:
    if later and time.monotonic() - start > later[1]:
        resize(terminal, later[0])
        out.write(b"\x1b_resized\x1b\\")
        later = None
    if not select.select([terminal], [], [], 0.05)[0]:
        continue
    try:
        data = os.read(terminal, 65536)
    except OSError:
        break
    if not data:
        break
    out.write(data)
status = os.waitpid(child, 0)[1]
out.write(b"\x1b_exit %d\x1b\\" % os.waitstatus_to_exitcode(status))
