# SPDX-License-Identifier: Apache-2.0
"""What is wrong with this device and what to do about it: looked at, never changed.

Begin with `examine`. It works beside a running agent and without one.
"""
