# SPDX-License-Identifier: Apache-2.0
"""The engines that ship with this distribution, one module a token.

They are found by entry point; nobody imports one by name, and none imports its
library before `facts` or `load` is called.
"""
