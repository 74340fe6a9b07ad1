# SPDX-License-Identifier: Apache-2.0
import pytest

from insight_edge.compile.toolchains.environments import environment_names, lock_text
from locks.derive import DEVICES, PIN, for_devices


@pytest.mark.parametrize(
    "name",
    [
        "rich-15.0.0-py3-none-any.whl",
        "six-1.17.0-py2.py3-none-any.whl",
        "numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
        "numpy-2.4.6-cp314-cp314-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl",
        "cryptography-50.0.2-cp39-abi3-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
        "openvino-2026.4.1-21-cp311-cp311-manylinux_2_28_x86_64.whl",
        "tensorrt_rtx-1.7-py2.py3-none-manylinux_2_28_x86_64.whl",
    ],
)
def test_a_wheel_that_a_device_can_install_is_one(name: str) -> None:
    assert DEVICES.search(name)


@pytest.mark.parametrize(
    "name",
    [
        "numpy-2.4.6-cp311-cp311-win_amd64.whl",
        "numpy-2.4.6-cp311-cp311-macosx_11_0_arm64.whl",
        "numpy-2.4.6-cp311-cp311-musllinux_1_2_x86_64.whl",
        "numpy-2.4.6-cp310-cp310-manylinux_2_28_x86_64.whl",
        "numpy-2.4.6-cp313-cp313t-manylinux_2_28_x86_64.whl",
        "numpy-2.4.6-pp311-pypy311_pp73-manylinux_2_28_x86_64.whl",
        "cffi-2.1.1-cp311-cp311-manylinux2014_ppc64le.manylinux_2_17_ppc64le.whl",
        "cryptography-50.0.2-cp39-abi3-manylinux_2_31_armv7l.whl",
    ],
)
def test_a_wheel_for_another_system_is_none(name: str) -> None:
    assert not DEVICES.search(name)


def test_pins_keep_the_hashes_of_devices_and_of_sources() -> None:
    pins = (
        "numpy==2 ; sys_platform == 'linux' \\\n"
        "    --hash=sha256:aa \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc \\\n"
        "    --hash=sha256:dd\n"
    )
    files = {
        "sha256:aa": "numpy-2-cp311-cp311-win_amd64.whl",
        "sha256:bb": "numpy-2-cp311-cp311-manylinux_2_28_x86_64.whl",
        "sha256:cc": "numpy-2.tar.gz",
    }
    kept = for_devices(pins, files)
    assert kept == (
        "numpy==2 ; sys_platform == 'linux' \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
    )


@pytest.mark.parametrize("name", [n for n in environment_names() if n.startswith("device-")])
def test_every_pin_of_a_device_has_a_file_to_install(name: str) -> None:
    pins = PIN.findall(lock_text(name))
    assert pins
    assert all("--hash=sha256:" in pin for pin in pins)
