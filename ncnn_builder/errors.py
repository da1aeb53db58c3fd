"""One family of exceptions. Every one is a sentence for the author of the model, and its parts as fields."""

from __future__ import annotations

from .strangers import printable


class NcnnBuilderError(Exception):
    """What went wrong, where, what was expected, what was got, and what to do.

    The fields are kept so that tools can use them; ``str()`` joins those that are set into one message.
    """

    def __init__(
        self,
        what: str,
        *,
        op: str | None = None,
        node: str | None = None,
        scope: str | None = None,
        source: str | None = None,
        argument: str | None = None,
        expected: object = None,
        got: object = None,
        fix: str | None = None,
    ) -> None:
        self.what = what
        self.op = op
        self.node = node
        self.scope = scope
        self.source = source
        self.argument = argument
        self.expected = expected
        self.got = got
        self.fix = fix
        super().__init__(self._message())

    def located(self, op: str | None, scope: str | None, source: str | None) -> NcnnBuilderError:
        """The same error with those of op, scope and source filled in that it does not say yet."""
        return type(self)(
            self.what,
            op=self.op or op,
            node=self.node,
            scope=self.scope or scope,
            source=self.source or source,
            argument=self.argument,
            expected=self.expected,
            got=self.got,
            fix=self.fix,
        )

    def _message(self) -> str:
        # A node's name begins with its scope, so the scope is named only where there is no node.
        where = [part for part in (self.op, self.node or (self.scope and f"in {self.scope}")) if part]
        if self.argument:
            where.append(f"argument {self.argument}")
        if self.source:
            where.append(f"at {self.source}")
        text = f"{' '.join(where)}: {self.what}" if where else self.what
        if self.expected is not None:
            text += f"; expected {self.expected}"
        if self.got is not None:
            text += f"; got {self.got}"
        if self.fix:
            text += f". {self.fix}"
        return printable(text)  # names in it come from files


class BuildError(NcnnBuilderError):
    """A call of the DSL that cannot mean anything: wrong shape, unknown name, bad number."""


class VerifyError(NcnnBuilderError):
    """A graph that breaks a rule of the IR: found after building, after a pass, or before emitting."""


class EmitError(NcnnBuilderError):
    """A file that cannot be written, or one that did not read back as it was meant."""


class ReadError(NcnnBuilderError):
    """A .param or .bin file that is not what its registry of ops says it is."""


class ParityError(NcnnBuilderError):
    """A comparison that failed, or that compared nothing."""
