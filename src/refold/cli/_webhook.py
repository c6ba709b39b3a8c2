"""Events to a receiver: kept on disk until it has them, in their order."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from refold._atomic import write_whole
from refold._errors import ParameterError
from refold._extras import require
from refold.cli._talk import say
from refold.data import without_secrets

_PATIENCE = 5.0  # seconds for one delivery
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0
_TAKEN = range(200, 300)
_REFUSED = (400, 410, 413, 422)  # the receiver has the event and will never take it; all else is tried again


class Webhook:
    """Posts events as JSON; while the receiver is down they wait in a folder.

    Parameters
    ----------
    url : str
    folder : pathlib.Path
        Of the events that wait. One file each, in the order of their names.
    clock : callable, default=time.monotonic
        Returns seconds.
    """

    def __init__(self, url: str, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._httpx = require("httpx", extra="camera", purpose="send events to a webhook")
        if not self._is_address(url):
            raise ParameterError(
                f"--webhook {without_secrets(url)!r} is no address; give one such as https://host/path"
            )
        self._url, self._folder, self._clock = url, folder, clock
        self._pause, self._next = _FIRST_PAUSE, 0.0
        self._down = False
        folder.mkdir(parents=True, exist_ok=True)

    def _is_address(self, url: str) -> bool:
        try:
            urlsplit(url)  # refuses broken brackets, which httpx takes
            address = self._httpx.URL(url)
            self._httpx.Request("POST", address)
        except (self._httpx.InvalidURL, ValueError):
            return False
        return address.scheme in ("http", "https") and bool(address.host)

    def send(self, event: dict[str, Any]) -> None:
        """Put an event on disk, then deliver what waits."""
        number = 1 + max((int(path.name.partition(".")[0]) for path in self._all()), default=0)
        with write_whole(self._folder / f"{number:09d}.json") as temporary:
            temporary.write_text(json.dumps(event))
        self.deliver()

    def deliver(self, *, now: bool = False) -> None:
        """Deliver what waits, the oldest first, unless the receiver was down a moment ago."""
        if not now and self._clock() < self._next:
            return
        for path in self.waiting():
            if not self._delivered(path):
                return

    def waiting(self) -> list[Path]:
        """Return the events that wait."""
        return sorted(path for path in self._all() if path.suffix == ".json")

    def _all(self) -> list[Path]:
        """Return the events that wait or were refused; other files in the folder are not ours."""
        return [path for path in self._folder.iterdir() if path.name.partition(".")[0].isdecimal()]

    def _delivered(self, path: Path) -> bool:
        headers = {"Content-Type": "application/json"}
        try:
            answer = self._httpx.post(self._url, content=path.read_bytes(), headers=headers, timeout=_PATIENCE)
            code = int(answer.status_code)
        except (self._httpx.HTTPError, self._httpx.InvalidURL, ValueError, OSError) as error:
            return self._failed(str(error) or type(error).__name__)
        if code not in _TAKEN and code not in _REFUSED:
            return self._failed(f"it answers {code}")
        if code in _REFUSED:
            say(f"note: the webhook refuses an event with {code}; it is kept as {path.name}.refused")
            path.rename(path.with_name(path.name + ".refused"))
        else:
            path.unlink()
        if self._down:
            say("note: the webhook answers again")
        self._down, self._pause, self._next = False, _FIRST_PAUSE, 0.0
        return True

    def _failed(self, reason: str) -> bool:
        if not self._down:
            say(f"note: the webhook cannot be reached ({reason}); events wait in {self._folder}")
        self._down = True
        self._next = self._clock() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        return False
