# SPDX-License-Identifier: Apache-2.0
"""Pre- and post-processing and features as data; one executor for device and cloud.

NumPy alone. This room reads no file, knows no engine and no bundle: what to
run is a value of `documents.steps`, what it runs on are arrays.
"""
