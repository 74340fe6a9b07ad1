# SPDX-License-Identifier: Apache-2.0
"""How a subject is asked, in MLPerf's words and one more: rows at once, or when they are due.

`scenario` says what is asked, `schedule` when (both pure), `serving` asks in the child, and
`load` says what came of it. Nothing is chosen here.
"""
