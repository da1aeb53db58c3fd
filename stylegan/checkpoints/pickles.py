"""Reading a pickle without running it: nothing in the stream can name, make or call anything that is not in a table.

Python's own unpicklers call what the stream names, and their classes are built around that; `pickletools.genops`
decodes opcodes that no checkpoint has (decimal numbers of any length) before anybody can refuse them. So this is a
stack machine of its own for the opcodes that picklers of protocols 2 to 5 write for plain data. Every other opcode,
every name that neither the table nor `unknown` has, and every use of a name that its entry does not foresee, is Refused
with its byte offset.

Time and memory are bounded by the length of the stream and MAX_OPCODES: bytes are views of the stream, dict keys are
such that hashing them is cheap, and nothing here recurses, however deep what the stream builds.
"""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from struct import error as struct_error
from typing import Any

from stylegan.checkpoints.pickle_values import Buildable, Global, Globals, Refused, Stray, as_key, kind, quoted

MAX_OPCODES = 1_000_000
"""In one file, with everything inside it. A file with G and G_ema of 1024x1024 pixels has 56000."""

PROTOCOLS = range(2, 6)


@dataclass(eq=False)
class Budget:
    """How many opcodes may still be read; shared by the pickles inside one file."""

    left: int = MAX_OPCODES


_Op = Callable[["Unpickler"], None]
_OPS: dict[int, _Op] = {}
_NAMES = {ord(op.code): op.name for op in pickletools.opcodes}
_MARK = object()
_U1, _U2, _I4, _U4, _U8, _F8 = map(Struct, ("<B", "<H", "<i", "<I", "<Q", ">d"))


def _op(*codes: bytes) -> Callable[[_Op], _Op]:
    def register(function: _Op) -> _Op:
        _OPS.update({code[0]: function for code in codes})
        return function

    return register


class Unpickler:
    """One pickle in `data`, from byte `at`; after load(), `at` is the byte behind it.

    globals_: the names that it may have, as (module, name). persistent: makes an object of a persistent id;
    without it they are refused. unknown: what becomes of every other name, or Refused.
    """

    def __init__(
        self,
        data: memoryview,
        globals_: Globals,
        budget: Budget,
        persistent: Callable[[Any], Any] | None = None,
        at: int = 0,
        unknown: Callable[[str, str], Global] | None = None,
    ) -> None:
        self.data, self.at = data, at
        self.globals, self.persistent, self.unknown = globals_, persistent, unknown
        self.budget = budget
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.stopped = False

    def load(self) -> Any:
        """The object. Raises Refused."""
        data, end = self.data, len(self.data)
        while not self.stopped:
            start = self.at
            if self.budget.left <= 0:
                raise Refused(f"more than {MAX_OPCODES} opcodes")
            self.budget.left -= 1
            code = data[start] if start < end else self.read(1)[0]
            self.at = start + 1
            function = _OPS.get(code)
            if function is None:
                name = f"opcode {_NAMES[code]}" if code in _NAMES else f"0x{code:02x}, which is no opcode,"
                raise Refused(f"{name} at byte {start}")
            try:
                function(self)
            except Refused as error:
                raise Refused(f"{error} at byte {start}") from None
            except (IndexError, KeyError, ValueError, struct_error) as error:
                raise Refused(f"damage: opcode {_NAMES[code]} does not fit at byte {start}") from error
        return self.stack[0]

    # -- reading ------------------------------------------------------------------------------------------------

    def read(self, n: int) -> memoryview:
        view = self.data[self.at : self.at + n]
        if len(view) != n:
            raise Refused(f"the end of the file, {n} bytes wanted where {len(view)} are left,")
        self.at += n
        return view

    def number(self, form: Struct) -> Any:
        at = self.at
        if at + form.size > len(self.data):
            self.read(form.size)  # raises
        self.at += form.size
        return form.unpack_from(self.data, at)[0]

    def line(self) -> str:
        """A text that ends with a newline; only names are such, so it need not be looked for far."""
        view = bytes(self.data[self.at : self.at + 256])
        end = view.index(b"\n")
        self.at += end + 1
        return str(view[:end], "utf-8")

    # -- the stack ----------------------------------------------------------------------------------------------

    def pop(self) -> Any:
        """The topmost value; never one below the topmost mark."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise IndexError
        return self.stack.pop()

    def top(self) -> Any:
        value = self.pop()
        self.stack.append(value)
        return value

    def pop_mark(self) -> list[Any]:
        at = self.marks.pop()
        items = self.stack[at:]
        del self.stack[at:]
        return items

    def set_items(self, items: list[Any]) -> None:
        target = self.top()
        if isinstance(target, Stray):
            target.items = target.items or {}
            target = target.items
        if not isinstance(target, dict):
            raise Refused(f"items set in {kind(target)}")
        if len(items) % 2:
            raise IndexError
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[as_key(key)] = value

    def extend(self, items: list[Any]) -> None:
        target = self.top()
        if isinstance(target, Stray):
            target.values = target.values or []
            target = target.values
        if type(target) is not list:
            raise Refused(f"items appended to {kind(target)}")
        target.extend(items)

    def find(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise Refused(f"a name made of {kind(module)} and {kind(name)}")
        found = self.globals.get((module, name))
        if found is None:
            try:
                if self.unknown is None:
                    raise Refused
                found = self.unknown(module, name)
            except Refused:
                raise Refused(f"the name {quoted(module)}.{quoted(name)}") from None
        self.stack.append(found)

    def call(self, args: Any, function: Any, how: str) -> None:
        act = getattr(function, how) if isinstance(function, Global) else None
        if act is None or type(args) is not tuple:
            raise Refused(f"a call of {kind(function)} with {kind(args)}")
        self.stack.append(act(args))


# -- the opcodes ------------------------------------------------------------------------------------------------


@_op(pickle.PROTO)
def _proto(u: Unpickler) -> None:
    protocol = u.number(_U1)
    if protocol not in PROTOCOLS:
        raise Refused(f"pickle protocol {protocol}")


@_op(pickle.FRAME)
def _frame(u: Unpickler) -> None:
    if u.number(_U8) > len(u.data) - u.at:
        raise Refused("a frame that is larger than the file")


@_op(pickle.STOP)
def _stop(u: Unpickler) -> None:
    if len(u.stack) != 1 or u.marks:
        raise IndexError
    u.stopped = True


for _code, _value in {pickle.NONE: None, pickle.NEWTRUE: True, pickle.NEWFALSE: False, pickle.EMPTY_TUPLE: ()}.items():
    _op(_code)(lambda u, value=_value: u.stack.append(value))  # type: ignore[misc]
for _code, _type in {pickle.EMPTY_LIST: list, pickle.EMPTY_DICT: dict, pickle.EMPTY_SET: set}.items():
    _op(_code)(lambda u, make=_type: u.stack.append(make()))  # type: ignore[misc]
for _code, _form in {pickle.BININT: _I4, pickle.BININT1: _U1, pickle.BININT2: _U2, pickle.BINFLOAT: _F8}.items():
    _op(_code)(lambda u, form=_form: u.stack.append(u.number(form)))  # type: ignore[misc]
for _code, _form in {pickle.SHORT_BINUNICODE: _U1, pickle.BINUNICODE: _U4, pickle.BINUNICODE8: _U8}.items():
    _op(_code)(lambda u, form=_form: u.stack.append(str(u.read(u.number(form)), "utf-8")))  # type: ignore[misc]
for _code, _form in {
    pickle.SHORT_BINBYTES: _U1,
    pickle.BINBYTES: _U4,
    pickle.BINBYTES8: _U8,
    pickle.BYTEARRAY8: _U8,
}.items():
    _op(_code)(lambda u, form=_form: u.stack.append(u.read(u.number(form))))  # type: ignore[misc]
for _code, _form in {pickle.BINGET: _U1, pickle.LONG_BINGET: _U4}.items():
    _op(_code)(lambda u, form=_form: u.stack.append(u.memo[u.number(form)]))  # type: ignore[misc]
for _code, _form in {pickle.BINPUT: _U1, pickle.LONG_BINPUT: _U4}.items():
    _op(_code)(lambda u, form=_form: u.memo.__setitem__(u.number(form), u.top()))  # type: ignore[misc]
for _code, _count in {pickle.TUPLE1: 1, pickle.TUPLE2: 2, pickle.TUPLE3: 3}.items():
    _op(_code)(lambda u, n=_count: u.stack.append(tuple([u.pop() for _ in range(n)][::-1])))  # type: ignore[misc]


@_op(pickle.MEMOIZE)
def _memoize(u: Unpickler) -> None:
    u.memo[len(u.memo)] = u.top()


@_op(pickle.LONG1)
def _long(u: Unpickler) -> None:
    u.stack.append(int.from_bytes(u.read(u.number(_U1)), "little", signed=True))


@_op(pickle.MARK)
def _mark(u: Unpickler) -> None:
    u.marks.append(len(u.stack))


@_op(pickle.TUPLE)
def _tuple(u: Unpickler) -> None:
    u.stack.append(tuple(u.pop_mark()))


@_op(pickle.APPEND)
def _append(u: Unpickler) -> None:
    u.extend([u.pop()])


@_op(pickle.APPENDS)
def _appends(u: Unpickler) -> None:
    u.extend(u.pop_mark())


@_op(pickle.SETITEM)
def _setitem(u: Unpickler) -> None:
    value, key = u.pop(), u.pop()
    u.set_items([key, value])


@_op(pickle.SETITEMS)
def _setitems(u: Unpickler) -> None:
    u.set_items(u.pop_mark())


@_op(pickle.ADDITEMS)
def _additems(u: Unpickler) -> None:
    items, target = u.pop_mark(), u.top()
    if isinstance(target, Stray):
        return
    if type(target) is not set:
        raise Refused(f"items added to {kind(target)}")
    target.update(map(as_key, items))


@_op(pickle.FROZENSET)
def _frozenset(u: Unpickler) -> None:
    u.stack.append(set(map(as_key, u.pop_mark())))


@_op(pickle.GLOBAL)
def _global(u: Unpickler) -> None:
    module = u.line()
    u.find(module, u.line())


@_op(pickle.STACK_GLOBAL)
def _stack_global(u: Unpickler) -> None:
    name, module = u.pop(), u.pop()
    u.find(module, name)


@_op(pickle.REDUCE)
def _reduce(u: Unpickler) -> None:
    u.call(u.pop(), u.pop(), "call")


@_op(pickle.NEWOBJ)
def _newobj(u: Unpickler) -> None:
    u.call(u.pop(), u.pop(), "new")


@_op(pickle.NEWOBJ_EX)
def _newobj_ex(u: Unpickler) -> None:
    """With keywords, which only objects of unknown classes may have."""
    keywords, args, function = u.pop(), u.pop(), u.pop()
    if not isinstance(function, Global) or not function.inert or not isinstance(keywords, dict):
        raise Refused(f"opcode NEWOBJ_EX with {kind(function)}")
    u.call(args, function, "new")


@_op(pickle.BUILD)
def _build(u: Unpickler) -> None:
    state, target = u.pop(), u.top()
    if not isinstance(target, Buildable):
        raise Refused(f"a state for {kind(target)}")
    target.build(state)


@_op(pickle.BINPERSID)
def _persistent(u: Unpickler) -> None:
    if u.persistent is None:
        raise Refused("a persistent id")
    u.stack.append(u.persistent(u.pop()))
