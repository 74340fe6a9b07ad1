# SPDX-License-Identifier: Apache-2.0
"""The server that an agent keeps running for a deployment.

`plan` is what was asked for, `rules` when it is started, `process` the running one, and
`keeper` does what they say. Nothing here loads an engine or speaks HTTP.
"""
