# SPDX-License-Identifier: Apache-2.0
"""The story of `make demo`, told with the programs a user has.

Training and compiling are the ordinary commands in child processes; the
application is a customer's, with the runtime attached; `promises` decides
whether everything that was promised happened.
"""
