# SPDX-License-Identifier: Apache-2.0
"""Who may open a page or send a form; whoever is not signed in is sent to sign in."""

from typing import Annotated

from fastapi import Depends

from insight_cloud.accounts.door import Actor, Role, signed_in_page

Viewer = Annotated[Actor, Depends(signed_in_page(Role.VIEWER))]
Operator = Annotated[Actor, Depends(signed_in_page(Role.OPERATOR))]
Admin = Annotated[Actor, Depends(signed_in_page(Role.ADMIN))]
