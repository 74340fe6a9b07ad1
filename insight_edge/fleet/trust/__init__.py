# SPDX-License-Identifier: Apache-2.0
"""What a device believes: the tenant's update repository, the director, and the time."""
