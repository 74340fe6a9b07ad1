# SPDX-License-Identifier: Apache-2.0
"""Thousands of small models of others, put through every backend and beside its bare engine.

`python -m conformance` runs the whole and writes docs/conformance.json and
docs/conformance.md. What is run is the product: its importer, its plan, its
builds in their toolchains, its engines in the environments of devices.

A package for developers of this project: nothing of the product imports it,
and it is in no distribution.
"""
