# SPDX-License-Identifier: Apache-2.0
"""Why a toolchain does not take a model, as data: words for people, and what to change."""
