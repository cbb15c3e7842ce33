#!/usr/bin/python3
"""stream.py - btrfs streams that no kernel would send, made from the format's description and nothing of ours.

    stream.py FOLDER DEVICE

writes each into FOLDER, and prints its name and what must become of it, one a line. DEVICE is the number of a block device.

What must become of it: "refused" (protocol), "unsupported", "no-space" or "applied". The names of what lies outside the received
subvolume are those that test-btrfs-hostile.sh makes.
"""
import struct
import sys

(SUBVOL, SNAPSHOT, MKFILE, MKDIR, MKNOD, MKFIFO, MKSOCK, SYMLINK, RENAME, LINK, UNLINK, RMDIR, SET_XATTR, REMOVE_XATTR,
 WRITE, CLONE, TRUNCATE, CHMOD, CHOWN, UTIMES, END, UPDATE_EXTENT, FALLOCATE, FILEATTR, ENCODED_WRITE) = range(1, 26)
(UUID, CTRANSID, INO, SIZE, MODE, UID, GID, RDEV, CTIME, MTIME, ATIME, OTIME, XATTR_NAME, XATTR_DATA, PATH, PATH_TO,
 PATH_LINK, FILE_OFFSET, DATA, CLONE_UUID, CLONE_CTRANSID, CLONE_PATH, CLONE_OFFSET, CLONE_LEN, FALLOCATE_MODE,
 FILEATTR_A) = range(1, 27)

ID = bytes(range(16))
OUTSIDE = b"../../../../outside"  # from the working subvolume
TABLE = []
for i in range(256):
    for _ in range(8):
        i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
    TABLE.append(i)


def crc32c(data):
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc


def attr(kind, value):
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, int):
        value = struct.pack("<I" if kind == FALLOCATE_MODE else "<Q", value)
    return struct.pack("<HH", kind, len(value)) + value


def raw(number, body, crc=None):
    head = struct.pack("<IHI", len(body), number, 0)
    if crc is None:
        crc = crc32c(head + body)
    return struct.pack("<IHI", len(body), number, crc) + body


def cmd(number, *pairs):
    return raw(number, b"".join(attr(k, v) for k, v in pairs))


def time(kind, sec=0, nsec=0):
    return kind, struct.pack("<qI", sec, nsec)


def header(version=1):
    return b"btrfs-stream\0" + struct.pack("<I", version)


def subvol():
    return cmd(SUBVOL, (PATH, "x"), (UUID, ID), (CTRANSID, 7))


def stream(*commands, end=True):
    return header() + subvol() + b"".join(commands) + (cmd(END) if end else b"")


def mkfile(path, ino=300):
    return cmd(MKFILE, (PATH, path), (INO, ino))


def mkdir(path):
    return cmd(MKDIR, (PATH, path), (INO, 300))


def symlink(path, target):
    return cmd(SYMLINK, (PATH, path), (INO, 300), (PATH_LINK, target))


def mknod(path, mode, rdev):
    return cmd(MKNOD, (PATH, path), (INO, 300), (MODE, mode), (RDEV, rdev))


def rename(old, new):
    return cmd(RENAME, (PATH, old), (PATH_TO, new))


def write(path, data=b"overwritten", offset=0):
    return cmd(WRITE, (PATH, path), (FILE_OFFSET, offset), (DATA, data))


def clone(path, source, offset=0, length=4096, at=0, uuid=ID, transid=7):
    return cmd(CLONE, (FILE_OFFSET, at), (CLONE_LEN, length), (PATH, path), (CLONE_UUID, uuid),
               (CLONE_CTRANSID, transid), (CLONE_PATH, source), (CLONE_OFFSET, offset))


def everything_at(path):
    """One of each command that names an existing thing, there."""
    return {
        "write": write(path),
        "truncate": cmd(TRUNCATE, (PATH, path), (SIZE, 0)),
        "chmod": cmd(CHMOD, (PATH, path), (MODE, 0o777)),
        "chown": cmd(CHOWN, (PATH, path), (UID, 1000), (GID, 1000)),
        "utimes": cmd(UTIMES, (PATH, path), time(ATIME), time(MTIME), time(CTIME)),
        "set_xattr": cmd(SET_XATTR, (PATH, path), (XATTR_NAME, "user.evil"), (XATTR_DATA, "1")),
        "remove_xattr": cmd(REMOVE_XATTR, (PATH, path), (XATTR_NAME, "user.mine")),
        "unlink": cmd(UNLINK, (PATH, path)),
        "rmdir": cmd(RMDIR, (PATH, path)),
        "rename-from": rename(path, "stolen"),
        "link-from": cmd(LINK, (PATH, "stolen"), (PATH_LINK, path)),
        "fallocate": cmd(FALLOCATE, (PATH, path), (FALLOCATE_MODE, 3), (FILE_OFFSET, 0), (SIZE, 4096)),
        "fileattr": cmd(FILEATTR, (PATH, path), (FILEATTR_A, 1 << 6)),
        "clone-from": mkfile("f") + clone("f", path),
        "clone-to": mkfile("f") + write("f", b"x" * 4096) + clone(path, "f"),
    }


def made_at(path):
    """One of each command that makes something, there."""
    return {
        "mkfile": mkfile(path),
        "mkdir": mkdir(path),
        "mknod": mknod(path, 0o020666, 0x103),
        "mkfifo": cmd(MKFIFO, (PATH, path), (INO, 300), (MODE, 0o010644), (RDEV, 0)),
        "mksock": cmd(MKSOCK, (PATH, path), (INO, 300), (MODE, 0o140644), (RDEV, 0)),
        "symlink": symlink(path, "target"),
        "rename-to": mkfile("f") + rename("f", path),
        "rename-later": mkfile("f") + write("f") + rename("f", path),
        "link-to": mkfile("f") + cmd(LINK, (PATH, path), (PATH_LINK, "f")),
    }


def cases(device):
    bad_paths = {
        "up": OUTSIDE + b"/secret",
        "up-inside": b"d/../" + OUTSIDE + b"/secret",
        "absolute": b"/tmp/secret",
        "dot": b"./secret",
        "double": b"d//secret",
        "slash": b"secret/",
        "nul": b"sec\0ret",
        "long-name": b"n" * 256,
        "long": b"d/" * 2100 + b"secret",
    }
    for name, path in bad_paths.items():
        for what, c in {**everything_at(path), **made_at(path)}.items():
            yield f"{name}-{what}", "refused", stream(mkdir("d"), c)
    for what, c in made_at(b"").items():
        yield f"root-{what}", "refused", stream(c)
    for what in ("write", "truncate", "unlink", "rmdir", "rename-from", "link-from", "clone-from", "clone-to"):
        yield f"root-{what}", "refused", stream(everything_at(b"")[what])

    # A symbolic link as a parent, or as the thing itself.
    way = symlink("way", OUTSIDE)
    for what, c in {**everything_at(b"way/secret"), **made_at(b"way/new")}.items():
        yield f"through-link-{what}", "refused", stream(way, c)
        yield f"through-renamed-link-{what}", "refused", stream(
            symlink("o300-7-0", OUTSIDE), rename("o300-7-0", "way"), c)
        # A folder that was walked through is a link the next time.
        yield f"through-swapped-link-{what}", "refused", stream(
            mkdir("way"), mkfile("way/secret"), write("way/secret"), cmd(UNLINK, (PATH, "way/secret")),
            cmd(RMDIR, (PATH, "way")), way, c)
        yield f"through-moved-folder-{what}", "refused", stream(
            mkdir("way"), mkfile("way/secret"), write("way/secret"), rename("way", "was"), way, c)
    to_secret = symlink("way", OUTSIDE + b"/secret")
    harmless = ("chown", "utimes", "unlink", "rename-from", "link-from", "fileattr")
    for what, c in everything_at(b"way").items():
        yield f"at-link-{what}", "applied" if what in harmless else "refused", stream(to_secret, c)
    yield "make-over-link", "refused", stream(to_secret, mkfile("way"), write("way"))
    yield "rename-over-link", "applied", stream(to_secret, mkfile("f"), write("f"), rename("f", "way"), write("way"))
    yield "proc-link", "refused", stream(symlink("way", "/proc/self/root"), mkfile("way/tmp/new"))
    yield "magic-link", "refused", stream(symlink("way", "/proc/self/cwd"), write("way/secret"))

    # Devices and pipes are made, but never opened.
    disk = mknod("disk", 0o060666, device)
    for what in ("write", "truncate", "fallocate", "clone-from", "clone-to"):
        yield f"device-{what}", "refused", stream(disk, everything_at(b"disk")[what])
        fifo = cmd(MKFIFO, (PATH, "fifo"), (INO, 300), (MODE, 0o010644), (RDEV, 0))
        yield f"fifo-{what}", "refused", stream(fifo, everything_at(b"fifo")[what])
        yield f"folder-{what}", "refused", stream(mkdir("d"), everything_at(b"d")[what])
    yield "device-attrs", "applied", stream(disk, everything_at(b"disk")["chmod"], everything_at(b"disk")["chown"],
                                            everything_at(b"disk")["utimes"], everything_at(b"disk")["fileattr"])
    yield "device-as-folder", "refused", stream(disk, mkfile("disk/f"))
    yield "file-as-folder", "refused", stream(mkfile("f"), mkfile("f/f"))
    for kind in (0, 0o040000, 0o100000, 0o120000, 0o010000):
        yield f"mknod-{kind:o}", "refused", stream(mknod("n", kind | 0o644, 0x103))

    # Clones.
    f = mkfile("f") + write("f", b"x" * 8192)
    yield "clone-self", "applied", stream(f, clone("f", "f", 0, 4096, 8192))
    yield "clone-other-subvolume", "refused", stream(f, clone("f", "f", uuid=bytes(16)))
    yield "clone-other-transaction", "refused", stream(f, clone("f", "f", 0, 4096, 8192, transid=8))
    yield "clone-beyond", "refused", stream(f, mkfile("g"), clone("g", "f", 4096, 8192))
    yield "clone-far", "refused", stream(f, mkfile("g"), clone("g", "f", 0, 4096, 1 << 63))
    yield "clone-wraps", "refused", stream(f, mkfile("g"), clone("g", "f", 4096, (1 << 64) - 4096))
    yield "clone-uneven", "applied", stream(f, mkfile("g"), clone("g", "f", 100, 1000, 50))
    yield "clone-overlaps", "refused", stream(f, clone("f", "f", 0, 8192, 4096))
    yield "clone-endless", "refused", stream(
        f, cmd(TRUNCATE, (PATH, "f"), (SIZE, 1 << 60)), clone("f", "f", 0, (1 << 60) - 10000, 100))

    # Numbers.
    for what, size in {"max": (1 << 63) - 1, "over": 1 << 63, "all": (1 << 64) - 1}.items():
        yield f"truncate-{what}", "refused" if what != "max" else "applied", stream(
            mkfile("f"), cmd(TRUNCATE, (PATH, "f"), (SIZE, size)))
        yield f"write-{what}", "refused", stream(mkfile("f"), write("f", b"xy", size))
        yield f"punch-{what}", "refused", stream(
            mkfile("f"), cmd(FALLOCATE, (PATH, "f"), (FALLOCATE_MODE, 3), (FILE_OFFSET, 4096), (SIZE, size)))
    for what, mode in {"reserve": 0, "keep": 1, "collapse": 8, "any": 0xFFFFFFFF}.items():
        yield f"fallocate-{what}", "unsupported", stream(
            mkfile("f"), cmd(FALLOCATE, (PATH, "f"), (FALLOCATE_MODE, mode), (FILE_OFFSET, 0), (SIZE, 1 << 40)))
    for what, uid, gid in (("uid", 0xFFFFFFFF, 0), ("gid", 0, 0xFFFFFFFF), ("wide", 1 << 32, 0)):
        yield f"chown-{what}", "refused", stream(mkfile("f"), cmd(CHOWN, (PATH, "f"), (UID, uid), (GID, gid)))
    yield "utimes-nsec", "refused", stream(
        mkfile("f"), cmd(UTIMES, (PATH, "f"), time(ATIME, 0, 10 ** 9), time(MTIME), time(CTIME)))
    yield "chmod-wide", "applied", stream(mkfile("f"), cmd(CHMOD, (PATH, "f"), (MODE, (1 << 64) - 1)))

    # Attributes.
    for what, name in {"long": "user." + "n" * 251, "longer": "n" * 60000, "none": "", "nul": "user.\0x",
                       "nowhere": "nowhere.x"}.items():
        yield f"xattr-name-{what}", "refused", stream(
            mkfile("f"), cmd(SET_XATTR, (PATH, "f"), (XATTR_NAME, name), (XATTR_DATA, "1")))
    yield "xattr-huge", "no-space", stream(
        mkfile("f"), cmd(SET_XATTR, (PATH, "f"), (XATTR_NAME, "user.x"), (XATTR_DATA, b"x" * 65000)))
    yield "xattr-bad-acl", "refused", stream(
        mkfile("f"), cmd(SET_XATTR, (PATH, "f"), (XATTR_NAME, "system.posix_acl_access"), (XATTR_DATA, "junk")))
    yield "xattr-empty", "applied", stream(
        mkfile("f"), cmd(SET_XATTR, (PATH, "f"), (XATTR_NAME, "user.x"), (XATTR_DATA, "")))
    yield "xattr-absent", "applied", stream(mkfile("f"), cmd(REMOVE_XATTR, (PATH, "f"), (XATTR_NAME, "user.none")))
    yield "symlink-empty", "refused", stream(symlink("s", ""))
    yield "symlink-nul", "refused", stream(symlink("s", "a\0b"))

    # The order of things.
    yield "rename-into-itself", "refused", stream(mkdir("d"), mkdir("d/e"), rename("d", "d/e/f"))
    yield "rename-missing", "refused", stream(rename("a", "b"))
    yield "make-twice", "refused", stream(mkfile("f"), write("f"), mkfile("f"), write("f"))
    yield "rmdir-full", "refused", stream(mkdir("d"), mkfile("d/f"), write("d/f"), cmd(RMDIR, (PATH, "d")))
    yield "link-folder", "refused", stream(mkdir("d"), cmd(LINK, (PATH, "e"), (PATH_LINK, "d")))
    yield "second-subvol", "refused", stream(subvol())
    yield "snapshot-within", "refused", stream(cmd(
        SNAPSHOT, (PATH, "x"), (UUID, ID), (CTRANSID, 7), (CLONE_UUID, ID), (CLONE_CTRANSID, 7)))
    yield "no-subvol", "refused", header() + mkfile("f") + cmd(END)
    yield "only-end", "refused", header() + cmd(END)
    yield "no-end", "refused", stream(mkfile("f"), end=False)
    yield "after-end", "refused", stream(mkfile("f")) + mkfile("g")
    yield "junk-after-end", "refused", stream(mkfile("f")) + b"x"
    yield "empty-subvolume", "applied", stream()
    yield "no-data", "unsupported", stream(mkfile("f"), cmd(
        UPDATE_EXTENT, (PATH, "f"), (FILE_OFFSET, 0), (SIZE, 4096)))
    yield "encoded", "unsupported", stream(mkfile("f"), cmd(ENCODED_WRITE, (PATH, "f"), (FILE_OFFSET, 0)))

    # The bytes.
    good = stream(mkfile("f"), write("f", b"x" * 1000))
    yield "empty", "refused", b""
    yield "text", "refused", b"this is no stream at all, but long enough to be one"
    yield "header-only", "refused", header()
    yield "half-header", "refused", header()[:9]
    for v in (0, 3, 0xFFFFFFFF):
        yield f"version-{v}", "unsupported", header(v) + good[17:]
    for n in sorted({18, 26, 27, 28, 40, len(good) // 2, len(good) - 11, len(good) - 1}):
        yield f"cut-{n}", "refused", good[:n]
    for n in (0, 17, 21, 23, 30, len(good) // 2, len(good) - 1):
        yield f"flip-{n}", "refused", good[:n] + bytes([good[n] ^ 1]) + good[n + 1:]
    for n in (0xFFFFFFFF, 0x7FFFFFFF, 1 << 20, (256 << 10) - 9):
        yield f"length-{n}", "refused", header() + subvol() + struct.pack("<IHI", n, MKFILE, 0) + b"x" * 300000
    yield "number-0", "refused", stream(raw(0, b""))
    yield "number-27", "refused", stream(raw(27, b""))
    yield "number-65535", "refused", stream(raw(65535, b""))
    yield "attr-0", "refused", stream(raw(MKFILE, attr(0, "x")))
    yield "attr-99", "refused", stream(raw(MKFILE, attr(99, "x")))
    yield "attr-twice", "refused", stream(raw(MKFILE, attr(PATH, "a") + attr(PATH, "b")))
    for n in (1, 2, 3):
        yield f"attr-half-{n}", "refused", stream(raw(MKFILE, attr(PATH, "a") + b"\x03\0\0"[:n]))
    yield "attr-long", "refused", stream(raw(MKFILE, struct.pack("<HH", PATH, 65535) + b"a"))
    yield "attr-missing", "refused", stream(raw(MKFILE, b""), write("f"))
    yield "attr-narrow", "refused", stream(mkfile("f"), raw(TRUNCATE, attr(PATH, "f") + attr(SIZE, b"1234")))
    yield "attr-wide", "refused", stream(mkfile("f"), raw(TRUNCATE, attr(PATH, "f") + attr(SIZE, b"123456789")))
    yield "uuid-short", "refused", header() + cmd(SUBVOL, (PATH, "x"), (UUID, ID[:15]), (CTRANSID, 7)) + cmd(END)
    yield "version-2-data", "applied", header(2) + subvol() + mkfile("f") + raw(
        WRITE, attr(PATH, "f") + attr(FILE_OFFSET, 0) + struct.pack("<H", DATA) + b"x" * 100000) + cmd(END)
    yield "good", "applied", good


def main(folder, device):
    for name, fate, data in cases(int(device, 0)):
        with open(f"{folder}/{name}", "xb") as f:
            f.write(data)
        print(name, fate)


main(*sys.argv[1:])
