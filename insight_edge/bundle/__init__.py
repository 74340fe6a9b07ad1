# SPDX-License-Identifier: Apache-2.0
"""Bundles on disk: open and write them within limits, and keep two of them in slots.

A bundle is a directory: `manifest.json` and the flat files it names, nothing
else (rules B1 to B14 in docs/formats/bundle.md). This room loads no artifact and
runs no step; whether a signature is to be believed is decided above it.
"""
