# SPDX-License-Identifier: Apache-2.0
"""The rows of a compilation, and how good an answer to one is. No model is asked here."""
