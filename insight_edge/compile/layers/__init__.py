# SPDX-License-Identifier: Apache-2.0
"""`verify --layers`: where an artifact begins to answer otherwise than its source model."""
