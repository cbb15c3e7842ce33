#!/usr/bin/python3
"""mkploop.py - makes ploop disks and what they are made of, for tests.

  mkploop.py gpt FILE SIZE START      an empty disk with one partition from sector START to the end
  mkploop.py bundle [--version 1|2] [--cluster SECTORS] [--plain] [--in-use] [--blocksize N] DIR RAW...
        a disk whose states were RAW..., oldest first: an image of the first, a delta for each further one, a
        DiskDescriptor.xml. Clusters lie in the files in a shuffled order. A later state may be larger.

Prints the files of the chain, the top first, for qemu-img.
"""
import argparse
import os
import random
import struct
import uuid
import zlib

NONE = "{00000000-0000-0000-0000-000000000000}"
TOP = "{5fbaabe3-6958-40ff-92a7-860e329aab41}"


def gpt_header(size, lba, other, entries_lba, entries):
    def pack(crc):
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, lba, other, 34, size // 512 - 34,
                           b"\x11" * 16, entries_lba, 128, 128, zlib.crc32(entries))
    return pack(zlib.crc32(pack(0)))


def make_gpt(path, size, start):
    last = size // 512 - 1
    entries = struct.pack("<16s16sQQQ72s", uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4").bytes_le, b"\x22" * 16,
                          start, last - 34, 0, "root".encode("utf-16-le")).ljust(128 * 128, b"\0")
    with open(path, "wb") as f:
        f.truncate(size)
        f.seek(512)
        f.write(gpt_header(size, 1, last, 2, entries))
        f.seek(1024)
        f.write(entries)
        f.seek((last - 32) * 512)
        f.write(entries)
        f.write(gpt_header(size, last, 1, last - 32, entries))


def write_image(path, version, sectors, size, clusters, in_use):
    """clusters: {number: bytes} that this image has."""
    cluster = sectors * 512
    n = (size + cluster - 1) // cluster
    first = (64 + 4 * n + cluster - 1) // cluster  # in clusters
    table = [0] * n
    order = list(clusters)
    random.shuffle(order)
    with open(path, "wb") as f:
        for place, number in enumerate(order, first):
            table[number] = place if version == 2 else place * sectors
            f.seek(place * cluster)
            f.write(clusters[number].ljust(cluster, b"\0"))
        f.truncate((first + len(order)) * cluster)
        f.seek(0)
        total = size // 512
        f.write(struct.pack("<16sIIIIIIIIIIQ", b"WithoutFreeSpace" if version == 1 else b"WithouFreSpacExt", 2, 16, 0, sectors,
                            n, total & 0xFFFFFFFF, total >> 32 if version == 2 else 0xDEAD, 0x746F6E59 if in_use else 0,
                            first * sectors, 0, 0))
        f.write(struct.pack(f"<{n}I", *table))


def pieces(path, cluster):
    with open(path, "rb") as f:
        number = 0
        while piece := f.read(cluster):
            yield number, piece
            number += 1


def differing(now, before, cluster):
    """Clusters of now that are not the same in before; without before, those that are not empty."""
    old = dict(pieces(before, cluster)) if before else {}
    zeros = b"\0" * cluster
    for number, piece in pieces(now, cluster):
        if piece != old.get(number, zeros)[:len(piece)]:
            yield number, piece


def make_bundle(a):
    random.seed(len(a.raw))
    os.makedirs(a.dir)
    cluster = a.cluster * 512
    guids = [f"{{{uuid.UUID(int=random.getrandbits(128))}}}" for _ in a.raw[:-1]] + [TOP]
    names = ["root.hdd" if i == 0 else f"root.hdd.{{{uuid.UUID(int=i)}}}" for i in range(len(a.raw))]
    for i, raw in enumerate(a.raw):
        path = os.path.join(a.dir, names[i])
        if i == 0 and a.plain:
            with open(raw, "rb") as src, open(path, "wb") as dst:
                dst.write(src.read())
            continue
        clusters = dict(differing(raw, a.raw[i - 1] if i else None, cluster))
        write_image(path, a.version, a.cluster, os.path.getsize(raw), clusters, a.in_use and i == len(a.raw) - 1)
    images = [f"<Image><GUID>{g}</GUID><Type>{'Plain' if a.plain and i == 0 else 'Compressed'}</Type><File>{n}</File></Image>"
              for i, (g, n) in enumerate(zip(guids, names))]
    shots = [f"<Shot><GUID>{g}</GUID><ParentGUID>{guids[i - 1] if i else NONE}</ParentGUID></Shot>"
             for i, g in enumerate(guids)]
    size = os.path.getsize(a.raw[-1]) // 512
    with open(os.path.join(a.dir, "DiskDescriptor.xml"), "w") as f:
        f.write(f'''<?xml version="1.0"?>
<Parallels_disk_image>
  <Disk_Parameters><Disk_size>{size}</Disk_size><Cylinders>1</Cylinders><Heads>16</Heads><Sectors>63</Sectors></Disk_Parameters>
  <StorageData><Storage>
    <Start>0</Start><End>{size}</End><Blocksize>{a.blocksize or a.cluster}</Blocksize><Preallocated>0</Preallocated>
    {"".join(reversed(images))}
  </Storage></StorageData>
  <Snapshots><TopGUID>{TOP}</TopGUID>{"".join(reversed(shots))}</Snapshots>
</Parallels_disk_image>
''')
    print("\n".join(os.path.join(a.dir, n) for n in reversed(names)))
    if len(guids) > 1:
        with open(os.path.join(a.dir, "guids"), "w") as f:
            f.write("\n".join(guids) + "\n")


def main():
    p = argparse.ArgumentParser()
    sub = p.add_subparsers(dest="what", required=True)
    g = sub.add_parser("gpt")
    g.add_argument("file")
    g.add_argument("size", type=int)
    g.add_argument("start", type=int)
    b = sub.add_parser("bundle")
    b.add_argument("--version", type=int, default=2)
    b.add_argument("--cluster", type=int, default=2048)
    b.add_argument("--plain", action="store_true")
    b.add_argument("--in-use", action="store_true")
    b.add_argument("--blocksize", type=int)
    b.add_argument("dir")
    b.add_argument("raw", nargs="+")
    a = p.parse_args()
    if a.what == "gpt":
        make_gpt(a.file, a.size, a.start)
    else:
        make_bundle(a)


main()
