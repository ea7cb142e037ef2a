"""TAB completion of bash and zsh, in a terminal."""

import os
import pty
import re
import select
import signal
import time

from root import ENVIRONMENT

# The line is shown by printf when it is complete: Ctrl-A goes to its beginning.
SHOW = "\x01printf '%s|' WAS \n"
SHOWN = re.compile(r"WAS\|([^\r\n]*)\|")


class Terminal:
    """A shell on a terminal."""

    def __init__(self, root, words, setup):
        child, self.terminal = pty.fork()
        if child == 0:
            command = root.command(words)
            os.execvpe(command[0], command, {**ENVIRONMENT, "PS1": "> "})
        self.child = child
        self.seen = ""
        # Nothing is typed before the setup is done: a starting line editor discards pending input.
        self.type("printf '%s-' IS READY; echo\n", re.compile("IS-READY-"))
        for line in setup:
            self.type(f"{line}; printf '%s-' IS DONE; echo\n", re.compile("IS-DONE-"))

    def type(self, keys, until):
        """Types, and waits for what this makes appear: its match."""
        self.seen = ""
        os.write(self.terminal, keys.encode())
        deadline = time.monotonic() + 30
        while not (found := until.search(self.seen)):
            ready, _, _ = select.select([self.terminal], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"after {keys!r} there is only {self.seen!r}"
            self.seen += os.read(self.terminal, 65536).decode(errors="replace")
        return found

    def completed(self, typed):
        """The words of the line after TAB."""
        return self.type(f"{typed}\t{SHOW}", SHOWN).group(1).split("|")

    def end(self):
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)
        os.close(self.terminal)
