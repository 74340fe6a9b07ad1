# SPDX-License-Identifier: Apache-2.0
"""Compilations for the fleet: the one room of the cloud that sees the compiler."""
