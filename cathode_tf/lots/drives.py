"""A path in, whether it lies on a network drive out: there SQLite's write-ahead log would lose data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

NETWORK = {
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "afpfs", "webdav", "davfs", "ceph", "lustre", "gpfs",
    "beegfs", "glusterfs", "ncpfs", "virtiofs", "vboxsf", "fuse.sshfs", "fuse.glusterfs", "fuse.davfs", "fuse.rclone",
}  # fmt: skip


def is_network(path: str | Path, mounts: str | None = None) -> bool:
    """Whether a file would lie on a network drive; where the system does not tell, False.

    Args:
        path: Of the file; it need not exist.
        mounts: What Linux has in `/proc/mounts`; None: reads it.

    Example:
        >>> is_network("/lab/ledger.db", "/dev/sda1 / ext4 rw 0 0\\nserver:/lab /lab nfs4 rw 0 0\\n")
        True
        >>> is_network("/home/ledger.db", "/dev/sda1 / ext4 rw 0 0\\nserver:/lab /lab nfs4 rw 0 0\\n")
        False
    """
    if sys.platform == "win32":  # pragma: no cover - only there
        return _windows(Path(path).resolve())
    if mounts is None:
        mounts = _mounts()
    where = os.path.abspath(path) if mounts is not None else ""
    kind, longest = "", -1
    for line in (mounts or "").splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = fields[1].encode().decode("unicode_escape")
        inside = where == point or where.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= longest:
            kind, longest = fields[2], len(point)
    return kind in NETWORK


def _mounts() -> str | None:
    try:
        return Path("/proc/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        pass
    try:  # macOS: "//server/lab on /Volumes/lab (smbfs, nodev)"
        told = subprocess.run(["mount"], capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    lines = (line.rpartition(" (") for line in told.splitlines() if " on " in line)
    return "\n".join(
        f"x {left.split(' on ', 1)[1].replace(' ', chr(92) + '040')} {right.split(',')[0].rstrip(')')} -"
        for left, _, right in lines
    )


def _windows(path: Path) -> bool:  # pragma: no cover - only there
    import ctypes

    remote = 4
    kind = ctypes.windll.kernel32.GetDriveTypeW(path.anchor)  # type: ignore[attr-defined]
    return str(path).startswith("\\\\") or kind == remote
