"""What a pickle would import and call, read from its opcodes; nothing is unpickled."""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass, field

_STORAGES = (
    "BFloat16Storage BoolStorage ByteStorage CharStorage ComplexDoubleStorage ComplexFloatStorage DoubleStorage Size "
    "device FloatStorage HalfStorage IntStorage LongStorage ShortStorage storage.UntypedStorage storage.TypedStorage"
)
_DTYPES = "bfloat16 bool complex128 complex64 float16 float32 float64 int16 int32 int64 int8 uint8"
# what a plain state dict or checkpoint of tensors and numbers names: part of what torch's weights_only loading admits
STATE_DICT_GLOBALS = frozenset(
    {"collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"}
    | {f"torch.{name}" for name in (*_STORAGES.split(), *_DTYPES.split())}
)
# harmless by themselves, but no part of a state dict
_KNOWN_MODULES = ("numpy", "datetime", "collections", "pathlib", "argparse", "fractions", "decimal", "uuid")
_NUMPY_FUNCTIONS = frozenset({"_reconstruct", "scalar", "ndarray", "dtype", "float32", "float64", "int64", "bool_"})
_CALLS = frozenset({"REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD"})
_STRINGS = frozenset({
    "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING",
})  # fmt: skip
UNKNOWN = "?"


@dataclass(slots=True)
class PickleContent:
    """What the opcodes of a pickle name.

    Attributes:
        names: dotted names that it imports; `?` stands for a name that is computed.
        calls: whether it calls or builds anything.
        broken: why the opcodes could not be followed to the end, or empty.
    """

    names: set[str] = field(default_factory=set)
    calls: bool = False
    broken: str = ""

    def foreign(self) -> list[str]:
        """Names that no plain state dict holds, sorted."""
        return sorted(self.names - STATE_DICT_GLOBALS)


def scan_pickle(content: bytes) -> PickleContent:
    """Follow the opcodes of the pickles in `content`, in turn, to its end."""
    scanned = PickleContent()
    start = 0
    while start < len(content):
        end = _scan_one(content[start:], scanned)
        if scanned.broken or end == 0:
            break
        start += end
    return scanned


def _scan_one(content: bytes, scanned: PickleContent) -> int:
    strings: list[str] = []
    try:
        for opcode, argument, position in pickletools.genops(content):
            if opcode.name == "STOP":
                return int(position or 0) + 1
            if opcode.name in _STRINGS:
                strings.append(_text(argument))
            scanned.names |= _named(opcode.name, argument, strings)
            scanned.calls = scanned.calls or opcode.name in _CALLS
    except (ValueError, IndexError, TypeError, UnicodeDecodeError, OverflowError) as error:
        scanned.broken = str(error) or type(error).__name__
    return 0


def _named(opcode: str, argument: object, strings: list[str]) -> set[str]:
    if opcode in ("GLOBAL", "INST"):
        return {_text(argument).replace(" ", ".")}
    if opcode == "STACK_GLOBAL":
        # the name is taken from the stack, where a hostile pickle may have put another than the last strings; state
        # dicts have no such opcode
        return {".".join(strings[-2:]), UNKNOWN}
    return {UNKNOWN} if opcode.startswith("EXT") else set()


def _text(argument: object) -> str:
    return argument.decode("latin-1") if isinstance(argument, bytes) else str(argument)


def is_harmless(name: str) -> bool:
    """Whether a name outside state dicts belongs to plain numbers and containers, which no attack can use."""
    module, _, leaf = name.rpartition(".")
    root = module.split(".")[0]
    if name == "_codecs.encode":  # bytes in pickles of protocol 2
        return True
    if root == "numpy":
        return leaf in _NUMPY_FUNCTIONS
    return root in _KNOWN_MODULES and leaf[:1].isupper()


def dangerous(names: list[str]) -> Iterator[str]:
    """Those of the names that are not harmless."""
    return (name for name in names if not is_harmless(name))
