# SPDX-License-Identifier: Apache-2.0
"""What devices may run, and the signatures that say so: update repository, keys, director."""
