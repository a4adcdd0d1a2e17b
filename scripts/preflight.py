"""What this machine lacks, in one sentence. Runs on any Python 3 without packages, for it runs before they are there."""

import importlib.util
import os
import platform
import shutil
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEEDED_GB = 3.0  # both environments with uv's cache, and the model


def missing_for_setup():  # type: () -> str | None
    """Why the set-up cannot work here, or None."""
    version = "{}.{}".format(*sys.version_info[:2])
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        return f"Heatline needs Python 3.11, 3.12 or 3.13, and this is {version}: set PYTHON=/path/to/a/newer/python3."
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return "Heatline's NLU server runs on Linux on x86_64 only; use the container images elsewhere."
    if importlib.util.find_spec("pip") is None:
        return "Python has no pip: install it (Debian: `apt-get install python3-pip`)."
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < NEEDED_GB:
        return f"The set-up needs {NEEDED_GB:.0f} GB on this disk, and {free:.1f} GB are free."
    return None


def missing_for_port():  # type: () -> str | None
    """Why the service cannot listen, or None."""
    host, port = _setting("HEATLINE_HOST", "127.0.0.1"), _setting("HEATLINE_PORT", "8000")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            return f"Port {port} is in use: stop what listens there, or set HEATLINE_PORT to a free one."
        except ValueError:
            return f"HEATLINE_PORT is {port!r}; it must be a number such as 8000."
    return None


def _setting(name, default):  # type: (str, str) -> str
    """The environment, then .env, then the default; as the service itself reads it."""
    lines = (ROOT / ".env").read_text(encoding="utf-8").splitlines() if (ROOT / ".env").exists() else []
    written = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return str(os.environ.get(name) or written.get(name, "").strip("\"' ") or default)


if __name__ == "__main__":
    checks = {"setup": missing_for_setup, "port": missing_for_port}
    missing = checks[sys.argv[1]]()
    if missing:
        sys.exit(missing)
