# SPDX-License-Identifier: Apache-2.0
"""The pages that the operator works with."""
