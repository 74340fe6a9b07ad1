# SPDX-License-Identifier: Apache-2.0
"""Insight Cloud: what trains models, keeps them and looks after the fleet.

One package a domain; a domain calls only those below it (the arrows are checked
in CI), and nobody but the owner touches its tables.
"""
