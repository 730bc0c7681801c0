"""What the file system under a path is, as far as watching it depends on that."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil

#: Where another computer, or a virtual machine's host, changes files without telling this kernel.
_REMOTE = frozenset(
    {
        "9p",
        "afpfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "drvfs",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs3",
        "nfs4",
        "orangefs",
        "osxfs",
        "prl_fs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "vmhgfs",
        "webdav",
    }
)
#: FUSE file systems on a disk of this computer; any other (sshfs, rclone, ...) is taken as remote.
_LOCAL_FUSE = frozenset(
    {"fuseblk", "fuse.ntfs", "fuse.ntfs-3g", "fuse.exfat", "fuse.mergerfs", "fuse.encfs", "fuse.gocryptfs"}
)


def file_system(path: Path) -> tuple[str, bool]:
    """The type of the file system that `path` is on, in lower case, and whether its mount says it is remote.

    Asks the list of mounts, never the file system itself. The type is empty where it can't be found.
    """
    real = os.path.normcase(os.path.realpath(path))
    if sys.platform == "win32" and real.startswith("\\\\"):
        return "smb", True
    best, found = -1, ("", False)
    for mount in psutil.disk_partitions(all=True):
        point = os.path.normcase(mount.mountpoint)
        # At equal lengths the last one lies on top.
        if len(point) >= best and (real == point or real.startswith(point.rstrip(os.sep) + os.sep)):
            best, found = len(point), (mount.fstype.lower(), "remote" in mount.opts.split(","))
    return found


def needs_polling(path: Path) -> bool:
    """Whether changes below `path` may come without an event, because another computer makes them."""
    kind, remote = file_system(path)
    return remote or kind in _REMOTE or (kind.startswith("fuse") and kind not in _LOCAL_FUSE)


def turns_zeros_into_holes(path: Path) -> bool:
    """Whether blocks of digital silence that were written look as if they never were (ZFS, compressed)."""
    return file_system(path)[0] == "zfs"
