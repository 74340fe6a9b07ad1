# SPDX-License-Identifier: Apache-2.0
"""What devices count and answer: taken in once, added up exactly, joined with what came true."""
