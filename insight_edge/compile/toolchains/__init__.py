# SPDX-License-Identifier: Apache-2.0
"""Interpreters and processes that compilers and engines need, each in an environment of its own."""
