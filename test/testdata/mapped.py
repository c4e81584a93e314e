"""Reads a file by mmap at given offsets, each in a process of its own, because a page that cannot be read ends it by SIGBUS.

mapped.py FILE WARM COUNT OFFSET...: maps FILE, touches every page if WARM is 1, says "ready", waits for a line, and then prints a line
for each offset: "OFFSET HEX" with COUNT bytes, or "OFFSET SIGBUS".
"""
import mmap
import os
import signal
import sys

name, warm, count, offsets = sys.argv[1], sys.argv[2] == "1", int(sys.argv[3]), [int(o) for o in sys.argv[4:]]
fd = os.open(name, os.O_RDONLY)
memory = mmap.mmap(fd, os.fstat(fd).st_size, mmap.MAP_SHARED, mmap.PROT_READ)
if warm:
    sum(memory[::4096])
print("ready", flush=True)
sys.stdin.readline()
for off in offsets:
    pid = os.fork()
    if pid == 0:
        os.write(1, f"{off} {memory[off:off + count].hex()}\n".encode())
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS:
        os.write(1, f"{off} SIGBUS\n".encode())
