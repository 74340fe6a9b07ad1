# SPDX-License-Identifier: Apache-2.0
"""The command line: the composition root of `insight-edge`.

One module a verb; `main` names them and imports none until it is called.
"""
