"""Looks the locked requirements up in the OSV database of vulnerabilities; part of ``make lint``.

Exit 1 where it knows of one. Where the database cannot be asked, this says so and exits 0: no
network is no reason for a red check, and silence would pass for a clean bill. pip-audit alone
calls requirements that a database has never heard of "no known vulnerabilities", so the database
is asked first of a release that everybody knows to be vulnerable.
"""

import os
import subprocess
import sys

import httpx

OSV = os.environ.get("OSV_URL", "https://api.osv.dev/v1/query")
KNOWN = {"package": {"name": "jinja2", "ecosystem": "PyPI"}, "version": "2.4.1"}


def what_is_in_the_way() -> str:
    """Return why the database cannot be queried; empty if it can."""
    try:
        answer = httpx.post(OSV, json=KNOWN, timeout=10)
        answer.raise_for_status()
        known = bool(answer.json().get("vulns"))
    except (httpx.HTTPError, ValueError) as error:
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return "" if known else "it does not list a release known to be vulnerable"


def main(requirements: list[str]) -> int:
    """Audit requirements files with hashes; the exit status."""
    names = ", ".join(requirements)
    if trouble := what_is_in_the_way():
        print(f"NOT AUDITED: {names}: no answer from {OSV} ({trouble})", file=sys.stderr)
        print('run "make audit" where it can be reached', file=sys.stderr)
        return 0
    files = [argument for name in requirements for argument in ("-r", name)]
    how = ["--disable-pip", "--require-hashes", "--strict", "--progress-spinner=off"]
    command = [sys.executable, "-m", "pip_audit", "-s", "osv", "--osv-url", OSV, *how, *files]
    return subprocess.run(command, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
