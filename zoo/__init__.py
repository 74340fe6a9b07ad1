# SPDX-License-Identifier: Apache-2.0
"""Models to try the compiler on: trained here on real data that packages ship, or shipped in them.

`python -m zoo make --out DIR` writes each into a folder of its own: the file that
is compiled, its description, rows to calibrate with and to be proven on, and a
card that says what it was trained on and how good it is. What is read of the
packages lies in an environment of its own, `insight-edge toolchain install
toolchain-zoo`; nothing is fetched from anywhere else.

A package for developers of this project: nothing of the product imports it, and
it is in no distribution.
"""
