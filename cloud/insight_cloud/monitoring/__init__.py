# SPDX-License-Identifier: Apache-2.0
"""Whether what devices count still looks like what the model was trained on."""
