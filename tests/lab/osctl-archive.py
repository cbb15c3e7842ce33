#!/usr/bin/python3
"""osctl-archive.py KIND FILE - an archive as osctl or vpsadminos-convert would write it, or as an enemy would."""
import gzip
import io
import sys
import tarfile

CONTAINER = """---
distribution: debian
version: "12"
arch: x86_64
hostname: vps
net_interfaces:
- type: bridge
  name: eth0
  hwaddr: 00:16:3e:00:00:77
  link: br0
  dhcp: false
  gateways: {v4: none, v6: none}
  ip_addresses: {v4: [10.99.0.130/24], v6: []}
cgparams:
- {version: 1, subsystem: memory, name: memory.limit_in_bytes, value: [268435456], persistent: true}
- {version: 1, subsystem: blkio, name: blkio.weight, value: [500], persistent: true}
devices: []
prlimits: {nofile: {soft: 1024, hard: 4096}}
mounts:
- {fs: /etc, mountpoint: /mnt, type: none, opts: bind, automount: true}
autostart: {priority: 10, delay: 5}
raw: {lxc: "lxc.hook.pre-start = /bin/true"}
"""


def member(t, name, data=b"", **kind):
    i = tarfile.TarInfo(name)
    for k, v in kind.items():
        setattr(i, k, v)
    i.size = len(data)
    t.addfile(i, io.BytesIO(data))


def root(kind):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        member(t, ".", type=tarfile.DIRTYPE, mode=0o755)
        member(t, "./etc", type=tarfile.DIRTYPE, mode=0o755)
        member(t, "./etc/hostname", b"vps\n", mode=0o644, uid=5, gid=7)
        if kind == "dotdot":
            member(t, "../../../../evil", b"evil")
        if kind == "absolute":
            member(t, "/evil", b"inside")
        if kind == "symlink":
            member(t, "./out", type=tarfile.SYMTYPE, linkname="/")
            member(t, "./out/evil", b"evil")
        if kind == "hardlink":
            member(t, "./shadow", type=tarfile.LNKTYPE, linkname="../../../../../../etc/shadow")
        if kind == "bomb":
            for n in range(64):
                member(t, "./bomb%d" % n, bytes(1 << 20))
        if kind == "owner":
            member(t, "./owner", b"", uid=70000)
    if kind == "inner-garbage":
        out.write(b"something else" * 100)
    if kind == "inner-padded":
        out.write(bytes(102400))
    return out.getvalue()


def main(kind, path):
    with open(path, "wb") as f:
        t = tarfile.open(fileobj=f, mode="w", format=tarfile.USTAR_FORMAT)
        container = "null" if kind == "nameless" else "vps"
        how = "''" if kind.startswith("skel") else "zfs" if kind == "zfs" else "tar"
        member(t, "metadata.yml", ("---\ntype: %s\nformat: %s\nuser: vps\ngroup: /default\ncontainer: %s\n"
               "datasets: []\nexported_at: 1700000000\n" % ("skel" if kind.startswith("skel") else "full", how, container)).encode())
        member(t, "config/", type=tarfile.DIRTYPE, mode=0o755)
        member(t, "config/user.yml", b"---\nuid_map: ['0:666000:65536']\ngid_map: ['0:666000:65536']\n")
        member(t, "config/group.yml", b"---\ncgparams: []\ndevices: []\n")
        if kind != "headless":
            member(t, "config/container.yml", (CONTAINER if kind != "yaml" else "---\na: &x [*x]\n").encode())
        member(t, "hooks/pre-start", b"#!/bin/sh\ntouch /evil\n", mode=0o755)
        if kind == "zfs":
            member(t, "rootfs/base.dat.gz", b"x")
        elif not kind.startswith("skel"):
            data = gzip.compress(root(kind))
            if kind == "crc":
                data = data[:-8] + bytes(4) + data[-4:]
            if kind == "short":
                data = data[:len(data) // 2]
            member(t, "rootfs/base.tar.gz", data)
        t.fileobj.flush()
        if kind not in ("endless", "skel-endless"):
            t.close()
        if kind == "padded":
            f.write(bytes(102400))
        if kind == "garbage":
            f.write(b"something else" * 100)
        if kind == "garbage-far":
            f.write(bytes(900000) + b"x")
        if kind == "twice":
            f.seek(0)
            again = open(path, "rb").read()
            f.seek(0, 2)
            f.write(again)


main(*sys.argv[1:])
