"""The HTTP side: photos, telemetry, commands, live events. `create_app` makes the application, `serve` runs it.

Start reading at `app`; each noun has a module of its own. What is shared by all of them is in `services`, who may ask
in `auth`, how errors look in `problems`.
"""

from api.app import create_app
from api.problems import ApiError
from api.server import ListenError, serve

__all__ = ["ApiError", "ListenError", "create_app", "serve"]
