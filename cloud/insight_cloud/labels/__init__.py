# SPDX-License-Identifier: Apache-2.0
"""What people say an input shows, when the model was not sure."""
