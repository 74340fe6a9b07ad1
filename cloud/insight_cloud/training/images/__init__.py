# SPDX-License-Identifier: Apache-2.0
"""What image tasks share: the format around a network, the network, augmentation, fitting."""
