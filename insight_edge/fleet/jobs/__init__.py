# SPDX-License-Identifier: Apache-2.0
"""What a device is asked to do once: kept, done when it disturbs nobody, and told of."""
