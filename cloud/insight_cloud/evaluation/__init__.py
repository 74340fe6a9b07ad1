# SPDX-License-Identifier: Apache-2.0
"""How good a model is on labelled rows, with intervals that say how sure that is."""
