"""The disk under PostgreSQL's tablespace: a file system of its own, small enough to be filled.

Only root may mount, and only in a mount namespace of the suite's own, which ends with the suite and takes the file system
along. Without either the tablespace is not made, and the faults that need it are not injected.
"""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

INSIDE = "MUSTER_FAULTS_NAMESPACE"
SIZE = 2 << 30
PAGE = 4096


def enter_namespace() -> None:
    """Starts this program anew in a mount namespace of its own, where that is possible."""
    if os.environ.get(INSIDE) or os.geteuid() != 0 or not shutil.which("unshare"):
        return
    command = ["unshare", "--mount", "--propagation", "private"]
    if subprocess.run([*command, "true"], capture_output=True).returncode == 0:
        os.environ[INSIDE] = "yes"
        os.execvp(command[0], [*command, sys.executable, *sys.argv])


class Disk:
    def __init__(self, path: Path):
        self.path = path
        self.is_mounted = False
        if os.environ.get(INSIDE):
            path.mkdir()
            mounted = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(path)], capture_output=True
            )
            self.is_mounted = mounted.returncode == 0
            if self.is_mounted:
                shutil.chown(path, "postgres", "postgres")

    def fill(self) -> int:
        """Leaves no byte; returns how many are taken. Somebody else writes meanwhile, so it takes what it gets."""
        with self._filler.open("ab") as filler:
            free = shutil.disk_usage(self.path).free
            while free >= PAGE:
                try:
                    os.posix_fallocate(filler.fileno(), filler.seek(0, os.SEEK_END), free)
                    break
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    free //= 2
            return filler.seek(0, os.SEEK_END)

    def empty(self) -> None:
        self._filler.unlink(missing_ok=True)

    @property
    def _filler(self) -> Path:
        return self.path / "filler"

    def unmount(self) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", str(self.path)], check=False)
