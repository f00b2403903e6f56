"""The way to a board through OpenSSH's own client.

The first command stays open and is the master of all others, so there is one connection, one
authentication, and one line that can be cut. Host keys are checked: a board that is not known
is refused with the advice to meet it by hand first.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeocr.errors import OptionError
from edgeocr_benchmarks.errors import TargetError
from edgeocr_benchmarks.targets.commands import FailedCommandError

OWN_FAILURE: Final = 255
"""Exit status of ssh itself; any other is the remote command's."""

_REASONS: Final = (
    (
        "has changed and you have requested strict checking",
        "its host key is not the one that known_hosts has: another machine answers, or it was "
        "installed anew; if you know why, `ssh-keygen -R HOST` forgets the old key",
    ),
    (
        "Host key verification failed",
        "its host key is not known: connect once by hand with `ssh DESTINATION` and compare the "
        "fingerprint, or add the key to known_hosts",
    ),
    (
        "Permission denied",
        "it accepts no key of yours: `ssh-copy-id DESTINATION`, or name a key with --identity; "
        "passwords are not asked for",
    ),
    (
        "Connection refused",
        "nothing listens there: is sshd running, and is this its port?",
    ),
    ("Could not resolve hostname", "no such host name is known here"),
    ("timed out", "no answer: is it switched on, and in this network?"),
    ("No route to host", "no way there: is it switched on, and in this network?"),
)

# Neither part may begin with a hyphen: ssh would take it for an option.
_ADDRESS: Final = re.compile(
    r"""(?: (?P<user> [^@:\[\]\s-] [^@:\[\]\s]* ) @ )?
        (?P<host> \[ [0-9A-Za-z:.%]+ \] | [^@:\[\]\s-] [^@:\[\]\s]* )
        (?: : (?P<port> \d{1,5} ) )?""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """``[user@]host[:port]``, the host an IPv6 address in brackets where it is one."""

    destination: str
    """``[user@]host``, as ssh takes it."""
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Reads an address.

        Raises:
            OptionError: it is none.
        """
        match = _ADDRESS.fullmatch(text)
        if match is None:
            raise OptionError(
                f"{text!r} is no address for ssh: write [user@]host[:port], an IPv6 address in "
                "brackets"
            )
        port = None if match["port"] is None else int(match["port"])
        if port is not None and not 1 <= port <= 65535:
            raise OptionError(f"{text!r}: there is no port {port}")
        user = f"{match['user']}@" if match["user"] else ""
        return cls(destination=user + match["host"].strip("[]"), port=port)


class Ssh:
    """One connection to one board.

    Args:
        address: of the board.
        identity: private key; None leaves the choice to ssh.
        options: as ``ssh -o`` takes them; they win over those given here.

    Raises:
        TargetError: a folder for the connection can't be made.
    """

    def __init__(
        self, address: Address, *, identity: Path | None = None, options: Sequence[str] = ()
    ) -> None:
        self._address = address
        # In a folder that is ours alone, with a short name: sockets take about 100 characters.
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="edgeocr-ssh-"))
        except OSError as error:
            raise TargetError(f"can't make a folder here: {error}") from error
        given = [part for option in options for part in ("-o", option)]
        if identity is not None:
            given += ["-i", str(identity), "-o", "IdentitiesOnly=yes"]
        self._client = (
            *("ssh", "-aTx", *given),
            *("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"),
            *("-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR"),
            *("-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3"),
            *("-o", "ControlPersist=no", "-o", f"ControlPath={self._folder / 'master'}"),
            *(() if address.port is None else ("-p", str(address.port))),
        )

    def open(self, words: Sequence[str]) -> tuple[str, ...]:
        return self._argv("ControlMaster=yes", words)

    def use(self, words: Sequence[str]) -> tuple[str, ...]:
        return self._argv("ControlMaster=no", words)

    def explain(self, name: str, error: FailedCommandError) -> TargetError:
        if error.status != OWN_FAILURE:  # ssh did its part.
            return TargetError(f"{name}: {error.said}")
        destination = self._address.destination
        for sign, reason in _REASONS:
            if sign in error.said:
                reason = reason.replace("DESTINATION", destination)
                reason = reason.replace("HOST", destination.rpartition("@")[2])
                return TargetError(f"{name}: {reason} (ssh says: {error.said})")
        return TargetError(f"{name}: ssh failed: {error.said}")

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _argv(self, control: str, words: Sequence[str]) -> tuple[str, ...]:
        # The account's shell splits these words again.
        return (
            *self._client,
            *("-o", control, "--", self._address.destination, shlex.join(words)),
        )
