import ctypes, errno, hashlib, mmap, os, stat, sys

root = sys.argv[1]
os.mkdir(root)
held = [-1] * 4
LONG_AGO = 1262304000


class Failed(Exception):
    """What a call answers in other words than an errno."""


def content(seed, n):
    return hashlib.shake_128(seed.to_bytes(8, "little")).digest(n) if n else b""


def mark(data):
    return hashlib.sha256(data).hexdigest()[:12]


def path(name):
    return root + "/" + name


def do(what, a, b, flags, handle, other, off, n, seed):
    """Makes one call; prints what it answers."""
    call = globals()["do_" + what]
    try:
        if what.startswith("h") and held[handle] < 0:
            raise Failed("not open")
        result = call(a=a, b=b, flags=flags, fd=held[handle], handle=handle, other=other, off=off, n=n, seed=seed)
        answer = "ok" if result is None else f"ok {result}"
    except OSError as error:
        answer = {errno.EOPNOTSUPP: "ENOTSUP"}.get(error.errno, errno.errorcode[error.errno])
    except Failed as words:
        answer = str(words)
    print(answer)


def write_all(fd, data, off):
    total = 0
    while total < len(data):
        total += os.pwrite(fd, data[total:], off + total)
    return total


def copy_range(src, off, dst, to, n):
    total = 0
    while total < n:
        got = os.copy_file_range(src, dst, n - total, off + total, to + total)
        if got == 0:
            break
        total += got
    return total


def describe(s):
    if stat.S_ISDIR(s.st_mode):
        return f"{s.st_mode:o} {s.st_uid}:{s.st_gid}"
    if stat.S_ISLNK(s.st_mode):
        return f"symlink {s.st_uid}:{s.st_gid}"
    at = divmod(s.st_mtime_ns, 10**9)
    mtime = "new" if at[0] >= LONG_AGO else f"{at[0]}.{at[1]:09d}"
    return f"{s.st_mode:o} {s.st_uid}:{s.st_gid} {s.st_size} bytes, {s.st_nlink} names, {mtime}"


class Timespec(ctypes.Structure):
    _fields_ = [("sec", ctypes.c_long), ("nsec", ctypes.c_long)]


OMIT = (1 << 30) - 2
libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def fallocate(fd, mode, off, n):
    checked(libc.fallocate(fd, mode, ctypes.c_long(off), ctypes.c_long(n)))


def set_times(directory, name, at_flags, look, handle, other, n, seed):
    """Sets times of long ago, sometimes only one of them, and tells what the file has then."""
    nsec = [0, 1, 999999999, 123456789, 500000000]
    times = (Timespec * 2)(Timespec(1000000000 + seed, nsec[handle]), Timespec(1100000000 + n, nsec[seed % 5]))
    if other < 2:
        times[other].nsec = OMIT
    checked(libc.utimensat(directory, name, times, at_flags))
    s = look()
    shown = [divmod(at, 10**9) for i, at in enumerate((s.st_atime_ns, s.st_mtime_ns)) if times[i].nsec != OMIT]
    return " ".join(f"{sec}.{nsec:09d}" for sec, nsec in shown)


def regular(fd):
    s = os.fstat(fd)
    if not stat.S_ISREG(s.st_mode):
        raise Failed("no file")
    return s


def mappable(fd):
    size = regular(fd).st_size
    if size == 0:
        raise Failed("empty")
    return size


def xattr_name(handle):
    return ["user.a", "user.b", "user.B.b", "user.größe"][handle]


def user_names(names):
    return "[" + " ".join(sorted(n for n in names if n.startswith("user.") and not n.startswith("user.s3"))) + "]"


def open_write_close(a, flags, off, n, seed):
    fd = os.open(path(a), os.O_WRONLY | flags, 0o644)
    try:
        write_all(fd, content(seed, n), off)
    finally:
        os.close(fd)


def do_put(a, flags, off, n, seed, **_):
    open_write_close(a, os.O_CREAT | flags & ~os.O_APPEND, off, n, seed)


def do_append(a, off, n, seed, **_):
    open_write_close(a, os.O_APPEND, off, n, seed)


def do_twoappend(a, n, seed, **_):
    first = os.open(path(a), os.O_WRONLY | os.O_APPEND)
    try:
        second = os.open(path(a), os.O_RDWR | os.O_APPEND)
    except OSError:
        os.close(first)
        raise
    for i, fd in enumerate((first, second, second, first)):
        write_all(fd, content(seed + i, n % 100000), 0)
    os.close(first)
    os.close(second)


def do_truncate(a, n, **_):
    os.truncate(path(a), n)


def do_read(a, **_):
    with open(path(a), "rb") as f:
        data = f.read()
    return f"{len(data)} {mark(data)}"


def do_stat(a, **_):
    return describe(os.lstat(path(a)))


def do_rename(a, b, **_):
    os.rename(path(a), path(b))


def rename_and_back(a, b, there, back):
    checked(libc.renameat2(-100, path(a).encode(), -100, path(b).encode(), there))
    checked(libc.renameat2(-100, path(b).encode(), -100, path(a).encode(), back))
    return "and back"


def do_noreplace(a, b, **_):
    return rename_and_back(a, b, 1, 0)


def do_exchange(a, b, **_):
    return rename_and_back(a, b, 2, 2)


def do_link(a, b, **_):
    os.link(path(a), path(b), follow_symlinks=False)
    os.unlink(path(b))
    return "made and removed"


def do_unlink(a, **_):
    os.unlink(path(a))


def do_mkdir(a, **_):
    os.mkdir(path(a), 0o755)


def do_rmdir(a, **_):
    os.rmdir(path(a))


def do_readdir(a, **_):
    with os.scandir(path(a)) as entries:
        names = [e.name + ("@" if e.is_symlink() else "/" if e.is_dir() else "") for e in entries]
    return "[" + " ".join(sorted(names)) + "]"


def do_symlink(a, b, **_):
    os.symlink(b, path(a))


def do_readlink(a, **_):
    return os.readlink(path(a))


def do_chmod(a, seed, **_):
    os.chmod(path(a), [0o644, 0o600, 0o755, 0o444][seed % 4])


def owners(n, seed):
    return [-1, 0, 1000, 65534][seed % 4], [-1, 0, 100][n % 3]


def do_chown(a, other, n, seed, **_):
    os.chown(path(a), *owners(n, seed), follow_symlinks=other % 2 == 1)


def do_copy(a, b, **_):
    src = os.open(path(a), os.O_RDONLY)
    try:
        s = os.fstat(src)
        if not stat.S_ISREG(s.st_mode):
            raise OSError(errno.EISDIR, "")
        dst = os.open(path(b), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            return copy_range(src, 0, dst, 0, s.st_size)
        finally:
            os.close(dst)
    finally:
        os.close(src)


def do_utimens(a, handle, other, n, seed, **_):
    name, follow = path(a), seed % 2 == 1
    return set_times(-100, name.encode(), 0 if follow else 0x100, lambda: os.stat(name, follow_symlinks=follow), handle, other, n, seed)


def do_setxattr(a, handle, other, n, seed, **_):
    os.setxattr(path(a), xattr_name(handle), content(seed, n % 90), other % 3)


def do_getxattr(a, handle, **_):
    value = os.getxattr(path(a), xattr_name(handle))
    return f"{len(value)} {mark(value)}"


def do_listxattr(a, **_):
    return user_names(os.listxattr(path(a)))


def do_removexattr(a, handle, **_):
    os.removexattr(path(a), xattr_name(handle))


def do_open(a, flags, handle, seed, **_):
    if held[handle] >= 0:
        raise Failed("in use")
    flags |= [os.O_RDWR, os.O_RDWR, os.O_RDWR, os.O_WRONLY, os.O_RDONLY][seed % 5]
    if seed % 2 == 0 or flags & os.O_EXCL:
        flags |= os.O_CREAT
    held[handle] = os.open(path(a), flags, 0o644)


def do_hwrite(fd, off, n, seed, **_):
    return write_all(fd, content(seed, n), off)


def do_hread(fd, off, n, **_):
    data = b""
    while len(data) < n:
        more = os.pread(fd, n - len(data), off + len(data))
        if not more:
            break
        data += more
    return f"{len(data)} {mark(data)}"


def do_htruncate(fd, n, **_):
    os.ftruncate(fd, n)


def do_hfsync(fd, **_):
    os.fsync(fd)


def do_hstat(fd, **_):
    return describe(os.fstat(fd))


def do_hdup(fd, other, **_):
    if held[other] >= 0:
        raise Failed("in use")
    held[other] = os.dup(fd)


def do_hclose(fd, handle, **_):
    held[handle] = -1
    os.close(fd)


def do_hmapread(fd, **_):
    size = mappable(fd)
    with mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ) as memory:
        return mark(memory)


def do_hmapwrite(fd, off, n, seed, **_):
    size = mappable(fd)
    with mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE) as memory:
        off = min(off, size)
        n = min(n, size - off)
        memory[off:off + n] = content(seed, n)
        memory.flush()
    return n


def do_hcopy(fd, other, off, n, seed, **_):
    if held[other] < 0:
        raise Failed("not open")
    return copy_range(fd, off, held[other], n, seed * 1000)


def do_hfallocate(fd, off, n, **_):
    fallocate(fd, 0, off, n)


def do_hpunch(fd, off, n, **_):
    fallocate(fd, 3, off, n)


def do_hzero(fd, off, n, **_):
    fallocate(fd, 16, off, n)


def do_hkeepsize(fd, off, n, **_):
    s = os.fstat(fd)
    fallocate(fd, 1, off, n)
    os.utime(fd, ns=(s.st_atime_ns, s.st_mtime_ns))


def do_hseek(fd, off, seed, **_):
    regular(fd)
    return os.lseek(fd, off, os.SEEK_DATA if seed % 2 == 0 else os.SEEK_HOLE)


def do_hchmod(fd, seed, **_):
    os.fchmod(fd, [0o644, 0o600, 0o755, 0o444][seed % 4])


def do_hchown(fd, n, seed, **_):
    os.chown(fd, *owners(n, seed))


def do_hutimens(fd, handle, other, n, seed, **_):
    return set_times(fd, b"", 0x1000, lambda: os.fstat(fd), handle, other, n, seed)


def do_hsetxattr(fd, handle, other, n, seed, **_):
    os.setxattr(fd, xattr_name(handle), content(seed, n % 90), other % 3)


def do_hlistxattr(fd, **_):
    return user_names(os.listxattr(fd))


def do_hforget(fd, **_):
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def control(words):
    if "OBJMOUNT" in os.environ:
        os.system(f"$OBJMOUNT ctl {words} '{root}' >&2")


def do_flush(**_):
    control("flush")


do_look = do_drop = do_flush


def do_evict(**_):
    control("cache evict")


def do_remount(**_):
    for i, fd in enumerate(held):
        if fd >= 0:
            os.close(fd)
        held[i] = -1
    os.system(os.environ.get("REMOUNT", ":"))
