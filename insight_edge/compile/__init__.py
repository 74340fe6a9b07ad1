# SPDX-License-Identifier: Apache-2.0
"""The workshop: from a source model to proven artifacts for a hardware profile.

It runs where compilers are installed and never on a device. Toolchains load in
child processes only; the parent exchanges documents and files with them.
"""
