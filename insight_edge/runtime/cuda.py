# SPDX-License-Identifier: Apache-2.0
"""The first NVIDIA GPU, through the driver's own library and nothing else.

Whoever has a GPU has `libcuda.so.1`; nobody needs a CUDA package for what an
engine does with it: look at it, copy to it, wait for it. Nothing here knows a
model or an engine. Several threads may use one `Gpu`.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

LIBRARY = "libcuda.so.1"

_MAJOR, _MINOR = 75, 76
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR of cuda.h."""

_NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING: work does not wait for the stream that all share."""

_HANDLE, _ADDRESS, _SIZE = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_size_t

_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (ctypes.c_uint,),
    "cuDriverGetVersion": (ctypes.POINTER(ctypes.c_int),),
    "cuDeviceGetCount": (ctypes.POINTER(ctypes.c_int),),
    "cuDeviceGet": (ctypes.POINTER(ctypes.c_int), ctypes.c_int),
    "cuDeviceGetAttribute": (ctypes.POINTER(ctypes.c_int), ctypes.c_int, ctypes.c_int),
    "cuDevicePrimaryCtxRetain": (ctypes.POINTER(_HANDLE), ctypes.c_int),
    "cuDevicePrimaryCtxRelease_v2": (ctypes.c_int,),
    "cuCtxPushCurrent_v2": (_HANDLE,),
    "cuCtxPopCurrent_v2": (ctypes.POINTER(_HANDLE),),
    "cuStreamCreate": (ctypes.POINTER(_HANDLE), ctypes.c_uint),
    "cuStreamSynchronize": (_HANDLE,),
    "cuStreamDestroy_v2": (_HANDLE,),
    "cuMemAlloc_v2": (ctypes.POINTER(_ADDRESS), _SIZE),
    "cuMemFree_v2": (_ADDRESS,),
    "cuMemcpyHtoDAsync_v2": (_ADDRESS, _HANDLE, _SIZE, _HANDLE),
    "cuMemcpyDtoHAsync_v2": (_HANDLE, _ADDRESS, _SIZE, _HANDLE),
    "cuGetErrorString": (ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)),
}


class CudaError(RuntimeError):
    """The driver is not there, has no GPU, or refused a call; the message says which."""


@dataclass(frozen=True, kw_only=True)
class GpuFacts:
    """What the driver says of the first GPU.

    Attributes:
        capability: compute capability, e.g. `8.9`.
        cuda: release of the CUDA interface that the driver offers.
    """

    capability: str
    cuda: tuple[int, int]


def gpu_facts() -> GpuFacts:
    """Return what the driver says of the first GPU, which is asked, not assumed.

    Raises:
        CudaError: why there is none to use.
    """
    version = ctypes.c_int()
    _call("cuDriverGetVersion", ctypes.byref(version))
    device = _first_device()
    major, minor = (_attribute(device, which) for which in (_MAJOR, _MINOR))
    return GpuFacts(
        capability=f"{major}.{minor}",
        cuda=(version.value // 1000, version.value % 1000 // 10),
    )


class Gpu:
    """The context of the first GPU that all of this process shares, held until `release`.

    Raises:
        CudaError: there is no GPU, or no room on it.
    """

    def __init__(self) -> None:
        self._device = _first_device()
        self._context = _HANDLE()
        _call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), self._device)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Let this thread work on the GPU within the block."""
        _call("cuCtxPushCurrent_v2", self._context)
        try:
            yield
        finally:
            _call("cuCtxPopCurrent_v2", ctypes.byref(_HANDLE()))

    def release(self) -> None:
        """Give the context up; what was allocated in it is freed by whoever allocated it."""
        _call("cuDevicePrimaryCtxRelease_v2", self._device)


class Stream:
    """Work on the GPU in order; made and used where a `Gpu` is current."""

    def __init__(self) -> None:
        handle = _HANDLE()
        _call("cuStreamCreate", ctypes.byref(handle), _NON_BLOCKING)
        self.handle: int = handle.value or 0

    def send(self, address: int, source: int, length_bytes: int) -> None:
        """Copy from host memory, which must stay until `wait` has returned."""
        _call("cuMemcpyHtoDAsync_v2", address, source, length_bytes, self.handle)

    def fetch(self, target: int, address: int, length_bytes: int) -> None:
        """Copy to host memory; it is there once `wait` has returned."""
        _call("cuMemcpyDtoHAsync_v2", target, address, length_bytes, self.handle)

    def wait(self) -> None:
        """Return when all that was asked of it is done."""
        _call("cuStreamSynchronize", self.handle)

    def close(self) -> None:
        """Give it up."""
        _call("cuStreamDestroy_v2", self.handle)


class Block:
    """Memory on the GPU that grows to what was asked of it; used where a `Gpu` is current."""

    def __init__(self) -> None:
        self._address, self._length_bytes = 0, 0

    def at_least(self, length_bytes: int) -> int:
        """Return the address of so many bytes; what was in it may be gone."""
        if length_bytes > self._length_bytes or not self._address:
            self.close()
            address = _ADDRESS()
            # An address is asked for tensors of no bytes too.
            _call("cuMemAlloc_v2", ctypes.byref(address), max(1, length_bytes))
            self._address, self._length_bytes = address.value, length_bytes
        return self._address

    def close(self) -> None:
        """Free it."""
        if self._address:
            _call("cuMemFree_v2", self._address)
        self._address, self._length_bytes = 0, 0


def _first_device() -> int:
    """Return the first GPU, having asked the driver whether it can be used.

    Raises:
        CudaError: why not.
    """
    _call("cuInit", 0)
    count, device = ctypes.c_int(), ctypes.c_int()
    _call("cuDeviceGetCount", ctypes.byref(count))
    if count.value < 1:
        raise CudaError("the NVIDIA driver sees no GPU")
    _call("cuDeviceGet", ctypes.byref(device), 0)
    return device.value


def _attribute(device: int, which: int) -> int:
    found = ctypes.c_int()
    _call("cuDeviceGetAttribute", ctypes.byref(found), which, device)
    return found.value


def _call(name: str, *arguments: Any) -> None:
    """Call the driver.

    Raises:
        CudaError: it is not there, or refused.
    """
    status = getattr(_library(), name)(*arguments)
    if status:
        said = ctypes.c_char_p()
        _library().cuGetErrorString(status, ctypes.byref(said))
        words = said.value.decode(errors="replace") if said.value else "unknown error"
        raise CudaError(f"{name}: {words} ({status})")


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise CudaError(f"no NVIDIA driver: {error}") from error
    for name, arguments in _SIGNATURES.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, ctypes.c_int
    return library
