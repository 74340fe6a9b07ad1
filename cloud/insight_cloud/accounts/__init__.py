# SPDX-License-Identifier: Apache-2.0
"""Who may do what, and what was done: users, sessions, tokens, the audit trail."""
