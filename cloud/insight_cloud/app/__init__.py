# SPDX-License-Identifier: Apache-2.0
"""The HTTP doors of the cloud: FastAPI over the domains' services, and nothing decided here."""
